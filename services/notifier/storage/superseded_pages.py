"""A newer page replaces a pending older one for the same incident, person and contact, which is cancelled.

After an outage of the receiver only the newest goes out (docs/rules.md, rule 21). A page that only asks to
look never replaces one that asks to take the incident: an answer to it would take nothing. Nor does one that
waits for the end of quiet hours replace one that does not (rule 12).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import metrics
from services.notifier.domain.delivery_outcome import superseded
from services.notifier.storage import deliveries
from shared.events import LOOKING, DeliveryReport


async def supersede(
    connection: AsyncConnection, incidents: Iterable[str], now: datetime
) -> list[DeliveryReport]:
    """Cancel the pending pages of these incidents that newer ones replace; the reports for the router."""
    given = {"incidents": sorted(set(incidents)), "looking": sorted(LOOKING)}
    if not given["incidents"]:
        return []
    rows = (await connection.execute(_SUPERSEDE, given)).all()
    for row in rows:
        metrics.PAGES.labels(row.channel, "superseded").inc()
    return [superseded(deliveries.delivery_of(row, "newer"), row.newer, now) for row in rows]


async def inherit(connection: AsyncConnection, incidents: Iterable[str]) -> None:
    """Let the waiting steps of newer pages start when those that they replace would have.

    Otherwise one who is paged every minute would never get the step that comes after two. To be called before
    `supersede`.
    """
    given = {"incidents": sorted(set(incidents)), "looking": sorted(LOOKING)}
    await connection.execute(_INHERIT, given)


_INHERIT: Final = text("""
    WITH older AS MATERIALIZED (
        SELECT id, incident_id, version, recipient_kind, recipient, contact, later, next_attempt_at,
               coalesce(content -> 'page' ->> 'through', '') = ANY(CAST(:looking AS text[])) AS looks
        FROM notifier.delivery
        WHERE incident_id = ANY(CAST(:incidents AS text[])) AND state = 'pending' AND page_id <> ''
          AND quiet_until IS NULL
        ORDER BY id FOR UPDATE
    ), earlier AS (
        SELECT n.id, min(older.next_attempt_at) AS at
        FROM older JOIN notifier.delivery AS n
             ON n.incident_id = older.incident_id AND n.page_id <> '' AND n.version > older.version
                AND n.recipient = older.recipient AND n.contact = older.contact
                AND n.recipient_kind = older.recipient_kind AND n.later = older.later
        WHERE n.state = 'pending' AND n.attempts = 0 AND n.delayed_by <> '' AND n.quiet_until IS NULL
          AND (older.looks
               OR coalesce(n.content -> 'page' ->> 'through', '') <> ALL(CAST(:looking AS text[])))
        GROUP BY n.id
    )
    UPDATE notifier.delivery AS d SET next_attempt_at = earlier.at
    FROM earlier WHERE d.id = earlier.id AND d.next_attempt_at > earlier.at
""")


_SUPERSEDE: Final = text(f"""
    WITH older AS MATERIALIZED (
        SELECT id, incident_id, version, recipient_kind, recipient, contact, quiet_until,
               coalesce(content -> 'page' ->> 'through', '') = ANY(CAST(:looking AS text[])) AS looks
        FROM notifier.delivery
        WHERE incident_id = ANY(CAST(:incidents AS text[])) AND state = 'pending' AND page_id <> ''
        ORDER BY id FOR UPDATE
    ), stands AS (
        SELECT older.id, newer.page_id AS newer
        FROM older CROSS JOIN LATERAL (
            SELECT n.page_id FROM notifier.delivery AS n
            WHERE n.incident_id = older.incident_id AND n.page_id <> '' AND n.version > older.version
              AND n.recipient = older.recipient AND n.contact = older.contact
              AND n.recipient_kind = older.recipient_kind
              AND n.state IN ('pending', 'sending', 'sent', 'delivered')
              AND (older.quiet_until IS NOT NULL OR n.quiet_until IS NULL OR n.state <> 'pending')
              AND (older.looks
                   OR coalesce(n.content -> 'page' ->> 'through', '') <> ALL(CAST(:looking AS text[])))
            ORDER BY n.version DESC LIMIT 1
        ) AS newer
    )
    UPDATE notifier.delivery AS d
    SET state = 'cancelled', held = NULL, last_error = 'superseded by page ' || stands.newer
    FROM stands WHERE d.id = stands.id
    RETURNING {deliveries.FIELDS}, stands.newer
""")
