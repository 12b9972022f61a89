"""Gather and apply: the SQL of one batch, one bulk statement a table.

One lock order everywhere (consumer, timers, API): ids in the inbox, sorted; then groups, sorted by rule and
values, where the policy has grouping; then incident rows, sorted by id, in one statement; then rotations that
the decisions have moved, sorted by policy and level; new incidents are inserted after that, sorted by
key. Two transactions that open the same key at once (two replicas around a change of partitions) meet in the
unique index `incident_open_key`: the second waits, fails with 23505, is tried again and then sees the first
one's incident (`is_race`). Timers lock with SKIP LOCKED and so wait for nobody. last_resort's one row comes
after all of these.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch import outcome_store, relation_store, rotation_store
from services.router.batch.inbound import InboundSignal
from services.router.batch.outgoing import records_of
from services.router.batch.unit_of_work import ParkedSignal, UnitOfWork
from services.router.domain.draft import customers
from services.router.domain.lifecycle import late_trigger
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Entry, Orphan
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import DeliveryReported, EventReceived, RelatedMessage, Signal
from services.router.domain.model.stored import decode, encode
from services.router.tables import SCHEMA
from shared.eventlog import codec
from shared.events import DeadLetter, DeliveryReport, IncidentEvent, RelatedChanged
from shared.outbox import outbox
from shared.outbox.memory import Written

ORPHANS_KEPT: Final = timedelta(days=7)
_LONGEST_KEY: Final = 1024  # of what is shown of a dead letter's key, in bytes


def is_race(err: BaseException) -> bool:
    """Whether two transactions opened the same key at once: to be tried again, nothing is wrong with it."""
    return isinstance(err, DBAPIError) and "incident_open_key" in str(err.orig)


async def gather(connection: AsyncConnection, signals: Sequence[InboundSignal], now: datetime) -> UnitOfWork:
    """Load and lock what the signals are about."""
    unit = UnitOfWork()
    keys = sorted({inbound.address for inbound in signals if not isinstance(inbound.address, str)})
    ids = sorted({inbound.address for inbound in signals if isinstance(inbound.address, str)})
    columns = {"integrations": [key[0] for key in keys], "keys": [key[1] for key in keys], "ids": ids}
    rows = (await connection.execute(_LOCK, columns | {"since": now - ORPHANS_KEPT})).all()
    for row in sorted((row for row in rows if row.state is not None), key=lambda row: row.ordinal):
        unit.know(decode(row.state))
    for row in rows:
        if row.state is None:
            unit.resolves[row.integration, row.dedup_key] = row.occurred_at
    await _set_aside_earlier(connection, unit)
    return unit


async def due(connection: AsyncConnection, most: int, *, among: Sequence[str] | None = None) -> UnitOfWork:
    """Claim incidents whose due time has come, highest priority first; what others hold is left alone.

    `among`: only of these ids.
    """
    unit = UnitOfWork()
    if among is None:
        rows = (await connection.execute(_CLAIM, {"most": most})).all()
    else:
        rows = (await connection.execute(_CLAIM_AMONG, {"most": most, "ids": list(among)})).all()
    for row in rows:
        unit.know(decode(row.state))
    await _set_aside_earlier(connection, unit)
    return unit


async def next_due(connection: AsyncConnection) -> datetime | None:
    """The earliest due time of all."""
    earliest: datetime | None = (await connection.execute(_NEXT_DUE)).scalar_one()
    return earliest


async def overdue(connection: AsyncConnection, seconds: float, most: int) -> int:
    """How many due times passed at least this long ago, counted up to a bound."""
    count: int = (await connection.execute(_OVERDUE, {"seconds": seconds, "most": most})).scalar_one()
    return count


async def apply(
    connection: AsyncConnection, unit: UnitOfWork, levels: "Levels", now: datetime
) -> Written | None:
    """Write everything that the batch decided; what of it the relay may take over after the commit."""
    written = await _write_decisions(connection, unit, levels, now)
    await rotation_store.write(connection, unit.moved, now)
    await relation_store.write(connection, unit.relations, now)
    await _write_orphans(connection, unit.orphans, now)
    await _write_set_aside(connection, unit)
    await _write_letters(connection, unit.letters)
    return written


class Levels:
    """What an incident's row shows beside it: its level's name, its customer's value, its first breach."""

    def __init__(self, context: Context, bundle_of: Callable[[Incident], CompiledBundle | None]) -> None:
        self._context = context  # the live policy, and who the customers are
        self._bundle_of = bundle_of

    def level(self, incident: Incident) -> str:
        if incident.chain.state in {"assignee", "grace"}:
            return incident.chain.state
        return self.place_name(incident)

    def place_name(self, incident: Incident) -> str:
        """The name of the place on its ladder, whoever is asked there now."""
        bundle = self._bundle_of(incident)
        policy = bundle.policies.get(incident.chain.policy) if bundle is not None else None
        return policy.level_name(incident.chain.level) if policy is not None else ""

    def customer_value(self, incident: Incident) -> float:
        customer = customers.find(self._context, incident.customer).customer
        return float(customer.value or 0) if customer is not None else 0.0

    def first_breach(self, incident: Incident) -> datetime | None:
        """When the first running clock is (or was) used up, to the second, so that it stays equal."""
        if not incident.clocks:
            return None
        bundle = self._bundle_of(incident)
        calendars = bundle.calendars if bundle is not None else {}
        ends = [end for clock in incident.clocks if (end := clock.reaches(1.0, calendars)) is not None]
        return (min(ends) + timedelta(milliseconds=500)).replace(microsecond=0) if ends else None


