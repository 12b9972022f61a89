"""What the router does with the records it reads: decide, hear heartbeats, keep dead letters.

Events and the notifier's reports are read by separate groups: a report changes little and may wait a moment
for others, an event must not wait for a report.
"""

from collections.abc import Callable, Sequence
from typing import Final

from services.router import metrics, post_counts
from services.router.batch import dead_letter_store, inbound
from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.loops import canary, heartbeats
from shared.clock import stopwatch
from shared.consumer_loop import ConsumerLoop, Fetched, Source
from shared.eventlog import EventLog, Received
from shared.events import DEAD_LETTER, DELIVERIES, INCIDENTS, HeartbeatReceived
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import Failures

EVENTS: Final = Source(INCIDENTS, "ladder-router")
REPORTS: Final = Source(DELIVERIES, "ladder-router-reports", gather_seconds=0.15)
LETTERS: Final = Source(DEAD_LETTER, "ladder-router-dead-letters", most=20)  # each may be very large


class Consuming(ConsumerLoop):
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
        away, tell = engine.database.outage, engine.tell
        name = f"router consume {source.topic}"
        super().__init__(event_log, source, name, away, tell=tell, clock=clock, beat=beat)
        self._engine = engine
        self._deciding = Failures(f"router decide {source.topic}", away, tell=tell)
        self._beating = Failures(f"router beats {source.topic}", away, tell=tell)

    async def accept(self, fetched: Fetched) -> None:
        """Decide, and commit, until it comes through."""
        if not fetched.records:
            return
        read = [heartbeats.read(record) or inbound.read(record) for record in fetched.records]
        beats = [each for each in read if isinstance(each, HeartbeatReceived)]
        signals = [each for each in read if isinstance(each, InboundSignal)]
        canaries, signals = _parted(signals, canary.is_canary)
        counts, signals = _parted(signals, post_counts.is_post_counts)
        metrics.BATCH_SIGNALS.observe(len(read))
        # Beats last: a fault in them must not delay events.
        if signals:
            await self.until_done(self._deciding, lambda apart: self._engine.accept(signals, apart=apart))
        if beats:
            await self.until_done(
                self._beating, lambda apart: heartbeats.accept(self._engine, beats, apart=apart)
            )
        if counts:
            await self.until_done(self._beating, lambda _: post_counts.accept(self._engine, counts))
        await canary.accept(self._engine, canaries)


class ConsumingLetters(Consuming):
    """Reads every service's dead letters into the router's table."""

    async def accept(self, fetched: Fetched) -> None:
        """Keep them, until it comes through."""
        letters: Sequence[Received] = fetched.records
        if letters:
            await self.until_done(self._deciding, lambda _: dead_letter_store.accept(self._engine, letters))


def _parted(
    signals: Sequence[InboundSignal], apart: Callable[[InboundSignal], bool]
) -> tuple[list[InboundSignal], list[InboundSignal]]:
    """Those, and the others."""
    return [each for each in signals if apart(each)], [each for each in signals if not apart(each)]
