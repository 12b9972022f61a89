"""Test pages: begun at most once a minute for each person, and ended. Nothing here commits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import TEST, Delivery
from services.notifier.domain.trials import AT_MOST_EVERY
from services.notifier.storage import deliveries
from services.notifier.storage.deliveries import IncidentVersion, NewDelivery


async def begin(
    connection: AsyncConnection, made: Sequence[Delivery], user: str, now: datetime
) -> datetime | None:
    """Store the steps of a test; where this minute has had one for this user, when the next may begin."""
    seconds = int(AT_MOST_EVERY.total_seconds())
    minute = int(now.timestamp()) // seconds
    once = f"test page of {user} {minute}"
    rows = [NewDelivery(once, delivery) for delivery in made]
    seen = [IncidentVersion(made[0].incident_id, made[0].version)]
    written = await deliveries.insert(connection, [once], seen, rows, now)
    return None if once in written.fresh else datetime.fromtimestamp((minute + 1) * seconds, UTC)


async def end(connection: AsyncConnection, user: str, incident_id: str = "") -> int:
    """Call off what has not come of the tests of this user, or of this one; how many steps."""
    given = {"user": user, "incident": incident_id, "event": TEST}
    return (await connection.execute(_END, given)).rowcount


# The two parts of `running` each follow an index of their own.
_END: Final = text("""
    WITH running AS (
        SELECT incident_id FROM notifier.delivery
        WHERE state = 'pending' AND (page_id = '') = false AND event = :event AND recipient = :user
        UNION
        SELECT incident_id FROM notifier.delivery
        WHERE state = 'sending' AND event = :event AND recipient = :user
    ), settled AS (
        UPDATE notifier.incident AS i SET settled_version = i.version + 1, settled_why = 'answered'
        FROM running WHERE i.id = running.incident_id AND :incident IN ('', i.id)
        RETURNING i.id
    )
    UPDATE notifier.delivery AS d SET state = 'cancelled', held = NULL, last_error = 'the test was ended'
    FROM settled WHERE d.incident_id = settled.id AND d.state = 'pending' AND d.event = :event
""")