async def _set_aside_earlier(connection: AsyncConnection, unit: UnitOfWork) -> None:
    stuck = [incident.id for incident in unit.incidents.values() if incident.stuck is not None]
    if not stuck:
        return
    for row in await connection.execute(_SET_ASIDE, {"ids": stuck}):
        incident_id = str(row.incident_id)
        found = ParkedSignal(incident_id, _signal(row.kind, row.signal), row.at, row.error, row.seq)
        unit.waiting.setdefault(incident_id, []).append(found)


def _signal(kind: str, raw: str) -> Signal:
    if kind == "event":
        return EventReceived(msgspec.json.decode(raw, type=IncidentEvent))
    if kind == "related":
        return RelatedMessage(msgspec.json.decode(raw, type=RelatedChanged))
    return DeliveryReported(msgspec.json.decode(raw, type=DeliveryReport))


def _state(incident: Incident) -> str:
    with codec.writable():
        return encode(incident).decode()


_COLUMNS: Final[tuple[tuple[str, str, Callable[[Incident], Any]], ...]] = (
    ("id", "uuid", lambda i: i.id),
    ("integration", "text", lambda i: i.integration),
    ("dedup_key", "text", lambda i: i.dedup_key),
    ("status", "text", lambda i: i.status),
    ("priority", "smallint", lambda i: i.priority),
    ("tier", "text", lambda i: i.tier),
    ("customer", "text", lambda i: i.customer),
    ("service", "text", lambda i: i.service),
    ("kind", "text", lambda i: i.kind),
    ("assignee", "text", lambda i: i.assignee),
    ("title", "text", lambda i: i.title),
    ("policy", "text", lambda i: i.chain.policy),
    ("policy_hash", "text", lambda i: i.policy_hash),
    ("opened_at", "timestamptz", lambda i: i.opened_at),
    ("acknowledged_at", "timestamptz", lambda i: i.acknowledged_at),
    ("resolved_at", "timestamptz", lambda i: i.resolved_at),
    ("closed_at", "timestamptz", lambda i: i.closed_at),
    ("next_due_at", "timestamptz", lambda i: i.next_due_at),
    ("stuck", "boolean", lambda i: i.stuck is not None),
    ("version", "integer", lambda i: i.version),
    ("events", "bigint", lambda i: i.events),
    ("parent", "uuid", lambda i: i.parent or None),
    ("suppressed_by", "text", lambda i: i.suppressed_by),
    ("alert_group", "text", lambda i: i.alert_group or None),
    ("state", "text", _state),
)
_LATER_COLUMNS: Final = (
    ("level", "text"),
    ("customer_value", "double precision"),
    ("first_breach_at", "timestamptz"),
)


async def _write_decisions(
    connection: AsyncConnection, unit: UnitOfWork, levels: Levels, now: datetime
) -> Written | None:
    """Incidents, timeline and outbox in one statement: the way of every page, kept short."""
    records = records_of([*unit.messages, *unit.letters])
    parts: list[str] = []
    given: dict[str, Any] = {}
    if incidents := unit.to_write():
        parts.append("incidents")
        given |= _incident_columns(incidents, levels) | {"now": now}
    if unit.entries:
        parts.append("entries")
        given |= _entry_columns(unit.entries)
    written = [(unit.before[incident.id], incident) for incident in incidents]
    for part, columns in outcome_store.columns(written, unit.stays, levels.place_name).items():
        parts.append(part)
        given |= columns
    if records:
        parts.append("messages")
        given |= outbox.columns(SCHEMA, records)
    if not parts:
        return None
    row = (await connection.execute(_writing(tuple(parts)), given)).one()
    return outbox.written(row, records) if records else None


def _incident_columns(incidents: Sequence[Incident], levels: Levels) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: [value(incident) for incident in incidents] for name, _, value in _COLUMNS
    }
    columns["level"] = [levels.level(incident) for incident in incidents]
    columns["customer_value"] = [levels.customer_value(incident) for incident in incidents]
    columns["first_breach_at"] = [levels.first_breach(incident) for incident in incidents]
    return columns


