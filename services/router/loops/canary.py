"""The canary in the router: decided, kept in a table of its own, resolved by its report.

It appears in no list, report or count, since the tables of incidents never hold it. Whatever goes wrong with
it affects nothing else: the next one comes in a minute, and its absence is the very signal.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.domain import canary as deciding
from services.router.domain.model.signals import DeliveryReported, EventReceived
from services.router.domain.model.stored import decode, encode
from services.router.policy import installation
from services.router.tables import SCHEMA
from shared import telemetry
from shared.clock import stopwatch
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from shared.eventlog import codec
from shared.events import DeliveryReport, IncidentEvent, canary
from shared.loops.repeat import for_ever
from shared.outbox import outbox

log = telemetry.logger(__name__)

OVERDUE_AFTER: Final = 3  # times its period
_LOOK_EVERY_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 5.0

SECONDS: Final = Histogram(
    "ladder_canary_seconds",
    "From letting the canary in to its report: a whole way through all services",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180),
)
FAILED: Final = Counter("ladder_canary_failed_total", "Canaries that were lost by a fault in the router")
LAST_ARRIVAL: Final = Gauge(
    "ladder_canary_last_arrival_timestamp_seconds", "When a canary arrived last, wherever; 0: never yet"
)
AGE: Final = Gauge(
    "ladder_canary_age_seconds", "How long ago a canary arrived last, or since this process waits for one"
)
OVERDUE: Final = Gauge("ladder_canary_overdue", "1 when no canary has arrived for three times its period")


def is_canary(inbound: InboundSignal) -> bool:
    """Whether this is one, or the report about its page."""
    match inbound.signal:
        case EventReceived(event):
            return canary.is_canary(event)
        case DeliveryReported():
            return inbound.address == canary.ID
        case _:
            return False


async def accept(engine: Engine, signals: Iterable[InboundSignal]) -> None:
    """Let these take their step. Raises nothing: what fails is logged, and missed by whoever waits for it."""
    for inbound in signals:
        try:
            await _accept(engine, inbound)
        except Exception as err:
            if kind_of(err) is Kind.AWAY:
                log.info("canary lost", action="canary_lost", error=repr(err)[:300])
            else:
                FAILED.inc()
                log.exception("canary lost", action="canary_lost")


async def _accept(engine: Engine, inbound: InboundSignal) -> None:
    signal = inbound.signal
    if isinstance(signal, EventReceived):
        event = signal.event
        await engine.transaction(lambda connection, now, _: _open(connection, event, now))
    elif isinstance(signal, DeliveryReported):
        report = signal.report
        took = await engine.transaction(lambda connection, now, _: _answer(connection, report, now))
        if took is not None:
            SECONDS.observe(max(0.0, took.total_seconds()))
    engine.wake_relay()


async def _open(connection: AsyncConnection, event: IncidentEvent, now: datetime) -> None:
    decision = deciding.opened(event, now)
    assert decision.incident is not None
    values = {
        "name": event.dedup_key,
        "page_id": deciding.page_of(decision),
        "let_in_at": event.received_at,
        "now": now,
        "incident": encode(decision.incident).decode(),
    }
    ordinal = (await connection.execute(_CLAIM, values)).scalar()
    if ordinal is None:
        return  # from another intake process: this one has been accepted
    await outbox.add(connection, SCHEMA, [codec.encode(deciding.message_of(decision, ordinal))])


async def _answer(connection: AsyncConnection, report: DeliveryReport, now: datetime) -> timedelta | None:
    """How long it took; None for one that did not arrive, or had before."""
    row = (await connection.execute(_WAITING, {"page_id": report.page_id})).one_or_none()
    if row is None:
        return None
    decision = deciding.answered(decode(row.incident), report, now)
    if decision is None:
        log.warning("canary not sent", action="canary_unsent", reason=report.reason)
        return None
    assert decision.incident is not None
    await installation.heard(connection, report.sends, now)
    values = {"ordinal": row.ordinal, "now": now, "incident": encode(decision.incident).decode()}
    await connection.execute(_ARRIVED, values)
    await outbox.add(connection, SCHEMA, [codec.encode(deciding.message_of(decision, row.ordinal))])
    let_in_at: datetime = row.let_in_at
    return now - let_in_at


class Watch:
    """When a canary last arrived, as every replica sees it. `clock` counts seconds."""

    def __init__(
        self, database: Database, every: timedelta, *, clock: Callable[[], float] = stopwatch
    ) -> None:
        self._database = database
        self._every = every.total_seconds()
        self._clock = clock
        self._arrived_at = clock()  # by this process's clock; before the first one, since it has been waiting
        self._said = False
        AGE.set_function(lambda: self.age)
        OVERDUE.set_function(lambda: float(self.overdue() is not None))

    @property
    def age(self) -> float:
        """Seconds since the last arrival; it keeps growing while the database cannot be asked."""
        return self._clock() - self._arrived_at if self._every else 0.0

    def overdue(self) -> str | None:
        """A sentence if none has arrived for three times the period; otherwise None."""
        if self.age <= OVERDUE_AFTER * self._every or not self._every:
            return None
        return f"no canary has come through all services for {self.age:.0f} s"

    async def look_once(self) -> None:
        """Update the age. Raises the database's errors."""
        async with asyncio.timeout(_LOOK_SECONDS), self._database.transaction() as connection:
            row = (await connection.execute(_LAST)).one()
        if row.at is not None:
            LAST_ARRIVAL.set(row.at)
            self._arrived_at = self._clock() - max(0.0, row.age)

    async def run(self) -> None:
        """Look for ever; not at all if the canary is switched off."""
        if self._every:
            await for_ever("router canary", self._look, self._database.outage, every=_LOOK_EVERY_SECONDS)

    async def _look(self) -> None:
        try:
            await self.look_once()
        finally:  # the age also grows while nobody can look
            self._say()

    def _say(self) -> None:
        why = self.overdue()
        if why is not None and not self._said:
            log.error(why, action="canary_overdue")
        elif why is None and self._said:
            log.warning("canaries come through again", action="canary_back")
        self._said = why is not None


_CLAIM: Final = text("""
    INSERT INTO router.canary (name, page_id, let_in_at, taken_at, incident)
    VALUES (:name, :page_id, :let_in_at, :now, CAST(:incident AS json))
    ON CONFLICT (name) DO NOTHING RETURNING ordinal
""")
_WAITING: Final = text("""
    SELECT ordinal, let_in_at, CAST(incident AS text) AS incident FROM router.canary
    WHERE page_id = :page_id AND arrived_at IS NULL FOR UPDATE
""")
_ARRIVED: Final = text("""
    UPDATE router.canary SET arrived_at = :now, incident = CAST(:incident AS json) WHERE ordinal = :ordinal
""")
_LAST: Final = text("""
    SELECT CAST(extract(epoch FROM max(arrived_at)) AS float8) AS at,
           CAST(extract(epoch FROM clock_timestamp() - max(arrived_at)) AS float8) AS age
    FROM router.canary
""")
