"""Apply: write what a batch decided, one bulk statement per table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import (
    incident_rows,
    outcome_store,
    parked_store,
    relation_store,
    rotation_store,
)
from services.router.batch.dead_letters import shown_key
from services.router.batch.deciding import Decided, SignalResult
from services.router.batch.expression_failures import Count
from services.router.batch.incident_rows import Levels
from services.router.batch.outgoing import records_of
from services.router.batch.unit_of_work import UnitOfWork
from services.router.domain.lifecycle import late_trigger
from services.router.domain.model.decision import Orphan
from services.router.tables import SCHEMA
from shared.eventlog import codec
from shared.events import DeadLetter, IncidentChanged
from shared.outbox import outbox
from shared.outbox.memory import Written
from shared.policy.cel.expressions import ExpressionPlace


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of a whole batch.

    `earliest` is the first due time among what was written, `spreads` whether something is to be told to
    many, `written` what the relay may take over after the commit.
    """

    results: Sequence[SignalResult] = ()
    earliest: datetime | None = None
    spreads: bool = False
    # expressions that could not be evaluated
    failures: Mapping[ExpressionPlace, Count] = field(default_factory=dict)
    written: Written | None = None


async def apply(connection: AsyncConnection, decided: Decided) -> BatchResult:
    """Write everything that the batch decided."""
    unit = decided.unit
    written = await _write_decisions(connection, unit, decided.levels)
    await rotation_store.write(connection, unit.moved, unit.now)
    await relation_store.write(connection, unit.relations, unit.now)
    await _write_orphans(connection, unit.orphans, unit.now)
    await parked_store.write(connection, unit)
    await _write_dead_letters(connection, unit.dead_letters)
    _count(unit)
    dues = [incident.next_due_at for incident in unit.to_write() if incident.next_due_at is not None]
    return BatchResult(
        decided.results,
        min(dues, default=None),
        bool(unit.relations.spreads),
        unit.failures,
        written,
    )


async def _write_decisions(connection: AsyncConnection, unit: UnitOfWork, levels: Levels) -> Written | None:
    """Incidents, timeline and outbox in one statement: every page comes this way, so keep it short."""
    records = records_of([*unit.messages, *unit.dead_letters])
    parts: list[str] = []
    given: dict[str, object] = {}
    if incidents := unit.to_write():
        parts.append("incidents")
        given |= incident_rows.incident_columns(incidents, levels)
        given["now"] = unit.now
    if unit.entries:
        parts.append("entries")
        given |= incident_rows.entry_columns(unit.entries)
    changes = [(unit.before[incident.id], incident) for incident in incidents]
    for part, columns in outcome_store.columns(changes, unit.stays, levels.place_name).items():
        parts.append(part)
        given |= columns
    if records:
        parts.append("messages")
        given |= outbox.columns(SCHEMA, records)
    if not parts:
        return None
    row = (await connection.execute(_writing(tuple(parts)), given)).one()
    return outbox.written(row, records) if records else None


async def _write_orphans(connection: AsyncConnection, orphans: Sequence[Orphan], now: datetime) -> None:
    events = [(orphan.event, orphan.reason) for orphan in orphans]
    if not events:
        return
    columns = {
        "integrations": [event.integration for event, _ in events],
        "keys": [event.dedup_key for event, _ in events],
        "actions": [event.action for event, _ in events],
        "ids": [event.event_id for event, _ in events],
        "occurred": [late_trigger.counted(event) for event, _ in events],  # what the event said is in `event`
        "reasons": [reason for _, reason in events],
        "events": [codec.json_text(event) for event, _ in events],
    }
    await connection.execute(_ORPHAN, columns | {"now": now})


async def _write_dead_letters(connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
    if not letters:
        return
    listed = sorted(letters, key=lambda letter: letter.letter_id)
    columns = {
        "ids": [letter.letter_id for letter in listed],
        "ats": [letter.at for letter in listed],
        "reasons": [letter.reason for letter in listed],
        "topics": [letter.from_topic for letter in listed],
        "partitions": [letter.partition for letter in listed],
        "offsets": [letter.offset for letter in listed],
        "keys": [shown_key(letter) for letter in listed],
    }
    await connection.execute(_DEAD_LETTERS, columns)


def _count(unit: UnitOfWork) -> None:
    for inbound in unit.signals:
        metrics.SIGNALS.labels(inbound.kind).inc()
    for message in unit.messages:
        if isinstance(message, IncidentChanged):
            for page in message.pages:
                metrics.PAGES.labels(page.through).inc()
            for each in message.clock_events:
                metrics.CLOCK_EVENTS.labels(each.target, each.event).inc()
            if "avoided" in message.changes:
                metrics.ESCALATIONS_AVOIDED.inc()
    for incident_id, entry in unit.entries:
        if entry.kind == late_trigger.HELD:
            metrics.TRIGGERS_HELD.labels(unit.incidents[incident_id].integration).inc()
    for letter in unit.dead_letters:
        metrics.DEAD_LETTERS.labels(letter.from_topic).inc()


@cache
def _writing(parts: tuple[str, ...]) -> TextClause:
    written = ", ".join(f"{part} AS ({_PARTS[part]})" for part in parts)
    return text(f"WITH {written} {outbox.outcome(SCHEMA) if 'messages' in parts else 'SELECT 1'}")


_PARTS: Final = {
    "incidents": incident_rows.UPSERT,
    "entries": incident_rows.ADD_ENTRIES,
    **outcome_store.PARTS,
    "messages": outbox.insertion(SCHEMA),
}
# New rows only.
_ORPHAN: Final = text("""
    INSERT INTO router.orphan (integration, dedup_key, action, event_id, at, occurred_at, reason, event)
    SELECT integration, dedup_key, action, event_id, :now, occurred_at, reason, CAST(event AS json)
    FROM unnest(CAST(:integrations AS text[]), CAST(:keys AS text[]), CAST(:actions AS text[]),
                CAST(:ids AS text[]), CAST(:occurred AS timestamptz[]), CAST(:reasons AS text[]),
                CAST(:events AS text[]))
         AS given (integration, dedup_key, action, event_id, occurred_at, reason, event)
""")
# Index dead_letter_pkey: a record that is set aside twice is noted once.
_DEAD_LETTERS: Final = text("""
    INSERT INTO router.dead_letter (id, at, reason, from_topic, partition, "offset", record_key)
    SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:ats AS timestamptz[]), CAST(:reasons AS text[]),
                         CAST(:topics AS text[]), CAST(:partitions AS integer[]),
                         CAST(:offsets AS bigint[]), CAST(:keys AS text[]))
    ON CONFLICT DO NOTHING
""")
