"""Notices that an incident is over go to those a page has really reached, by the contacts it reached (rule
21).

The router knows who was to be paged, the notifier what was sent. An end notice is stored as waiting, and
decided in the same transaction, after pages that have not started were cancelled: it is sent where a page
went out, and cancelled where none did. While a page is under way the notice waits for its outcome, but no
longer than a send can take: in doubt it is sent.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Delivery
from services.notifier.storage import deliveries
from services.notifier.storage.deliveries import IncidentVersion

WAITS: Final = -1  # in `held`, in place of a partition
LONGEST_WAIT: Final = timedelta(seconds=25)  # longer than a send and its lease last


async def judge(connection: AsyncConnection, incidents: Iterable[str], now: datetime) -> int:
    """Release or cancel the waiting end notices of these incidents whose pages' outcomes are known; how many.

    By a contact that no page was addressed to (it may be new) people are told if a page has reached them by
    one that they no longer have.
    """
    given = {"incidents": sorted(set(incidents)), "waits": WAITS, "now": now}
    return (await connection.execute(_JUDGE, given)).rowcount


_JUDGE: Final = text("""
    WITH ending AS MATERIALIZED (
        SELECT id, incident_id, version, recipient_kind, recipient, contact,
               CAST(content -> 'notice' ->> 'paged_since' AS integer) AS since
        FROM notifier.delivery
        WHERE incident_id = ANY(CAST(:incidents AS text[])) AND held = :waits AND state = 'pending'
        ORDER BY id FOR UPDATE
    ), known AS (
        SELECT e.id,
               bool_or(p.reached AND p.contact = e.contact)
               OR bool_or(p.reached) AND NOT bool_or(p.contact = e.contact)
                  AND NOT bool_or(p.reached AND left_.id IS NOT NULL) AS reached,
               bool_or(p.state = 'sending') AS under_way
        FROM ending AS e LEFT JOIN (
                 SELECT *, state IN ('sent', 'delivered')
                           OR retried_at IS NOT NULL AND sent_at IS NOT NULL AS reached
                 FROM notifier.delivery
             ) AS p
             ON p.incident_id = e.incident_id AND p.page_id <> '' AND p.recipient = e.recipient
                AND p.recipient_kind = e.recipient_kind AND p.version >= e.since AND p.version < e.version
        LEFT JOIN notifier.delivery AS left_
             ON left_.incident_id = e.incident_id AND left_.version = e.version AND left_.notice_id <> ''
                AND left_.recipient = p.recipient AND left_.recipient_kind = p.recipient_kind
                AND left_.contact = p.contact
        GROUP BY e.id
    )
    UPDATE notifier.delivery AS d SET
        held = NULL,
        state = CASE WHEN known.reached THEN 'pending' ELSE 'cancelled' END,
        next_attempt_at = CASE WHEN known.reached THEN :now ELSE d.next_attempt_at END,
        last_error = CASE WHEN known.reached THEN '' ELSE 'no page has reached them there' END
    FROM known
    WHERE d.id = known.id AND (known.reached OR known.under_way IS NOT TRUE)
""")


_AT_THAT_MOMENT: Final = text(f"""
    SELECT {deliveries.FIELDS}
    FROM unnest(CAST(:id AS text[]), CAST(:version AS integer[]), CAST(:at AS timestamptz[]))
         AS s (id, version, at)
    JOIN notifier.delivery AS d ON d.incident_id = s.id
    WHERE d.page_id <> '' AND d.version < s.version
      AND (d.state = 'sending' OR d.state IN ('sent', 'delivered') AND d.sent_at >= s.at)
""")


async def paged_at_that_moment(
    connection: AsyncConnection, settled: Sequence[IncidentVersion]
) -> list[Delivery]:
    """The pages that were under way when the incident was settled, or went out after it."""
    values = {
        "id": [one.incident_id for one in settled],
        "version": [one.settled_version for one in settled],
        "at": [one.settled_at for one in settled],
    }
    return [deliveries.delivery_of(row) for row in await connection.execute(_AT_THAT_MOMENT, values)]
