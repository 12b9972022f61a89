"""How far a consumer is behind, and whether it moves: for the lag metrics and for liveness.

A consumer that has something to read, does not move and waits for nobody will not come round by itself:
the process says so by /healthz, and whatever runs it starts it anew.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from shared import telemetry
from shared.clock import utcnow
from shared.eventlog import Consumer, Lag, Partition, Received

log = telemetry.logger(__name__)

STUCK_AFTER: Final = timedelta(minutes=5)
_EVERY_SECONDS: Final = 5.0
_JUST_NOW: Final = timedelta(seconds=15)
_LOOK_IS_FRESH: Final = timedelta(minutes=1)

LAG_RECORDS: Final = Gauge("ladder_consumer_lag_records", "Records not yet consumed", ["group", "topic"])
LAG_SECONDS: Final = Gauge(
    "ladder_consumer_lag_seconds", "Age of the oldest record not yet consumed", ["group", "topic"]
)


class Progress:
    """One member of a group, as seen from outside its loop."""

    def __init__(self, group: str, topics: Sequence[str]) -> None:
        self._group = group
        self._topics = topics
        self._moved: dict[Partition, datetime] = {}  # owned and behind: when it last moved
        self._lags: Mapping[Partition, Lag] = {}
        self._looked_at: datetime | None = None
        self._waited_at: datetime | None = None

    def took(self, records: Iterable[Received], now: datetime) -> None:
        """These are done with."""
        for partition in {record.partition for record in records}:
            self._moved[partition] = now

    def waits(self, now: datetime) -> None:
        """It holds records and waits for a server that is away: a new start would not help."""
        self._waited_at = now

    def saw(self, lags: Mapping[Partition, Lag], now: datetime) -> None:
        """The log answered: this is what the member owns and how far it is behind."""
        self._lags, self._looked_at = lags, now
        self._moved = {
            partition: self._moved.get(partition, now) if lag.records else now
            for partition, lag in lags.items()
        }
        for topic in self._topics:
            of_topic = [lag for partition, lag in lags.items() if partition.topic == topic]
            LAG_RECORDS.labels(self._group, topic).set(sum(lag.records for lag in of_topic))
            LAG_SECONDS.labels(self._group, topic).set(max((lag.seconds for lag in of_topic), default=0.0))

    def keeps_up(self, now: datetime, within: timedelta) -> bool:
        """Whether the log answered a moment ago and nothing older than this waits to be read."""
        if self._looked_at is None or now - self._looked_at > _JUST_NOW:
            return False
        return all(lag.seconds <= within.total_seconds() for lag in self._lags.values())

    def stuck(self, now: datetime) -> Sequence[str]:
        """Partitions that have had something to read for five minutes and did not move, in sentences.

        Empty while the log does not answer and while the member waits for another server.
        """
        if self._looked_at is None or now - self._looked_at > _LOOK_IS_FRESH:
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
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                self.saw(await consumer.lag(utcnow()), utcnow())
            except Exception as err:  # noqa: BLE001 - a figure that is missing for once harms nothing
                log.debug("lag unknown", action="lag_unknown", group=self._group, error=repr(err))
