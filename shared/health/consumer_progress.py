"""How far a consumer is behind, and whether it moves: for the lag metrics and for liveness.

A consumer that has something to do, does not move and waits for nobody will not come round by itself:
the process says so by /healthz, and whatever runs it starts it anew. What it has in hand counts until it is
committed. When the log cannot be asked the figures are NaN: yesterday's lag is none.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from prometheus_client import Gauge

from shared import telemetry
from shared.clock import stopwatch, utcnow
from shared.eventlog import Consumer, Lag, Partition, Received
from shared.health.probes import Probe
from shared.loops.outage import Outage
from shared.loops.repeat import for_ever

log = telemetry.logger(__name__)

STUCK_AFTER: Final = timedelta(minutes=5)
_EVERY_SECONDS: Final = 5.0
_JUST_NOW: Final = timedelta(seconds=15)
_LOOK_SECONDS: Final = 10.0  # more than any log takes to say that it does not know

LAG_RECORDS: Final = Gauge(
    "ladder_consumer_lag_records",
    "Records not yet committed, what is in hand included; NaN when not known",
    ["group", "topic"],
)
LAG_SECONDS: Final = Gauge(
    "ladder_consumer_lag_seconds",
    "Age of the oldest record not yet committed; NaN when not known",
    ["group", "topic"],
)


class Progress:
    """One member of a group, as seen from outside its loop."""

    def __init__(self, group: str, topics: Sequence[str], *, clock: Callable[[], float] = stopwatch) -> None:
        self._group = group
        self._probe = Probe(f"lag of {group}", clock=clock)
        self._moved: dict[Partition, datetime] = {}  # owned and behind: when it last moved
        self._lags: Mapping[Partition, Lag] = {}
        self._looked_at: datetime | None = None
        self._waited_at: datetime | None = None
        for topic in topics:
            LAG_RECORDS.labels(group, topic).set_function(partial(self._records, topic))
            LAG_SECONDS.labels(group, topic).set_function(partial(self._seconds, topic))

    def done(self, records: Iterable[Received], now: datetime) -> None:
        """These are done with."""
        for partition in {record.partition for record in records}:
            self._moved[partition] = now

    def waits(self, now: datetime) -> None:
        """It holds records and waits for a server that is away: a new start would not help."""
        self._waited_at = now

    def saw(self, lags: Mapping[Partition, Lag], now: datetime) -> None:
        """The log answered: this is what the member owns and how far it is behind."""
        self._lags, self._looked_at = lags, now
        self._probe.succeeded()
        self._moved = {
            partition: self._moved.get(partition, now) if lag.records else now
            for partition, lag in lags.items()
        }

    def unseen(self, err: Exception) -> None:
        """The log could not be asked."""
        self._probe.failed(err)

    def keeps_up(self, now: datetime, within: timedelta) -> bool:
        """Whether the log answered a moment ago and nothing older than this waits to be read."""
        if self._looked_at is None or now - self._looked_at > _JUST_NOW:
            return False
        return all(lag.seconds <= within.total_seconds() for lag in self._lags.values())

    def stuck(self, now: datetime) -> Sequence[str]:
        """Why only a new start would help, in sentences.

        Partitions that have had something to do for five minutes and did not move, unless the member waits
        for another server; and a log that has not answered for a minute.
        """
        if (silent := self._probe.silent()) is not None:
            return [silent]
        if self._probe.stale:
            return ()
        if self._waited_at is not None and now - self._waited_at < STUCK_AFTER:
            return ()
        return [
            f"{self._group} has not moved in {partition.topic}/{partition.number} "
            f"since {moved:%H:%M:%S} UTC, "
            f"{self._lags[partition].records} records behind"
            for partition, moved in sorted(self._moved.items(), key=lambda item: item[1])
            if partition in self._lags and self._lags[partition].records and now - moved > STUCK_AFTER
        ]

    async def watch(self, consumer: Consumer) -> None:
        """Look every few seconds, for as long as the member lives."""

        async def step() -> None:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    lags = await consumer.lag(utcnow())
            except Exception as err:
                self.unseen(err)
                raise
            self.saw(lags, utcnow())

        await for_ever(f"lag of {self._group}", step, Outage(log, "lag_unknown", group=self._group))

    def _of(self, topic: str) -> Sequence[Lag]:
        return [lag for partition, lag in self._lags.items() if partition.topic == topic]

    def _records(self, topic: str) -> float:
        return math.nan if self._probe.stale else sum(lag.records for lag in self._of(topic))

    def _seconds(self, topic: str) -> float:
        return math.nan if self._probe.stale else max((lag.seconds for lag in self._of(topic)), default=0.0)
