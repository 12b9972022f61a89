"""Fan-out: messages to many incidents, sent in steps of 500 through the outbox, so transactions stay small.

The members of a group hear what became of their parent; incidents suppressed (or no longer) by a cause, a
silence or a maintenance check again. If a router dies in between, another one does the rest.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch import dead_letters, gather
from services.router.batch.apply import BatchResult
from services.router.batch.engine import Engine
from services.router.batch.inbound import telling_of
from services.router.domain.draft.draft import Draft, derived_id
from services.router.domain.model.context import Context
from services.router.domain.model.stored import decode
from services.router.duty import overlay
from services.router.policy.compiled_cache import InForce
from services.router.tables import SCHEMA
from shared import telemetry
from shared.errors.kinds import Kind, kind_of, words
from shared.eventlog import codec
from shared.events import RelatedChanged
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import for_ever
from shared.outbox import outbox
from shared.policy.cel.explanations import ExpressionError

log = telemetry.logger(__name__)

STEP: Final = 500
_POLL_SECONDS: Final = 1.0
_YIELD_EVERY: Final = 50
_decoder: Final = msgspec.json.Decoder(RelatedChanged)


class FanOut:
    """Sends queued messages to many incidents, one step at a time."""

    def __init__(self, engine: Engine, *, beat: Beat = unwatched) -> None:
        self._engine = engine
        self._beat = beat
        self._at: tuple[int, RelatedChanged] | None = None  # the message of the current step

    async def fan_out_once(self) -> int:
        """One step of the oldest message nobody else is sending; returns how many heard, -1 without one."""
        try:
            told = await self._engine.transaction(self._step)
        except Exception as err:
            if kind_of(err) is not Kind.REFUSED or self._at is None:
                raise
            await self._set_aside(*self._at, err)
            return 0
        if told > 0:
            self._engine.wake_relay()
        return told

    async def run(self) -> None:
        """Send for ever."""
        away = self._engine.database.outage
        await for_ever("router spreading", self._spread, away, beat=self._beat, tell=self._engine.tell)

    async def _spread(self) -> None:
        self._engine.spread.clear()
        if await self.fan_out_once() < 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._engine.spread.wait()

    async def _set_aside(self, row_id: int, message: RelatedChanged, err: Exception) -> None:
        """The message is refused, whoever gets it: a dead letter; later messages go on."""
        why = f"it cannot be told to those whom it concerns: {words(err)}"
        log.error(
            "a message to related incidents was refused: moved to the dead letters",
            action="spread_refused",
            incident=message.incident_id,
            error=why,
        )

        async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> BatchResult:
            await connection.execute(_DONE, {"id": row_id})
            letter = dead_letters.of_message(message, message.at, why)
            return await self._engine.within([telling_of(letter)], connection, now, in_force)

        self._engine.committed(await self._engine.transaction(work))

    async def _step(self, connection: AsyncConnection, now: datetime, in_force: InForce) -> int:
        self._at = None
        row = (await connection.execute(_TAKE)).one_or_none()
        if row is None:
            return -1
        message = _decoder.decode(row.message)
        self._at = row.id, message
        place = {"after_at": row.after_at} if row.audience == "matching" else {"meant": row.meant}
        given = {**place, "after_id": row.after_id, "most": STEP}
        found = (await connection.execute(_AUDIENCES[row.audience], given)).all()
        ids = [str(each.id) for each in found]
        if row.audience == "matching":
            bundles = self._engine.bundles
            live = await bundles.one(connection, in_force.hash)
            said = {each.customer for each in found}
            known = await gather.named_customers(
                connection, said, bundles=bundles, in_force=in_force, live=live
            )
            ids = await _matching(found, row.meant, Context(live=live, customers=known), now)
        to_tell = [name for name in ids if name != message.incident_id]
        telling = [
            replace(message, message_id=derived_id(message.message_id, name), to=name, at=now)
            for name in to_tell
        ]
        await outbox.add(connection, SCHEMA, [codec.encode(each) for each in telling])
        if len(found) < STEP:
            await connection.execute(_DONE, {"id": row.id})
        else:
            last = found[-1]
            here = {"id": row.id, "after_at": last.opened_at, "after_id": last.id}
            await connection.execute(_ON, here)
        return len(telling)


async def _matching(rows: Sequence[Any], expression: str, context: Context, now: datetime) -> list[str]:
    """The incidents that match; an expression that the policy in force does not know matches none."""
    try:
        condition = overlay.condition_of(overlay.expressions_of(context.live), expression)
    except ExpressionError:
        return []
    matching = []
    for number, row in enumerate(rows, 1):
        incident = decode(row.state)
        draft = Draft(incident, context.live, context, now)
        if condition is None or condition.evaluate(draft.activation) is True:
            matching.append(incident.id)
        if number % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    return matching


_TAKE: Final = text("""
    SELECT id, audience, meant, CAST(message AS text) AS message, after_at, after_id FROM router.spread
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_DONE: Final = text("DELETE FROM router.spread WHERE id = :id")
_ON: Final = text("UPDATE router.spread SET after_at = :after_at, after_id = :after_id WHERE id = :id")
_AFTER_ID: Final = "(CAST(:after_id AS uuid) IS NULL OR id > CAST(:after_id AS uuid))"
_AUDIENCES: Final = {
    "members": text(f"""
        SELECT id, opened_at FROM router.incident
        WHERE parent = CAST(:meant AS uuid) AND {_AFTER_ID}
        ORDER BY id LIMIT :most
    """),
    "siblings": text(f"""
        SELECT id, opened_at FROM router.incident
        WHERE integration = CAST(:meant AS json) ->> 0 AND alert_group = CAST(:meant AS json) ->> 1
          AND status IN ('triggered', 'acknowledged') AND {_AFTER_ID}
        ORDER BY id LIMIT :most
    """),
    "suppressed": text(f"""
        SELECT id, opened_at FROM router.incident
        WHERE suppressed_by = :meant AND suppressed_by <> '' AND status IN ('triggered', 'acknowledged')
          AND {_AFTER_ID}
        ORDER BY id LIMIT :most
    """),
    "matching": text("""
        SELECT id, opened_at, customer, CAST(state AS text) AS state FROM router.incident
        WHERE status IN ('triggered', 'acknowledged')
          AND (CAST(:after_id AS uuid) IS NULL
               OR (opened_at, id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid)))
        ORDER BY opened_at DESC, id DESC LIMIT :most
    """),
}