def _entry_columns(entries: Sequence[tuple[str, Entry]]) -> dict[str, Any]:
    return {
        "ids": [incident_id for incident_id, _ in entries],
        "ats": [entry.at for _, entry in entries],
        "kinds": [entry.kind for _, entry in entries],
        "actors": [entry.actor for _, entry in entries],
        "texts": [entry.text for _, entry in entries],
        "reasons": [_reason(entry) for _, entry in entries],
    }


def _reason(entry: Entry) -> str | None:
    return None if entry.reason is None else codec.json_text(entry.reason.as_json())


async def _write_orphans(connection: AsyncConnection, orphans: Iterable[Orphan], now: datetime) -> None:
    events = [(orphan.event, orphan.reason) for orphan in orphans]
    if not events:
        return
    columns = {
        "integrations": [event.integration for event, _ in events],
        "keys": [event.dedup_key for event, _ in events],
        "actions": [event.action for event, _ in events],
        "ids": [event.event_id for event, _ in events],
        "occurred": [late_trigger.counted(event) for event, _ in events],  # what was said stands in `event`
        "reasons": [reason for _, reason in events],
        "events": [codec.json_text(event) for event, _ in events],
    }
    await connection.execute(_ORPHAN, columns | {"now": now})


async def _write_set_aside(connection: AsyncConnection, unit: UnitOfWork) -> None:
    if unit.taken_up:
        await connection.execute(_TAKEN_UP, {"seqs": unit.taken_up})
    if unit.aside:
        columns = {
            "ids": [each.incident_id for each in unit.aside],
            "ats": [each.at for each in unit.aside],
            "kinds": [_SET_ASIDE_AS[type(each.signal)] for each in unit.aside],
            "signals": [_stored(each.signal) for each in unit.aside],
            "errors": [each.error for each in unit.aside],
        }
        await connection.execute(_PUT_ASIDE, columns)


async def _write_letters(connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
    if not letters:
        return
    columns = {
        "ids": [letter.letter_id for letter in letters],
        "ats": [letter.at for letter in letters],
        "reasons": [letter.reason for letter in letters],
        "topics": [letter.from_topic for letter in letters],
        "partitions": [letter.partition for letter in letters],
        "offsets": [letter.offset for letter in letters],
        "keys": [
            letter.record_key[:_LONGEST_KEY].decode(errors="replace").replace("\0", "") for letter in letters
        ],
    }
    await connection.execute(_LETTER, columns)


_SET_ASIDE_AS: Final[Mapping[type, str]] = {
    EventReceived: "event",
    DeliveryReported: "report",
    RelatedMessage: "related",
}


def _stored(signal: Signal) -> str:
    if isinstance(signal, EventReceived):
        return codec.json_text(signal.event)
    if isinstance(signal, RelatedMessage):
        return codec.json_text(signal.message)
    assert isinstance(signal, DeliveryReported)
    return codec.json_text(signal.report)


def _upsert() -> str:
    columns = [(name, kind) for name, kind, _ in _COLUMNS] + list(_LATER_COLUMNS)
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns)
    chosen = ", ".join("CAST(state AS json)" if name == "state" else name for name, _ in columns)
    fixed = {"id", "integration", "dedup_key", "opened_at"}
    updates = ", ".join(f"{name} = excluded.{name}" for name, _ in columns if name not in fixed)
    return f"""
        INSERT INTO router.incident ({names}, updated_at)
        SELECT {chosen}, :now FROM unnest({arrays}) WITH ORDINALITY AS given ({names}, place)
        ORDER BY integration, dedup_key, place
        ON CONFLICT (id) DO UPDATE SET {updates}, updated_at = excluded.updated_at
    """


@cache
def _writing(parts: tuple[str, ...]) -> TextClause:
    written = ", ".join(f"{part} AS ({_PARTS[part]})" for part in parts)
    return text(f"WITH {written} {outbox.outcome(SCHEMA) if 'messages' in parts else 'SELECT 1'}")


