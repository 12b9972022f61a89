"""Endpoints that said that they are gone for good."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def disable(connection: AsyncConnection, endpoint: str, reason: str, now: datetime) -> None:
    """Nothing is sent to this endpoint any more."""
    statement = text("""
        INSERT INTO notifier.endpoint_disabled (endpoint, at, reason) VALUES (:endpoint, :now, :reason)
        ON CONFLICT (endpoint) DO NOTHING
    """)
    await connection.execute(statement, {"endpoint": endpoint, "now": now, "reason": reason})


async def disabled_endpoints(connection: AsyncConnection) -> frozenset[str]:
    """The endpoints that said 410 Gone."""
    return frozenset(
        (await connection.execute(text("SELECT endpoint FROM notifier.endpoint_disabled"))).scalars()
    )
