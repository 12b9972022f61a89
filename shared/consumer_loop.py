"""The loop of a member of a consumer group: fetch, let the service accept, store the offsets.

What becomes of a batch is the service's own. The same for all: a batch is tried until it comes through,
offsets follow what was committed, the member joins again after a fault, and readiness, liveness and the lag
metrics see how it stands.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shared.clock import stopwatch, utcnow
from shared.eventlog import Consumer, EventLog, Partition, Received
from shared.eventlog.commits import Commits
from shared.health.consumer_progress import Progress
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import APART_AFTER_SECONDS, Failures, Tell, nobody, repeat, until_done


@dataclass(frozen=True, slots=True)
class Source:
    """A topic, and the group that reads it."""

    topic: str
    group: str
    gather_seconds: float = 0.0  # how long a batch may wait for more to join it
    wait_seconds: float = 1.0  # how long a fetch waits for its first record
    most: int = 500  # records per batch


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one fetch returned, and how: after `took` of at most `wait_seconds`, owning these partitions."""

    records: Sequence[Received]
    took: float
    wait_seconds: float
    share: frozenset[Partition]


class ConsumerLoop(ABC):
    """One member of a group for one topic.

    `name` is the loop's in logs and metrics, `away` the outage of the server that it works with; `clock`
    counts seconds.
    """

    def __init__(
        self,
        event_log: EventLog,
        source: Source,
        name: str,
        away: Outage,
        *,
        tell: Tell = nobody,
        clock: Callable[[], float] = stopwatch,
        beat: Beat = unwatched,
    ) -> None:
        self._log = event_log
        self._source = source
        self._name = name
        self._joining = Failures(name, away, tell=tell)
        self._beat = beat
        self.progress = Progress(source.group, [source.topic], clock=clock)
        self.ever_assigned = False

    @abstractmethod
    async def accept(self, fetched: Fetched) -> None:
        """Deal with these records for good; there may be none. Whatever it raises, the member joins again."""

    def wait_seconds(self) -> float:
        """How long the next fetch waits for its first record."""
        return self._source.wait_seconds

    async def until_done(self, failures: Failures, step: Callable[[bool], Awaitable[object]]) -> None:
        """Try the same again until it comes through: these records come before any others.

        `step` is told whether a fault of Ladder's own has lasted for so long that whoever brings it out is to
        stand aside.
        """
        await until_done(failures, lambda: step(failures.lasts(APART_AFTER_SECONDS)), waits=self._waits)

    async def consume_once(self, consumer: Consumer, commits: Commits) -> int:
        """Process one batch of records, for good; returns how many there were."""
        asked_at, wait_seconds = stopwatch(), self.wait_seconds()
        records = await consumer.fetch(self._source.most, wait_seconds)
        took = stopwatch() - asked_at
        self.ever_assigned = self.ever_assigned or consumer.ever_assigned
        await self.accept(Fetched(records, took, wait_seconds, consumer.assignment()))
        if records:
            self.progress.done(records, utcnow())
            commits.done(records)
        return len(records)

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

    def _waits(self) -> None:
        self.progress.waits(utcnow())
        self._beat()
