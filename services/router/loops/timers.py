"""Timers: claim what is due, let it take its step, sleep until the next, at most a second."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import incident_store
from services.router.batch.engine import Engine
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import APART_AFTER_SECONDS, Failures, repeat

_MOST: Final = 500
_LONGEST: Final = timedelta(seconds=1)
_OVERDUE_EVERY: Final = timedelta(seconds=10)
_OVERDUE_SECONDS: Final = 1.0
_OVERDUE_MOST: Final = 1000  # counted per priority, no further


class Timers:
    """Any replica fires any timer: claims skip what another one holds."""

    def __init__(self, engine: Engine, *, beat: Beat = unwatched) -> None:
        self._engine = engine
        self._beat = beat
        self._failing = Failures("router timers", engine.database.outage, tell=engine.tell)
        self._counted_at: datetime | None = None

    async def fire_once(self, now: datetime, *, apart: bool = False) -> datetime:
        """Fire everything that is due; returns when to look again (at most a second ahead, database time).

        `apart`: see `Engine.fire`.
        """
        self._engine.alarm.begin(now + _LONGEST)
        fired = _MOST
        while fired == _MOST:
            fired = await self._engine.fire(_MOST, apart=apart)
            self._beat()
        async with self._engine.database.transaction() as connection:
            due = await incident_store.next_due(connection)
            await self._count_overdue(connection, now)
        at = min(due, now + _LONGEST) if due is not None else now + _LONGEST
        return self._engine.alarm.plan(at)

    async def run(self) -> None:
        """Fire for ever."""
        await repeat(self._failing, self._fire, beat=self._beat)

    async def _fire(self) -> None:
        server_now = self._engine.database.now  # due times are its own: no other clock is taken from them
        at = await self.fire_once(server_now(), apart=self._failing.lasts(APART_AFTER_SECONDS))
        await self._engine.alarm.wait((at - server_now()).total_seconds())

    async def _count_overdue(self, connection: AsyncConnection, now: datetime) -> None:
        if self._counted_at is None or now >= self._counted_at + _OVERDUE_EVERY:
            self._counted_at = now
            late = await incident_store.overdue(connection, _OVERDUE_SECONDS, _OVERDUE_MOST)
            metrics.TIMERS_OVERDUE.set(late)
