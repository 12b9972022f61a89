"""The statements of the hot path, each for a whole batch. Nothing here commits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Content, Delivery
from services.notifier.storage.tables import SCHEMA
from shared.outbox import processed_messages

_decode_content = msgspec.json.Decoder(Content).decode
_encode_content = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class IncidentVersion:
    """What a batch says about one incident: its newest version, and the last that settled its pages."""

    incident_id: str
    version: int
    settled_version: int = 0
    settled_at: datetime | None = None
    why: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to insert: pending, or already claimed by this process (`lease_until` is set).

    `message`: the id of the message that asks for it. `waits_for`: the partition that has to catch up first.
    """

    message: str
    delivery: Delivery
    lease_until: datetime | None = None
    waits_for: int | None = None


_COLUMNS: Final[Mapping[str, str]] = {
    "id": "uuid",
    "incident_id": "text",
    "version": "integer",
    "page_id": "text",
    "notice_id": "text",
    "recipient_kind": "text",
    "recipient": "text",
    "channel": "text",
    "contact": "text",
    "address": "text",
    "secret": "text",
    "event": "text",
    "endpoint": "text",
    "host": "text",
    "attempts": "integer",
    "next_attempt_at": "timestamptz",
    "give_up_at": "timestamptz",
    "lease_until": "timestamptz",
    "held": "integer",
    "content": "text",
    "created_at": "timestamptz",
    "caused_at": "timestamptz",
    "later": "smallint",
    "delayed_by": "text",
    "quiet_until": "timestamptz",
}
_GIVEN: Final = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())
_NAMES: Final = ", ".join(_COLUMNS)
_CHOSEN: Final = ", ".join(
    {
        "attempts": "CASE WHEN settled THEN 0 ELSE attempts END",
        "lease_until": "CASE WHEN settled THEN NULL ELSE lease_until END",
        "held": "CASE WHEN settled THEN NULL ELSE held END",
        "content": "CAST(content AS json)",
    }.get(name, name)
    for name in _COLUMNS
)

_INSERT: Final = text(f"""
    WITH fresh AS ({processed_messages.insertion(SCHEMA)}), known AS (
        INSERT INTO notifier.incident AS i
            (id, version, settled_version, settled_at, settled_why, settled_by, updated_at)
        SELECT s.id, s.version, s.settled_version, s.settled_at, s.why, s.by, :now
        FROM unnest(CAST(:seen_id AS text[]), CAST(:seen_version AS integer[]),
                    CAST(:settled_version AS integer[]), CAST(:settled_at AS timestamptz[]),
                    CAST(:settled_why AS text[]), CAST(:settled_by AS text[]))
             AS s (id, version, settled_version, settled_at, why, by)
        ORDER BY s.id
        ON CONFLICT (id) DO UPDATE SET
            version = greatest(i.version, excluded.version),
            settled_version = greatest(i.settled_version, excluded.settled_version),
            settled_at = CASE WHEN excluded.settled_version > i.settled_version
                              THEN excluded.settled_at ELSE i.settled_at END,
            settled_why = CASE WHEN excluded.settled_version > i.settled_version
                               THEN excluded.settled_why ELSE i.settled_why END,
            settled_by = CASE WHEN excluded.settled_version > i.settled_version
                              THEN excluded.settled_by ELSE i.settled_by END,
            updated_at = excluded.updated_at
        RETURNING i.id, i.settled_version
    ), given AS (
        SELECT d.*, (d.page_id <> '' OR d.event = 'call') AND known.settled_version > d.version AS settled
        FROM unnest(CAST(:message AS text[]), {_GIVEN}) AS d (message, {_NAMES})
        JOIN known ON known.id = d.incident_id
        JOIN fresh ON fresh.id = d.message
    ), written AS (
        INSERT INTO notifier.delivery ({_NAMES}, state)
        SELECT {_CHOSEN},
               CASE WHEN settled THEN 'cancelled' WHEN lease_until IS NULL THEN 'pending' ELSE 'sending' END
        FROM given
        ON CONFLICT (id) DO NOTHING
        RETURNING id::text, state
    )
    SELECT id, state FROM written UNION ALL SELECT id, '' FROM fresh
""")


@dataclass(frozen=True, slots=True)
class Inserted:
    """The ids of messages that are new, and the states of the deliveries that are, by id."""

    fresh: frozenset[str]
    states: Mapping[str, str]


async def insert(
    connection: AsyncConnection,
    messages: Iterable[str],
    seen: Sequence[IncidentVersion],
    rows: Sequence[NewDelivery],
    now: datetime,
) -> Inserted:
    """Insert the message ids of a batch, its incidents' versions and its deliveries, in one statement.

    Deliveries of messages that are not new are skipped, as are those that exist already. A page of a version
    that a later one settled is inserted as cancelled. Every delivery's incident is among `seen`; writing the
    same `seen` again changes nothing.
    """
    encoded: dict[int, str] = {}
    values = {name: [_value(row, name, encoded) for row in rows] for name in _COLUMNS}
    values |= {
        "seen_id": [one.incident_id for one in seen],
        "seen_version": [one.version for one in seen],
        "settled_version": [one.settled_version for one in seen],
        "settled_at": [one.settled_at for one in seen],
        "settled_why": [one.why for one in seen],
        "settled_by": [one.by for one in seen],
        "inbox_ids": sorted(set(messages)),
        "message": [row.message for row in rows],
    }
    found = (await connection.execute(_INSERT, values | {"now": now})).all()
    return Inserted(
        frozenset(row.id for row in found if not row.state),
        {row.id: row.state for row in found if row.state},
    )


