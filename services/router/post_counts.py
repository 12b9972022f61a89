"""Outcomes of posts, counted by all replicas of intake and kept by integration and outcome."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.domain.model.signals import EventReceived
from services.router.tables import SCHEMA
from shared import telemetry
from shared.errors.kinds import Kind, kind_of
from shared.events import IncidentEvent, post_counts
from shared.events.post_counts import Counted
from shared.outbox import processed_messages

log = telemetry.logger(__name__)


def is_post_counts(inbound: InboundSignal) -> bool:
    """Whether this signal carries counts of posts."""
    return isinstance(inbound.signal, EventReceived) and post_counts.is_post_counts(inbound.signal.event)


async def accept(engine: Engine, signals: Iterable[InboundSignal]) -> None:
    """Add these counts; repeats change nothing. Raises when the database is away; refused: dropped."""
    for inbound in signals:
        if isinstance(inbound.signal, EventReceived):
            await _accept(engine, inbound.signal.event)


async def kept(connection: AsyncConnection) -> Mapping[str, Sequence[Counted]]:
    """By integration, the latest outcome first."""
    found: dict[str, list[Counted]] = {}
    for row in await connection.execute(_ALL):
        counted = Counted(
            integration=row.integration,
            outcome=row.outcome,
            count=row.times,
            at=row.at,
            reason=row.reason,
            event=row.event,
        )
        found.setdefault(row.integration, []).append(counted)
    return found


async def _accept(engine: Engine, event: IncidentEvent) -> None:
    counts = sorted(post_counts.counts_in(event), key=lambda each: (each.integration, each.outcome))
    try:
        async with engine.database.transaction() as connection:
            if (
                not await processed_messages.new_ids(connection, SCHEMA, [event.event_id], event.received_at)
                or not counts
            ):
                return
            given = {
                "integrations": [each.integration for each in counts],
                "outcomes": [each.outcome for each in counts],
                "counts": [each.count for each in counts],
                "ats": [each.at for each in counts],
                "reasons": [each.reason for each in counts],
                "events": [each.event for each in counts],
            }
            await connection.execute(_ADD, given)
    except Exception as err:
        if kind_of(err) is not Kind.REFUSED:
            raise
        log.exception(
            "post counts could not be stored: dropped", action="posts_refused", event_id=event.event_id
        )


_ADD: Final = text("""
    INSERT INTO router.post AS p (integration, outcome, count, at, reason, event)
    SELECT * FROM unnest(
        CAST(:integrations AS text[]), CAST(:outcomes AS text[]), CAST(:counts AS bigint[]),
        CAST(:ats AS timestamptz[]), CAST(:reasons AS text[]), CAST(:events AS int[]))
    ON CONFLICT (integration, outcome) DO UPDATE SET
        count = p.count + excluded.count,
        at = GREATEST(p.at, excluded.at),
        reason = CASE WHEN excluded.at >= p.at THEN excluded.reason ELSE p.reason END,
        event = CASE WHEN excluded.at >= p.at THEN excluded.event ELSE p.event END
""")
_ALL: Final = text("""
    SELECT integration, outcome, count AS times, at, reason, event FROM router.post
    ORDER BY integration, at DESC, outcome
""")
