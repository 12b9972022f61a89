"""From the log into the engine: fetch, decide, commit the transaction, then commit the offsets."""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.router import dead_letters, metrics
from services.router.arrivals import Arrival
from services.router.engine import Engine
from services.router.policies import NoPolicyError
from shared import telemetry
from shared.clock import utcnow
from shared.database import fault_of
from shared.eventlog import Consumer, EventLog, LogUnavailableError
from shared.events import DELIVERIES, INCIDENTS
from shared.progress import Progress
from shared.trouble import Trouble

log = telemetry.logger(__name__)

GROUP: Final = "ladder-router"
TOPICS: Final = (INCIDENTS, DELIVERIES)
_MOST: Final = 500
_WAIT_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 3.0


class Consuming:
    """One member of the routers' group."""

    def __init__(self, event_log: EventLog, engine: Engine) -> None:
        self._log = event_log
        self._engine = engine
        self._waiting = Trouble(log, "consume_paused", what="the router's work")
        self.progress = Progress(GROUP, TOPICS)
        self.held_assignment_once = False

    async def consume_once(self, consumer: Consumer, wait_seconds: float = _WAIT_SECONDS) -> int:
        """Take one batch of records; how many there were. Afterwards they are done with, for good.

        While the database is away it tries again, so that nothing behind them is taken first.
        """
        records = await consumer.fetch(_MOST, wait_seconds)
        self.held_assignment_once = self.held_assignment_once or consumer.held_assignment_once
        if not records:
            return 0
        arrivals = [dead_letters.read(record) for record in records]
        metrics.BATCH_SIGNALS.observe(len(arrivals))
        await self._take(arrivals)
        self.progress.took(records, utcnow())
        try:
            await consumer.commit(records)
        except LogUnavailableError as err:  # they come again and are dropped by the inbox
            log.warning("offsets not committed", action="commit_failed", error=str(err))
        return len(records)

    async def _take(self, arrivals: Sequence[Arrival]) -> None:
        """Whatever goes wrong, it is tried again: these records come before any others."""
        pause = _PAUSE_SECONDS
        while True:
            try:
                await self._engine.take(arrivals)
            except Exception as err:  # noqa: BLE001 - see above
                self._note(err)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                self._waiting.is_over()
                self._engine.database.trouble.is_over("router consume")
                return

    def _note(self, err: Exception) -> None:
        if fault_of(err) is not None:
            self._engine.database.trouble.is_on(err, "router consume")
        else:
            self._waiting.is_on(err)
        if fault_of(err) is not None or isinstance(err, NoPolicyError):
            self.progress.waits(utcnow())

    async def run(self) -> None:
        """Consume for ever."""
        while True:
            try:
                async with self._log.consumer(GROUP, TOPICS) as consumer:
                    watching = asyncio.create_task(self.progress.watch(consumer), name="router lag")
                    try:
                        while True:
                            await self.consume_once(consumer)
                    finally:
                        watching.cancel()
                        await asyncio.gather(watching, return_exceptions=True)
            except Exception:
                log.exception("consuming failed, joining anew", action="consume_failed")
                await asyncio.sleep(1)
