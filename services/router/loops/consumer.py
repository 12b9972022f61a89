"""The consumer: fetch from the log, decide, commit the transaction, then commit the offsets.

Events and the notifier's reports are read by separate groups: a report changes little and may wait a moment
for others, an event must not wait for a report.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.router import metrics, post_counts
from services.router.batch import dead_letter_store, inbound
from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.loops import canary, heartbeats
from shared.clock import stopwatch, utcnow
from shared.eventlog import Consumer, EventLog, Received
from shared.eventlog.commits import Commits
from shared.events import DEAD_LETTER, DELIVERIES, INCIDENTS, HeartbeatReceived
from shared.health.consumer_progress import Progress
from shared.loops.alongside import alongside
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import APART_AFTER_SECONDS, Failures, repeat, until_done


@dataclass(frozen=True, slots=True)
class Source:
    """A topic, the group that reads it, and how long a batch may wait for more to join it (seconds)."""

    topic: str
    group: str
    gather_seconds: float = 0.0
    most: int = 500  # records per batch


EVENTS: Final = Source(INCIDENTS, "ladder-router")
REPORTS: Final = Source(DELIVERIES, "ladder-router-reports", gather_seconds=0.15)
LETTERS: Final = Source(DEAD_LETTER, "ladder-router-dead-letters", most=20)  # each may be very large

_WAIT_SECONDS: Final = 1.0


class Consuming:
    """One member of the routers' group for one topic."""

    def __init__(
        self,
        event_log: EventLog,
        engine: Engine,
        source: Source,
        *,
        clock: Callable[[], float] = stopwatch,
        beat: Beat = unwatched,
    ) -> None:
        self._beat = beat
        self._log = event_log
        self._engine = engine
        self._source = source
        self._name = f"router consume {source.topic}"
        self._deciding = Failures(f"router decide {source.topic}", engine.database.outage, tell=engine.tell)
        self._beating = Failures(f"router beats {source.topic}", engine.database.outage, tell=engine.tell)
        self._joining = Failures(self._name, engine.database.outage, tell=engine.tell)
        self.progress = Progress(source.group, [source.topic], clock=clock)
        self.held_assignment_once = False

    async def consume_once(
        self, consumer: Consumer, commits: Commits, wait_seconds: float = _WAIT_SECONDS
    ) -> int:
        """Process one batch of records, for good; returns how many there were.

        Whatever goes wrong is tried again: these records come before any others.
        """
        records = await consumer.fetch(self._source.most, wait_seconds)
        self.held_assignment_once = self.held_assignment_once or consumer.held_assignment_once
        if not records:
            return 0
        await self._take(records)
        self.progress.took(records, utcnow())
        commits.done(records)
        return len(records)

    async def _take(self, records: Sequence[Received]) -> None:
        read = [heartbeats.read(record) or inbound.read(record) for record in records]
        beats = [each for each in read if isinstance(each, HeartbeatReceived)]
        canaries = [each for each in read if isinstance(each, InboundSignal) and canary.is_canary(each)]
        told = [each for each in read if isinstance(each, InboundSignal) and post_counts.is_post_counts(each)]
        others = [
            each for each in read if isinstance(each, InboundSignal) and not post_counts.is_post_counts(each)
        ]
        signals = [each for each in others if not canary.is_canary(each)]
        metrics.BATCH_SIGNALS.observe(len(records))
        # Beats last: a fault in them must not delay events.
        if signals:
            await until_done(self._deciding, lambda: self._decide(signals), waits=self._waits)
        if beats:
            await until_done(self._beating, lambda: self._hear(beats), waits=self._waits)
        if told:
            await until_done(self._beating, lambda: post_counts.accept(self._engine, told), waits=self._waits)
        await canary.accept(self._engine, canaries)

    async def _decide(self, signals: Sequence[InboundSignal]) -> None:
        await self._engine.accept(signals, apart=self._deciding.lasts(APART_AFTER_SECONDS))

    async def _hear(self, beats: Sequence[HeartbeatReceived]) -> None:
        await heartbeats.accept(self._engine, beats, apart=self._beating.lasts(APART_AFTER_SECONDS))

    def _waits(self) -> None:
        self.progress.waits(utcnow())
        self._beat()

    async def run(self) -> None:
        """Consume for ever; whatever goes wrong with the log, the member joins again."""
        await repeat(self._joining, self._consume, beat=self._beat)

    async def _consume(self) -> None:
        async with (
            self._log.consumer(self._source.group, [self._source.topic]) as consumer,
            Commits(consumer).running() as commits,
            alongside(f"{self._name} lag", self.progress.watch(consumer)),
        ):
            while True:
                if await self.consume_once(consumer, commits) < self._source.most:
                    await asyncio.sleep(self._source.gather_seconds)
                await self._joining.worked()
                self._beat()


class ConsumingLetters(Consuming):
    """Reads every service's dead letters into the router's table."""

    async def _take(self, records: Sequence[Received]) -> None:
        await until_done(
            self._deciding, lambda: dead_letter_store.accept(self._engine, records), waits=self._waits
        )
