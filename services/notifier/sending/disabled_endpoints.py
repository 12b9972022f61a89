"""Endpoints that said that they are gone for good (410): nothing is sent to them any more."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class DisabledEndpoints:
    """Those in the table, as this process last read them."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()

    def __contains__(self, endpoint: str) -> bool:
        return endpoint in self._known

    async def refresh(self, connection: AsyncConnection) -> None:
        """Read them again: another process may have met one."""
        statement = text("SELECT endpoint FROM notifier.endpoint_disabled")
        self._known = frozenset((await connection.execute(statement)).scalars())

    async def still(self, connection: AsyncConnection, endpoint: str) -> bool:
        """Whether one that is among them is still disabled; it may have been enabled a moment ago."""
        statement = text("SELECT 1 FROM notifier.endpoint_disabled WHERE endpoint = :endpoint")
        found = (await connection.execute(statement, {"endpoint": endpoint})).scalar_one_or_none()
        if found is None:
            self._known -= {endpoint}
        return found is not None

    async def disable(self, connection: AsyncConnection, endpoint: str, reason: str, now: datetime) -> None:
        """Nothing is sent to this endpoint from now on."""
        statement = text("""
            INSERT INTO notifier.endpoint_disabled (endpoint, at, reason) VALUES (:endpoint, :now, :reason)
            ON CONFLICT (endpoint) DO NOTHING
        """)
        await connection.execute(statement, {"endpoint": endpoint, "now": now, "reason": reason})
        self._known |= {endpoint}
