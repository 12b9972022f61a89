"""Counting what waits, and forgetting what is old."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.tables import SCHEMA
from shared import inbox

_BATCH = 5_000


async def count_pending(connection: AsyncConnection) -> int:
    """How many deliveries wait for an attempt, counted up to 10,000."""
    statement = text("""
        SELECT count(*) FROM (SELECT 1 FROM notifier.delivery WHERE state = 'pending' LIMIT 10000) AS few
    """)
    return int((await connection.execute(statement)).scalar_one())


async def oldest_due_seconds(connection: AsyncConnection, now: datetime) -> float:
    """How long the oldest delivery that is due has waited; 0 when none is due."""
    statement = text("""
        SELECT least((SELECT min(next_attempt_at) FROM notifier.delivery
                      WHERE state = 'pending' AND (page_id = '') = false),
                     (SELECT min(next_attempt_at) FROM notifier.delivery
                      WHERE state = 'pending' AND (page_id = '') = true))
    """)
    at: datetime | None = (await connection.execute(statement)).scalar()
    return max(0.0, (now - at).total_seconds()) if at else 0.0


async def forget_old(connection: AsyncConnection, keep: timedelta, now: datetime) -> int:
    """Delete finished deliveries, read messages and quiet incidents older than `keep`; how many rows went.

    At most 5,000 of each, so that no transaction is long; call again while it returns something.
    """
    values = {"before": now - keep, "most": _BATCH}
    gone = 0
    for statement in _FORGET:
        gone += (await connection.execute(text(statement), values)).rowcount
    return gone + await inbox.forget_old(connection, SCHEMA, now)


_FORGET = (
    """
    DELETE FROM notifier.delivery WHERE id IN (
        SELECT id FROM notifier.delivery
        WHERE created_at < :before AND state IN ('sent', 'delivered', 'failed', 'cancelled')
        LIMIT :most FOR UPDATE SKIP LOCKED
    )
    """,
    """
    DELETE FROM notifier.inbox_message WHERE seq IN (
        SELECT seq FROM notifier.inbox_message WHERE at < :before LIMIT :most FOR UPDATE SKIP LOCKED
    )
    """,
    """
    DELETE FROM notifier.incident WHERE id IN (
        SELECT i.id FROM notifier.incident AS i
        WHERE i.updated_at < :before
          AND NOT EXISTS (SELECT FROM notifier.delivery AS d WHERE d.incident_id = i.id)
        LIMIT :most FOR UPDATE SKIP LOCKED
    )
    """,
)
