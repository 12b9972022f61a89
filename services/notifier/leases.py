"""Leases of sends under way: renewed by whoever sends, taken over from whoever died."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def renew(connection: AsyncConnection, ids: Sequence[str], lease_until: datetime) -> None:
    """Keep the leases of sends that are still under way."""
    statement = text("""
        UPDATE notifier.delivery SET lease_until = :until WHERE id IN (
            SELECT id FROM notifier.delivery WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'sending'
            FOR UPDATE SKIP LOCKED
        )
    """)
    await connection.execute(statement, {"ids": ids, "until": lease_until})


async def reclaim(connection: AsyncConnection, now: datetime) -> int:
    """Sends whose process is gone: pending again, or cancelled where they are no longer wanted; how many."""
    given = {"now": now, "why": "the notifier that sent it went away"}
    return (await connection.execute(_RECLAIM, given)).rowcount


async def give_back(connection: AsyncConnection, ids: Sequence[str], now: datetime) -> None:
    """The same at once, for sends that this process broke off because it ends."""
    given = {"now": now, "why": "the notifier that sent it ended", "ids": ids}
    await connection.execute(_GIVE_BACK, given)


def _pending_again(which: str) -> TextClause:
    return text(f"""
        UPDATE notifier.delivery AS d
        SET state = CASE WHEN d.page_id <> '' AND i.settled_version > d.version
                         THEN 'cancelled' ELSE 'pending' END,
            lease_until = NULL, next_attempt_at = :now, last_error = :why
        FROM notifier.incident AS i
        WHERE i.id = d.incident_id AND d.id IN (
            SELECT id FROM notifier.delivery WHERE state = 'sending' AND {which}
            LIMIT 1000 FOR UPDATE SKIP LOCKED
        )
    """)


_RECLAIM: Final = _pending_again("lease_until < :now")
_GIVE_BACK: Final = _pending_again("id = ANY(CAST(:ids AS uuid[]))")
