"""What is due: found in the order of sending, joined by what goes with it, claimed or put off. Nothing here
commits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import OUTSIDE, Delivery
from services.notifier.domain.dispatch import NOT_READ, READ, Dispatch
from services.notifier.storage.deliveries import BUT_CONTENT, FIELDS, delivery_of


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is due, and the bucket of its address; '' where it has none and goes alone."""

    delivery: Delivery
    bucket: str = ""

    @property
    def is_new(self) -> bool:
        """Whether no attempt was made at it: its message needs a token."""
        return self.delivery.attempts == 0


_DUE: Final = text(f"""
    WITH due AS MATERIALIZED (
        SELECT id, rank, next_attempt_at, endpoint, bucket, recipient_kind, recipient, contact, message_id,
               attempts
        FROM notifier.delivery
        WHERE state = 'pending' AND next_attempt_at <= :now
          AND NOT endpoint = ANY(CAST(:endpoints AS text[])) AND NOT host = ANY(CAST(:hosts AS text[]))
          AND NOT channel = ANY(CAST(:resting AS text[]))
        ORDER BY rank, next_attempt_at LIMIT 2000
    ), first AS (
        SELECT id, rank, next_attempt_at, endpoint FROM due WHERE bucket = ''
        UNION ALL
        (SELECT DISTINCT ON (bucket, recipient_kind, recipient, contact, side, message_id, tried)
                id, rank, next_attempt_at, endpoint
         FROM (SELECT *, rank >= {OUTSIDE} AS side, attempts > 0 AS tried FROM due WHERE bucket <> '') AS few
         ORDER BY bucket, recipient_kind, recipient, contact, side, message_id, tried, rank, next_attempt_at)
    ), near AS (
        SELECT id, rank, next_attempt_at,
               row_number() OVER (PARTITION BY endpoint ORDER BY rank, next_attempt_at) AS place
        FROM first
    )
    SELECT {FIELDS}, d.bucket FROM near JOIN notifier.delivery AS d USING (id)
    WHERE near.place <= :each AND d.state = 'pending'
    ORDER BY near.rank, near.next_attempt_at LIMIT :most
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
    resting: Sequence[str] = (),
) -> list[Due]:
    """Lock deliveries that are due, by rank, at most `each` to one endpoint; of those that go together one.

    `endpoints` and `hosts` are those without a free slot, `resting` channels whose account is used up; rows
    that another process has locked are skipped.
    """
    values = {"now": now, "endpoints": endpoints, "hosts": hosts, "each": each, "most": most}
    rows = await connection.execute(_DUE, values | {"resting": resting})
    return [Due(delivery_of(row, "bucket"), row.bucket) for row in rows]


_SAME_READER: Final = f"""
    d.state = 'pending' AND d.bucket = :bucket
    AND d.recipient_kind = :recipient_kind AND d.recipient = :recipient AND d.contact = :contact
    AND (d.rank >= {OUTSIDE}) = :outside AND d.message_id IS NULL
"""
_WITH: Final = {
    "new": f"{_SAME_READER} AND d.attempts = 0 AND d.next_attempt_at <= :now AND d.rank < :below",
    "tried": f"{_SAME_READER} AND d.attempts > 0",
    "again": "d.state = 'pending' AND d.message_id = CAST(:message_id AS uuid)",
}
_JOINING: Final = {
    which: text(f"""
        WITH locked AS MATERIALIZED (
            SELECT d.id, d.rank, coalesce(d.caused_at, d.created_at) AS since
            FROM notifier.delivery AS d WHERE {condition}
            FOR UPDATE SKIP LOCKED
        ), placed AS (
            SELECT id, row_number() OVER (ORDER BY rank, since, id) AS place FROM locked
        )
        SELECT {BUT_CONTENT}, CASE WHEN place <= {READ} THEN d.content::text END AS content
        FROM placed JOIN notifier.delivery AS d USING (id) ORDER BY place
    """)
    for which, condition in _WITH.items()
}


async def together(
    connection: AsyncConnection, first: Due, now: datetime, *, below: int | None = None
) -> list[Delivery]:
    """Lock what goes in one message with this delivery: all of it, the most pressing and oldest first.

    With a new one other new ones that are due (`below`: only of a smaller rank); with one that failed others
    that failed, whenever they are due again; with one whose message was interrupted exactly the others of it.
    Only the first few have their contents.
    """
    delivery = first.delivery
    which = "again" if delivery.message_id else "new" if first.is_new else "tried"
    if which == "again":
        given: dict[str, Any] = {"message_id": delivery.message_id}
    else:
        given = {
            "bucket": first.bucket,
            "recipient_kind": delivery.recipient_kind,
            "recipient": delivery.recipient,
            "contact": delivery.contact,
            "outside": delivery.rank >= OUTSIDE,
        }
    if which == "new":
        given |= {"now": now, "below": below if below is not None else 2 * OUTSIDE}
    return [_member(row) for row in await connection.execute(_JOINING[which], given)]


def _member(row: Any) -> Delivery:
    if row.content is not None:
        return delivery_of(row)
    return Delivery(**(dict(row._mapping) | {"content": NOT_READ}))  # noqa: SLF001 - the public name of a row's mapping


async def claim(connection: AsyncConnection, dispatches: Iterable[Dispatch], lease_until: datetime) -> None:
    """Move locked rows from pending to sending: leased, with one attempt more, each in its message."""
    statement = text("""
        UPDATE notifier.delivery AS d
        SET state = 'sending', attempts = attempts + 1, lease_until = :until, held = NULL,
            message_id = CASE WHEN d.bucket <> '' THEN m.message_id END
        FROM unnest(CAST(:ids AS uuid[]), CAST(:messages AS uuid[])) AS m (id, message_id)
        WHERE d.id = m.id
    """)
    pairs = [(member.id, one.id) for one in dispatches for member in one.members]
    given = {"ids": [name for name, _ in pairs], "messages": [message for _, message in pairs]}
    await connection.execute(statement, given | {"until": lease_until})


async def put_off(connection: AsyncConnection, buckets: Mapping[str, datetime], now: datetime) -> None:
    """What is new and due for these addresses waits until then."""
    statement = text("""
        UPDATE notifier.delivery AS d SET next_attempt_at = waiting.until
        FROM (
            SELECT w.id, b.until
            FROM unnest(CAST(:buckets AS text[]), CAST(:until AS timestamptz[])) AS b (name, until)
            CROSS JOIN LATERAL (
                SELECT id FROM notifier.delivery
                WHERE state = 'pending' AND bucket = b.name AND attempts = 0 AND next_attempt_at <= :now
                FOR UPDATE SKIP LOCKED
            ) AS w
        ) AS waiting
        WHERE d.id = waiting.id
    """)
    given = {"buckets": list(buckets), "until": list(buckets.values()), "now": now}
    await connection.execute(statement, given)
