"""The statements of the hot path, each for a whole batch. Nothing here commits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Content, Delivery
from services.notifier.domain.rates import PROGRAMS, ChannelRates, Rate, bucket_of
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
    `rates`: its channel's. Claimed, it starts only if its buckets let it: its address's must be full.
    """

    message: str
    delivery: Delivery
    lease_until: datetime | None = None
    waits_for: int | None = None
    rates: ChannelRates = PROGRAMS

    @property
    def rate(self) -> Rate | None:
        """That of its address."""
        return self.rates.of(self.delivery)

    @property
    def bucket(self) -> str:
        """The name of its address's; '' where there is none."""
        return bucket_of(self.delivery) if self.rate is not None else ""

    @property
    def message_id(self) -> str | None:
        """Starting, it goes alone."""
        return self.delivery.id if self.lease_until and self.rate is not None else None

    @property
    def starts_by_bucket(self) -> bool:
        """Whether it is to start, and buckets have a say in it."""
        return self.lease_until is not None and (self.rate is not None or self.rates.account is not None)


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
    "rank": "smallint",
    "bucket": "text",
    "message_id": "uuid",
}
_GIVEN: Final = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())
_NAMES: Final = ", ".join(_COLUMNS)
_CHOSEN: Final = ", ".join(
    {
        "attempts": "CASE WHEN waits THEN 0 ELSE attempts END",
        "lease_until": "CASE WHEN waits THEN NULL ELSE lease_until END",
        "held": "CASE WHEN settled THEN NULL ELSE held END",
        "message_id": "CASE WHEN waits THEN NULL ELSE message_id END",
        "content": "CAST(content AS json)",
    }.get(name, name)
    for name in _COLUMNS
)
# One token of the buckets of what is to start: an address's must be full, an account's hold enough. Whoever
# spends a token here knows of nothing else that waits for the address; while something may, a claim decides.
_TOKENS: Final = """
    , wanted AS (
        SELECT name, sum(seconds) AS cost, max(room) AS room, min(rank) AS rank
        FROM unnest(CAST(:spender AS uuid[]), CAST(:spends AS text[]), CAST(:seconds AS double precision[]),
                    CAST(:room AS double precision[])) AS s (id, name, seconds, room)
        JOIN given USING (id) WHERE NOT given.settled GROUP BY name
    ), token AS (
        INSERT INTO notifier.bucket AS b (name, full_at, rank)
        SELECT name, CAST(:now AS timestamptz) + make_interval(secs => cost), rank FROM wanted ORDER BY name
        ON CONFLICT (name) DO UPDATE SET
            full_at = greatest(b.full_at, :now) + (excluded.full_at - :now), rank = excluded.rank
        WHERE greatest(b.full_at, :now) + (excluded.full_at - :now)
              <= CAST(:now AS timestamptz)
                 + make_interval(secs => (SELECT w.room FROM wanted AS w WHERE w.name = b.name))
        RETURNING name
    )
"""
_REFUSED: Final = """
    OR given.id IN (SELECT s.id FROM unnest(CAST(:spender AS uuid[]), CAST(:spends AS text[])) AS s (id, name)
                    WHERE s.name NOT IN (SELECT name FROM token))
"""


def _insertion(*, tokens: bool) -> TextClause:
    return text(f"""
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
    ){_TOKENS if tokens else ""}, judged AS (
        SELECT given.*, given.settled OR given.lease_until IS NULL {_REFUSED if tokens else ""} AS waits
        FROM given
    ), written AS (
        INSERT INTO notifier.delivery ({_NAMES}, state)
        SELECT {_CHOSEN}, CASE WHEN settled THEN 'cancelled' WHEN waits THEN 'pending' ELSE 'sending' END
        FROM judged
        ON CONFLICT (id) DO NOTHING
        RETURNING id::text, state
    )
    SELECT id, state FROM written UNION ALL SELECT id, '' FROM fresh
    """)


_INSERT: Final = {tokens: _insertion(tokens=tokens) for tokens in (False, True)}


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
    that a later one settled is inserted as cancelled, one that its buckets do not let start as pending. Every
    delivery's incident is among `seen`; writing the same `seen` again changes nothing.
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
    spending = [spent for row in rows if row.starts_by_bucket for spent in _spending(row)]
    if spending:
        values |= {name: [one[name] for one in spending] for name in spending[0]}
    found = (await connection.execute(_INSERT[bool(spending)], values | {"now": now})).all()
    return Inserted(
        frozenset(row.id for row in found if not row.state),
        {row.id: row.state for row in found if row.state},
    )


def _spending(row: NewDelivery) -> Iterator[dict[str, Any]]:
    """The tokens that a delivery needs to start; `room`: the bucket may be this far from full after them."""
    rate, account, delivery = row.rate, row.rates.account, row.delivery
    if rate is not None:
        seconds = rate.every.total_seconds()
        yield {"spender": delivery.id, "spends": row.bucket, "seconds": seconds, "room": seconds}
    if account is not None:
        seconds = account.every.total_seconds()
        room = seconds * account.burst
        yield {"spender": delivery.id, "spends": delivery.channel, "seconds": seconds, "room": room}


def _value(row: NewDelivery, name: str, encoded: dict[int, str]) -> Any:
    match name:
        case "held":
            return row.waits_for
        case "lease_until" | "bucket" | "message_id":
            return getattr(row, name)
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
    WITH meant AS MATERIALIZED (  -- locked in the order in which results lock the rows of their pages
        SELECT d.id, s.why
        FROM unnest(CAST(:id AS text[]), CAST(:version AS integer[]), CAST(:why AS text[]))
             AS s (id, version, why)
             JOIN notifier.delivery AS d ON d.incident_id = s.id
        WHERE d.version < s.version AND d.state = 'pending'
          AND (d.page_id <> '' OR d.event = 'call'
               OR d.quiet_until IS NOT NULL AND s.why = ANY(CAST(:over AS text[])))
        ORDER BY d.id FOR UPDATE OF d
    )
    UPDATE notifier.delivery AS d SET state = 'cancelled', held = NULL, last_error = 'settled: ' || meant.why
    FROM meant WHERE d.id = meant.id
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


BUT_CONTENT: Final = """
    d.id::text, d.incident_id, d.version, d.page_id, d.notice_id, d.recipient_kind, d.recipient, d.channel,
    d.contact, d.address, d.secret, d.event, d.attempts, d.next_attempt_at, d.give_up_at,
    d.created_at, d.caused_at, d.first_attempt_at, coalesce(d.message_id::text, '') AS message_id, d.later,
    d.delayed_by, d.quiet_until
"""
FIELDS: Final = f"{BUT_CONTENT}, d.content::text AS content"


def delivery_of(row: Any, *besides: str) -> Delivery:
    """The delivery of a row of FIELDS and columns `besides`."""
    fields = dict(row._mapping)  # noqa: SLF001 - the public name of a row's mapping
    for name in besides:
        del fields[name]
    return Delivery(**(fields | {"content": _decode_content(fields["content"])}))


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
