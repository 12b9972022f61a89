"""From the log into the engine: fetch, decide, commit the transaction, then commit the offsets."""

import asyncio
from collections.abc import Mapping
from typing import Final

from services.router import dead_letters, metrics
from services.router.engine import Engine
from services.router.policies import NoPolicyError
from shared import telemetry
from shared.clock import utcnow
from shared.database import fault_of
from shared.eventlog import Consumer, EventLog, Lag, LogUnavailableError, Partition
from shared.events import DELIVERIES, INCIDENTS

log = telemetry.logger(__name__)

GROUP: Final = "ladder-router"
TOPICS: Final = (INCIDENTS, DELIVERIES)
_MOST: Final = 500
_WAIT_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 3.0
_LAG_SECONDS: Final = 5.0


class Consuming:
    """One member of the routers' group."""

    def __init__(self, event_log: EventLog, engine: Engine) -> None:
        self._log = event_log
        self._engine = engine
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
        pause = _PAUSE_SECONDS
        while True:
            try:
                await self._engine.take(arrivals)
                break
            except Exception as err:  # noqa: BLE001 - whatever it is: these records come before any others
                known = fault_of(err) is not None or isinstance(err, NoPolicyError)
                say = log.warning if known else log.error
                say("cannot store, trying again", action="consume_paused", error=repr(err))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        try:
            await consumer.commit(records)
        except LogUnavailableError as err:  # they come again and are dropped by the inbox
            log.warning("offsets not committed", action="commit_failed", error=str(err))
        return len(records)

    async def run(self) -> None:
        """Consume for ever."""
        while True:
            try:
                async with self._log.consumer(GROUP, TOPICS) as consumer:
                    watching = asyncio.create_task(_watch_lag(consumer), name="router lag")
                    try:
                        while True:
                            await self.consume_once(consumer)
                    finally:
                        watching.cancel()
                        await asyncio.gather(watching, return_exceptions=True)
            except Exception:
                log.exception("consuming failed, joining anew", action="consume_failed")
                await asyncio.sleep(1)


def report_lag(lags: Mapping[Partition, Lag]) -> None:
    """Show the lag of what this member owns, by topic: all its records, the age of the oldest."""
    for topic in TOPICS:
        of_topic = [lag for partition, lag in lags.items() if partition.topic == topic]
        metrics.LAG_RECORDS.labels(GROUP, topic).set(sum(lag.records for lag in of_topic))
        metrics.LAG_SECONDS.labels(GROUP, topic).set(max((lag.seconds for lag in of_topic), default=0.0))


async def _watch_lag(consumer: Consumer) -> None:
    while True:
        await asyncio.sleep(_LAG_SECONDS)
        try:
            report_lag(await consumer.lag(utcnow()))
        except Exception as err:  # noqa: BLE001 - a figure that is missing for once harms nothing
            log.debug("lag unknown", action="lag_unknown", error=repr(err))
