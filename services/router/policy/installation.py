"""The installation a policy works in: what its notifiers can send, and existing overrides.

Each canary comes back with the channels that the notifier which sent it supports; the last report counts.
`ladder up`, which knows its notifier, records them before it starts.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.duty import override_store
from shared.policy import Installation


async def read(connection: AsyncConnection, now: datetime) -> Installation:
    """What is known of the installation now."""
    row = (await connection.execute(_READ)).one_or_none()
    return Installation(
        now=now,
        sends=None if row is None else frozenset(row.channels),
        said_at=None if row is None else row.at,
        overrides=await override_store.by_schedule(connection, now),
    )


async def heard(connection: AsyncConnection, channels: Sequence[str], now: datetime) -> None:
    """Record what a notifier can send; one of an older release does not say."""
    if channels:
        await connection.execute(_HEARD, {"channels": sorted(channels), "now": now})


_READ: Final = text("SELECT channels, at FROM router.sends")
_HEARD: Final = text("""
    INSERT INTO router.sends (channels, at) VALUES (CAST(:channels AS text[]), :now)
    ON CONFLICT (only_row) DO UPDATE SET channels = excluded.channels, at = excluded.at
""")