def _value(row: NewDelivery, name: str, encoded: dict[int, str]) -> Any:
    match name:
        case "lease_until":
            return row.lease_until
        case "held":
            return row.waits_for
        case "attempts":
            return 1 if row.lease_until else 0
        case "content":  # all contacts of a page share one content
            key = id(row.delivery.content)
            if key not in encoded:
                encoded[key] = _encode_content(row.delivery.content).decode()
            return encoded[key]
        case _:
            return getattr(row.delivery, name)


_CANCEL: Final = text("""
    UPDATE notifier.delivery AS d SET state = 'cancelled', held = NULL, last_error = 'settled: ' || s.why
    FROM unnest(CAST(:id AS text[]), CAST(:version AS integer[]), CAST(:why AS text[]))
         AS s (id, version, why)
    WHERE d.incident_id = s.id AND d.version < s.version AND d.state = 'pending'
      AND (d.page_id <> '' OR d.event = 'call'
           OR d.quiet_until IS NOT NULL AND s.why = ANY(CAST(:over AS text[])))
""")
_OVER: Final = ("resolved", "closed", "merged", "dropped")
"""Why pages were called off for good: what was to be told after quiet hours is no news any more."""


async def cancel(connection: AsyncConnection, settled: Sequence[IncidentVersion]) -> int:
    """Cancel pages and calls of settled incidents that have not started, and what waits for the end of quiet
    hours if they are over; how many.
    """
    values = {
        "over": list(_OVER),
        "id": [one.incident_id for one in settled],
        "version": [one.settled_version for one in settled],
        "why": [one.why for one in settled],
    }
    return (await connection.execute(_CANCEL, values)).rowcount


FIELDS: Final = """
    d.id::text, d.incident_id, d.version, d.page_id, d.notice_id, d.recipient_kind, d.recipient, d.channel,
    d.contact, d.address, d.secret, d.event, d.attempts, d.next_attempt_at, d.give_up_at,
    d.content::text AS content, d.created_at, d.caused_at, d.first_attempt_at, d.later, d.delayed_by,
    d.quiet_until
"""


def delivery_of(row: Any, *besides: str) -> Delivery:
    """The delivery of a row of FIELDS and columns `besides`."""
    fields = dict(row._mapping)  # noqa: SLF001 - the public name of a row's mapping
    for name in besides:
        del fields[name]
    return Delivery(**(fields | {"content": _decode_content(fields["content"])}))


_DUE: Final = text(f"""
    WITH near AS (
        SELECT id, page_id = '' AS patient, next_attempt_at,
               row_number() OVER (PARTITION BY endpoint ORDER BY page_id = '', next_attempt_at) AS place
        FROM (
            SELECT id, page_id, next_attempt_at, endpoint FROM notifier.delivery
            WHERE state = 'pending' AND next_attempt_at <= :now
              AND NOT endpoint = ANY(CAST(:endpoints AS text[])) AND NOT host = ANY(CAST(:hosts AS text[]))
            ORDER BY page_id = '', next_attempt_at LIMIT 2000
        ) AS due
    )
    SELECT {FIELDS} FROM near JOIN notifier.delivery AS d USING (id)
    WHERE near.place <= :each AND d.state = 'pending'
    ORDER BY near.patient, near.next_attempt_at LIMIT :most
    FOR UPDATE OF d SKIP LOCKED
""")


async def due(
    connection: AsyncConnection,
    now: datetime,
    *,
    endpoints: Sequence[str],
    hosts: Sequence[str],
    each: int,
    most: int,
) -> list[Delivery]:
    """Lock deliveries that are due, pages first, at most `each` to one endpoint.

    `endpoints` and `hosts` are those without a free slot; rows that another process has locked are skipped.
    """
    values = {"now": now, "endpoints": endpoints, "hosts": hosts, "each": each, "most": most}
    return [delivery_of(row) for row in await connection.execute(_DUE, values)]


async def claim(connection: AsyncConnection, ids: Sequence[str], lease_until: datetime) -> None:
    """Move rows that `due` has locked from pending to sending: leased, with one attempt more."""
    statement = text("""
        UPDATE notifier.delivery
        SET state = 'sending', attempts = attempts + 1, lease_until = :until, held = NULL
        WHERE id = ANY(CAST(:ids AS uuid[]))
    """)
    await connection.execute(statement, {"ids": ids, "until": lease_until})


async def settled_versions(connection: AsyncConnection, incident_ids: Sequence[str]) -> dict[str, int]:
    """The version that last settled each incident's pages; 0 for never."""
    statement = text("""
        SELECT id, settled_version FROM notifier.incident WHERE id = ANY(CAST(:ids AS text[]))
    """)
    result = await connection.execute(statement, {"ids": incident_ids})
    return {row.id: row.settled_version for row in result}


async def release_waiting(connection: AsyncConnection, partitions: Sequence[int], now: datetime) -> None:
    """These partitions have caught up: what waited for them is due now."""
    statement = text("""
        UPDATE notifier.delivery SET held = NULL, next_attempt_at = least(next_attempt_at, :now)
        WHERE held = ANY(CAST(:partitions AS integer[])) AND state = 'pending'
    """)
    await connection.execute(statement, {"partitions": partitions, "now": now})
