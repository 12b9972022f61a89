"""What waits for the end of quiet hours: one message an incident and contact, which says how it stands."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def keep_newest(connection: AsyncConnection, incidents: Iterable[str]) -> None:
    """Of the notices about these incidents that wait for one contact, cancel all but the newest."""
    given = {"incidents": sorted(incidents)}
    if given["incidents"]:
        await connection.execute(_KEEP_NEWEST, given)


_KEEP_NEWEST: Final = text("""
    WITH waiting AS MATERIALIZED (
        SELECT id, incident_id, version, recipient_kind, recipient, contact, created_at
        FROM notifier.delivery
        WHERE incident_id = ANY(CAST(:incidents AS text[])) AND state = 'pending' AND attempts = 0
          AND notice_id <> '' AND quiet_until IS NOT NULL AND incident_id <> ''
        ORDER BY id FOR UPDATE
    ), ranked AS (
        SELECT id, row_number() OVER (
            PARTITION BY incident_id, recipient_kind, recipient, contact ORDER BY version DESC, id
        ) AS place
        FROM waiting
    )
    UPDATE notifier.delivery AS d
    SET state = 'cancelled', held = NULL, last_error = 'newer news waits for the end of the quiet hours'
    FROM ranked WHERE d.id = ranked.id AND ranked.place > 1
""")
