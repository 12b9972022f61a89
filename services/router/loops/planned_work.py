"""Tells subscribers of planned work when it begins and when it is over, each once, whichever replica looks.

What was announced as begun stands in a table until its end is told, so that a pause of every router, or work
that somebody ends early, loses no end.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch import gather
from services.router.batch.engine import Engine
from services.router.domain import planned_work
from services.router.domain.model.context import Context
from services.router.domain.planned_work import Work
from services.router.policy.compiled_cache import InForce
from services.router.tables import SCHEMA
from shared.eventlog import codec
from shared.events import Announced
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import for_ever
from shared.outbox import outbox
from shared.policy.cel import overlap

_EVERY_SECONDS: Final = 5.0


class PlannedWork:
    """Looks what has begun and ended since the last look."""

    def __init__(self, engine: Engine, *, beat: Beat = unwatched) -> None:
        self._engine = engine
        self._beat = beat

    async def run(self) -> None:
        """Look for ever."""
        away = self._engine.database.outage
        await for_ever(
            "router planned work",
            self.look_once,
            away,
            every=_EVERY_SECONDS,
            beat=self._beat,
            tell=self._engine.tell,
        )

    async def look_once(self) -> int:
        """Announce what has begun or is over; how many messages that is."""
        told = await self._engine.transaction(self._look)
        if told:
            self._engine.wake_relay()
        return told

    async def _look(self, connection: AsyncConnection, now: datetime, in_force: InForce) -> int:
        bundles = self._engine.bundles
        live = await bundles.one(connection, in_force.hash)
        known = {row.key: _work(row) for row in await connection.execute(_KNOWN)}
        if planned_work.EVENT not in live.heard and not known:
            return 0
        overlay = await bundles.overlays.get(connection, in_force.overlay, live)
        now_on = {work.key: work for work in planned_work.under_way(Context(live, overlay=overlay), now)}
        changed = [(work, False) for key, work in now_on.items() if key not in known]
        changed += [(work, True) for key, work in known.items() if key not in now_on]
        messages: list[Announced] = []
        for work, over in sorted(changed, key=lambda each: each[0].key):
            if over and not (await connection.execute(_OVER, {"key": work.key})).rowcount:
                continue  # another replica has told it
            if not over and not (await connection.execute(_BEGUN, _columns(work))).rowcount:
                continue
            said = {
                name
                for rule in live.subscriptions.rules
                for name in overlap.both(work.when, rule.spec.when).get("customer.id", ())
            }
            customers = await gather.named_customers(
                connection, sorted(said), bundles=bundles, in_force=in_force, live=live
            )
            context = Context(live, overlay=overlay, customers=customers)
            messages += planned_work.announced(context, work, now, over=over)
        longer = [work for key, work in now_on.items() if key in known and known[key].until != work.until]
        for work in sorted(longer, key=lambda each: each.key):
            await connection.execute(_LASTS, {"key": work.key, "until": work.until})
        await outbox.add(connection, SCHEMA, [codec.encode(each) for each in messages])
        return len(messages)


def _columns(work: Work) -> dict[str, Any]:
    return {"key": work.key, "name": work.name, "when": work.when, "then": work.then, "until": work.until}


def _work(row: Any) -> Work:
    return Work(row.key, row.name, row.when, row.then, row.until)


_KNOWN: Final = text('SELECT key, name, "when", "then", until FROM router.planned_work')
_BEGUN: Final = text("""
    INSERT INTO router.planned_work (key, name, "when", "then", until)
    VALUES (:key, :name, :when, :then, :until)
    ON CONFLICT (key) DO NOTHING
""")
_LASTS: Final = text("UPDATE router.planned_work SET until = :until WHERE key = :key")
_OVER: Final = text("DELETE FROM router.planned_work WHERE key = :key")
