"""What a provider says later of a message: which delivery it is about, and its state after that.

Nothing here commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Delivery, State
from services.notifier.domain.delivery_outcome import Verdict
from services.notifier.storage.deliveries import FIELDS, delivery_of


@dataclass(frozen=True, slots=True)
class Known:
    """A delivery as it stands, and the provider's id of its last message ('' while that is not written)."""

    delivery: Delivery
    state: State
    reference: str


async def locked(
    connection: AsyncConnection, channel: str, reference: str, message_id: str
) -> Sequence[Known]:
    """The deliveries whose last message has this id of the provider, or else those in the message of this id.

    They are locked with all others of their pages, so that the last failure of a page is known as such.
    """
    found: list[str] = []
    if reference:
        given = {"channel": channel, "reference": reference}
        found = list((await connection.execute(_BY_REFERENCE, given)).scalars())
    if not found and message_id:
        found = list((await connection.execute(_BY_MESSAGE, {"id": message_id})).scalars())
    if not found:
        return ()
    await connection.execute(_LOCK, {"ids": found})
    rows = await connection.execute(_BY_ID, {"ids": found, "channel": channel})
    return [Known(delivery_of(row, "state", "reference"), row.state, row.reference) for row in rows]


async def write(
    connection: AsyncConnection, known: Known, verdict: Verdict, reference: str, now: datetime
) -> State:
    """The state after the receipt: a page or call that nobody needs any more is cancelled, not pending."""
    given = {
        "id": known.delivery.id,
        "state": verdict.state,
        "error": verdict.reason,
        "next": verdict.next_attempt_at,
        "reference": reference if verdict.state != "pending" else "",
        "now": now,
    }
    state: State = (await connection.execute(_WRITE, given)).scalar_one()
    return state


_BY_REFERENCE: Final = text("""
    SELECT id::text FROM notifier.delivery
    WHERE channel = :channel AND reference = :reference AND reference <> ''
""")
_BY_MESSAGE: Final = text("""
    SELECT id::text FROM notifier.delivery WHERE id = CAST(:id AS uuid)
    UNION SELECT id::text FROM notifier.delivery
    WHERE message_id = CAST(:id AS uuid) AND state IN ('pending', 'sending')
""")
_LOCK: Final = text("""
    WITH meant AS MATERIALIZED (
        SELECT id, incident_id, page_id FROM notifier.delivery WHERE id = ANY(CAST(:ids AS uuid[]))
    )
    SELECT 1 FROM notifier.delivery AS d
    WHERE d.id IN (
        SELECT id FROM meant UNION
        SELECT other.id FROM meant JOIN notifier.delivery AS other
            ON other.incident_id = meant.incident_id AND other.page_id = meant.page_id
        WHERE meant.page_id <> ''
    )
    ORDER BY d.id FOR UPDATE OF d
""")
_BY_ID: Final = text(f"""
    SELECT {FIELDS}, d.state, d.reference FROM notifier.delivery AS d
    WHERE d.id = ANY(CAST(:ids AS uuid[])) AND d.channel = :channel ORDER BY d.id
""")
_WRITE: Final = text("""
    UPDATE notifier.delivery AS d SET
        state = CASE WHEN CAST(:state AS text) = 'pending' AND (d.page_id <> '' OR d.event = 'call')
                          AND i.settled_version > d.version
                     THEN 'cancelled' ELSE CAST(:state AS text) END,
        lease_until = NULL,
        held = NULL,
        message_id = CASE WHEN CAST(:state AS text) = 'pending' THEN NULL ELSE d.message_id END,
        next_attempt_at = coalesce(CAST(:next AS timestamptz), d.next_attempt_at),
        last_error = :error,
        first_attempt_at = coalesce(d.first_attempt_at, CAST(:now AS timestamptz)),
        sent_at = CASE WHEN CAST(:state AS text) = 'delivered'
                       THEN coalesce(d.sent_at, CAST(:now AS timestamptz)) ELSE d.sent_at END,
        reference = :reference
    FROM notifier.incident AS i
    WHERE d.id = CAST(:id AS uuid) AND i.id = d.incident_id
    RETURNING d.state
""")