# InitPlan first (which ids), then the rows by primary key, sorted, locked: the sort is below the locking.
# With them come the source times of resolves that were remembered for the same keys (rule 16).
_LOCK: Final = text("""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:integrations AS text[]), CAST(:keys AS text[]))
            AS wanted (integration, dedup_key)
    ), locked AS (
        SELECT ordinal, CAST(state AS text) AS state FROM router.incident
        WHERE id = ANY(ARRAY(
            SELECT newest.id FROM wanted
            CROSS JOIN LATERAL (
                SELECT i.id FROM router.incident i
                WHERE i.integration = wanted.integration AND i.dedup_key = wanted.dedup_key
                ORDER BY i.ordinal DESC LIMIT 1
            ) AS newest
            UNION SELECT unnest(CAST(:ids AS uuid[]))
        ))
        ORDER BY id FOR UPDATE
    )
    SELECT ordinal, state, NULL AS integration, NULL AS dedup_key, CAST(NULL AS timestamptz) AS occurred_at
    FROM locked
    UNION ALL
    SELECT NULL, NULL, integration, dedup_key, max(least(o.occurred_at, o.at))
    FROM wanted JOIN router.orphan o USING (integration, dedup_key)
    WHERE o.action = 'resolve' AND o.occurred_at IS NOT NULL AND o.at > :since
    GROUP BY integration, dedup_key
""")
# One index walk a priority: the order by priority costs no sort, however many are due.
_CLAIM: Final = text("""
    SELECT claimed.state FROM generate_series(1, 5) AS p
    CROSS JOIN LATERAL (
        SELECT CAST(state AS text) AS state FROM router.incident
        WHERE priority = p AND status <> 'closed' AND next_due_at <= transaction_timestamp()
        ORDER BY next_due_at LIMIT :most FOR UPDATE SKIP LOCKED
    ) AS claimed
    LIMIT :most
""")
_CLAIM_AMONG: Final = text("""
    SELECT CAST(state AS text) AS state FROM router.incident
    WHERE id = ANY(CAST(:ids AS uuid[])) AND status <> 'closed' AND next_due_at <= transaction_timestamp()
    ORDER BY priority, next_due_at LIMIT :most FOR UPDATE SKIP LOCKED
""")
_NEXT_DUE: Final = text("""
    SELECT min(first.next_due_at) FROM generate_series(1, 5) AS p
    CROSS JOIN LATERAL (
        SELECT next_due_at FROM router.incident WHERE priority = p AND status <> 'closed'
        ORDER BY next_due_at LIMIT 1
    ) AS first
""")
_OVERDUE: Final = text("""
    SELECT count(*) FROM generate_series(1, 5) AS p
    CROSS JOIN LATERAL (
        SELECT 1 FROM router.incident
        WHERE priority = p AND status <> 'closed'
          AND next_due_at <= transaction_timestamp() - make_interval(secs => :seconds)
        LIMIT :most
    ) AS late
""")
_SET_ASIDE: Final = text("""
    SELECT seq, incident_id, at, kind, CAST(signal AS text) AS signal, error FROM router.set_aside
    WHERE incident_id = ANY(CAST(:ids AS uuid[])) ORDER BY seq
""")
_TELL: Final = """
    INSERT INTO router.timeline (incident_id, at, kind, actor, text, reason)
    SELECT incident_id, at, kind, actor, text, CAST(reason AS json)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[]), CAST(:kinds AS text[]),
                CAST(:actors AS text[]), CAST(:texts AS text[]), CAST(:reasons AS text[]))
         WITH ORDINALITY AS given (incident_id, at, kind, actor, text, reason, place)
    ORDER BY place
"""
_PARTS: Final = {
    "incidents": _upsert(),
    "entries": _TELL,
    **outcome_store.PARTS,
    "messages": outbox.insertion(SCHEMA),
}
_ORPHAN: Final = text("""
    INSERT INTO router.orphan (integration, dedup_key, action, event_id, at, occurred_at, reason, event)
    SELECT integration, dedup_key, action, event_id, :now, occurred_at, reason, CAST(event AS json)
    FROM unnest(CAST(:integrations AS text[]), CAST(:keys AS text[]), CAST(:actions AS text[]),
                CAST(:ids AS text[]), CAST(:occurred AS timestamptz[]), CAST(:reasons AS text[]),
                CAST(:events AS text[]))
         AS given (integration, dedup_key, action, event_id, occurred_at, reason, event)
""")
_LETTER: Final = text("""
    INSERT INTO router.dead_letter (id, at, reason, from_topic, partition, "offset", record_key)
    SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:ats AS timestamptz[]), CAST(:reasons AS text[]),
                         CAST(:topics AS text[]), CAST(:partitions AS integer[]),
                         CAST(:offsets AS bigint[]), CAST(:keys AS text[]))
    ON CONFLICT DO NOTHING
""")
_TAKEN_UP: Final = text("DELETE FROM router.set_aside WHERE seq = ANY(CAST(:seqs AS bigint[]))")
_PUT_ASIDE: Final = text("""
    INSERT INTO router.set_aside (incident_id, at, kind, signal, error)
    SELECT incident_id, at, kind, CAST(signal AS json), error
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[]), CAST(:kinds AS text[]),
                CAST(:signals AS text[]), CAST(:errors AS text[]))
         WITH ORDINALITY AS given (incident_id, at, kind, signal, error, place)
    ORDER BY place
""")
