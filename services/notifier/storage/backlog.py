"""How much is waiting, and for how long."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def count_pending(connection: AsyncConnection) -> int:
    """The number of pending deliveries, counted up to 10,000."""
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
