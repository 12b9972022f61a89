"""Where a policy works: what its notifiers can send, and the overrides that stand.

Each canary comes back with the channels that the notifier which sent it can send; the last one that spoke
counts. `ladder up`, which knows its notifier, says so before it starts.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.duty import override_store
from shared.policy import Installation


async def read(connection: AsyncConnection, now: datetime) -> Installation:
    """What is known of it now."""
    row = (await connection.execute(_READ)).one_or_none()
    return Installation(
        now=now,
        sends=None if row is None else frozenset(row.channels),
        said_at=None if row is None else row.at,
        overrides=await override_store.by_schedule(connection, now),
    )


async def heard(connection: AsyncConnection, channels: Sequence[str], now: datetime) -> None:
    """A notifier said what it can send; one of an older release says nothing."""
    if channels:
        await connection.execute(_HEARD, {"channels": sorted(channels), "now": now})


_READ: Final = text("SELECT channels, at FROM router.sends")
_HEARD: Final = text("""
    INSERT INTO router.sends (channels, at) VALUES (CAST(:channels AS text[]), :now)
    ON CONFLICT (only_row) DO UPDATE SET channels = excluded.channels, at = excluded.at
""")
