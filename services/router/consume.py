"""From the log into the engine: fetch, decide, commit the transaction, then commit the offsets.

Events and the notifier's reports are read by groups of their own: a report changes little and may wait a
moment for others, an event must not wait for a report.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.router import dead_letters, heartbeats, metrics
from services.router.arrivals import Arrival
from services.router.engine import Engine
from services.router.policies import NoPolicyError
from shared import telemetry
from shared.clock import stopwatch, utcnow
from shared.database import fault_of
from shared.eventlog import Consumer, EventLog
from shared.eventlog.committing import Commits
from shared.events import DELIVERIES, INCIDENTS, HeartbeatReceived
from shared.progress import Progress
from shared.trouble import Trouble

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """A topic, the group that reads it, and how long a batch may wait for more to join it (seconds)."""

    topic: str
    group: str
    gather_seconds: float = 0.0


EVENTS: Final = Source(INCIDENTS, "ladder-router")
REPORTS: Final = Source(DELIVERIES, "ladder-router-reports", gather_seconds=0.15)

_MOST: Final = 500
_WAIT_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 3.0


class Consuming:
    """One member of the routers' group for one topic."""

    def __init__(
        self,
        event_log: EventLog,
        engine: Engine,
        source: Source,
        *,
        clock: Callable[[], float] = stopwatch,
    ) -> None:
        self._log = event_log
        self._engine = engine
        self._source = source
        self._name = f"router consume {source.topic}"
        self._waiting = Trouble(log, "consume_paused", what="the router's work", topic=source.topic)
        self.progress = Progress(source.group, [source.topic], clock=clock)
        self.held_assignment_once = False

    async def consume_once(
        self, consumer: Consumer, commits: Commits, wait_seconds: float = _WAIT_SECONDS
    ) -> int:
        """Take one batch of records; how many there were. Afterwards they are done with, for good.

        While the database is away it tries again, so that nothing behind them is taken first.
        """
        records = await consumer.fetch(_MOST, wait_seconds)
        self.held_assignment_once = self.held_assignment_once or consumer.held_assignment_once
        if not records:
            return 0
        read = [heartbeats.read(record) or dead_letters.read(record) for record in records]
        beats = [each for each in read if isinstance(each, HeartbeatReceived)]
        arrivals = [each for each in read if isinstance(each, Arrival)]
        metrics.BATCH_SIGNALS.observe(len(records))
        await self._take(arrivals, beats)
        self.progress.took(records, utcnow())
        commits.done(records)
        return len(records)

    async def _take(self, arrivals: Sequence[Arrival], beats: Sequence[HeartbeatReceived]) -> None:
        """Whatever goes wrong, it is tried again: these records come before any others."""
        pause = _PAUSE_SECONDS
        while True:
            try:
                if beats:
                    await heartbeats.take(self._engine, beats)
                if arrivals:
                    await self._engine.take(arrivals)
            except Exception as err:  # noqa: BLE001 - see above
                self._note(err)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                self._waiting.is_over()
                self._engine.database.trouble.is_over(self._name)
                return

    def _note(self, err: Exception) -> None:
        if fault_of(err) is not None:
            self._engine.database.trouble.is_on(err, self._name)
        else:
            self._waiting.is_on(err)
        if fault_of(err) is not None or isinstance(err, NoPolicyError):
            self.progress.waits(utcnow())

    async def run(self) -> None:
        """Consume for ever."""
        while True:
            try:
                async with (
                    self._log.consumer(self._source.group, [self._source.topic]) as consumer,
                    Commits(consumer).running() as commits,
                ):
                    watching = asyncio.create_task(self.progress.watch(consumer), name=f"{self._name} lag")
                    try:
                        while True:
                            if await self.consume_once(consumer, commits) < _MOST:
                                await asyncio.sleep(self._source.gather_seconds)
                    finally:
                        watching.cancel()
                        await asyncio.gather(watching, return_exceptions=True)
            except Exception:
                log.exception("consuming failed, joining anew", action="consume_failed")
                await asyncio.sleep(1)
