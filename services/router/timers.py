"""Due times: claim what is due, let it take its step, sleep until the next one, at most a second."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics, store
from services.router.engine import Engine
from services.router.policies import NoPolicyError
from shared import telemetry
from shared.clock import utcnow
from shared.database import fault_of
from shared.trouble import Trouble

log = telemetry.logger(__name__)

_MOST: Final = 500
_LONGEST: Final = timedelta(seconds=1)
_PAUSE_SECONDS: Final = 0.3
_OVERDUE_EVERY: Final = timedelta(seconds=10)
_OVERDUE_SECONDS: Final = 1.0
_OVERDUE_MOST: Final = 1000  # counted per priority, no further


class Timers:
    """Any replica fires any timer: claims skip what another one holds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counted_at: datetime | None = None

    async def fire_once(self, now: datetime) -> datetime:
        """Fire everything that is due; when to look again (at most a second from now)."""
        self._engine.alarm.begin(now + _LONGEST)
        fired = _MOST
        while fired == _MOST:
            fired = await self._engine.fire(_MOST)
        async with self._engine.database.transaction() as connection:
            due = await store.next_due(connection)
            await self._count_overdue(connection, now)
        at = min(due, now + _LONGEST) if due is not None else now + _LONGEST
        return self._engine.alarm.plan(at)

    async def run(self) -> None:
        """Fire for ever."""
        database, paused = self._engine.database.trouble, Trouble(log, "timers_paused", what="deciding")
        while True:
            try:
                at = await self.fire_once(utcnow())
            except NoPolicyError:
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception as err:
                if fault_of(err) is None:  # timers that ended would forget every incident
                    paused.is_on(err)
                    log.debug("timers paused", action="timers_paused", exc_info=err)
                else:
                    database.is_on(err, "router timers")
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                paused.is_over()
                database.is_over("router timers")
                await self._engine.alarm.wait((at - utcnow()).total_seconds())

    async def _count_overdue(self, connection: AsyncConnection, now: datetime) -> None:
        if self._counted_at is None or now >= self._counted_at + _OVERDUE_EVERY:
            self._counted_at = now
            late = await store.overdue(connection, _OVERDUE_SECONDS, _OVERDUE_MOST)
            metrics.TIMERS_OVERDUE.set(late)
