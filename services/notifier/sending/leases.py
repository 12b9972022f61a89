"""Leases of sends under way: renewed by the sender, taken over when it dies.

A claim is identified by the delivery's id and the number of its attempt: a process that froze and comes back
neither renews nor sends what another one has claimed since.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def renew(
    connection: AsyncConnection, claims: Mapping[str, int], lease_until: datetime, *, wait: bool = False
) -> frozenset[str]:
    """Extend the leases of those claims (id and attempt) that are still valid; their ids.

    Rows that somebody else has locked are skipped, unless `wait`.
    """
    given = {"ids": list(claims), "attempts": list(claims.values()), "until": lease_until}
    return frozenset((await connection.execute(_RENEW[wait], given)).scalars())


async def reclaim(connection: AsyncConnection, now: datetime) -> list[str]:
    """Make sends whose process died pending again, or cancel those no longer wanted; the incident of each."""
    given = {"now": now, "why": "the notifier that sent it went away"}
    return list((await connection.execute(_RECLAIM, given)).scalars())


async def give_back(connection: AsyncConnection, claims: Mapping[str, int], now: datetime) -> None:
    """The same, at once, for sends that this process interrupted because it is shutting down."""
    given: dict[str, object] = {"now": now, "why": "the notifier that sent it ended"}
    given |= {"ids": list(claims), "attempts": list(claims.values())}
    await connection.execute(_GIVE_BACK, given)


def _pending_again(which: str) -> TextClause:
    """What goes in one message is sent again together."""
    return text(f"""
        WITH found AS MATERIALIZED (
            SELECT id, message_id FROM notifier.delivery WHERE state = 'sending' AND {which}
            LIMIT 1000 FOR UPDATE SKIP LOCKED
        ), rest AS MATERIALIZED (
            SELECT id FROM notifier.delivery
            WHERE state = 'sending' AND message_id IN (SELECT message_id FROM found)
              AND id NOT IN (SELECT id FROM found)
            FOR UPDATE SKIP LOCKED
        )
        UPDATE notifier.delivery AS d
        SET state = CASE WHEN d.page_id <> '' AND i.settled_version > d.version
                         THEN 'cancelled' ELSE 'pending' END,
            lease_until = NULL, next_attempt_at = :now, last_error = :why
        FROM notifier.incident AS i
        WHERE i.id = d.incident_id AND d.id IN (SELECT id FROM found UNION ALL SELECT id FROM rest)
        RETURNING d.incident_id
    """)


_RENEW: Final = {
    wait: text(f"""
        UPDATE notifier.delivery SET lease_until = :until WHERE id IN (
            SELECT d.id FROM notifier.delivery AS d
            JOIN unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[])) AS claim (id, attempts)
              ON claim.id = d.id AND claim.attempts = d.attempts
            WHERE d.state = 'sending' ORDER BY d.id FOR UPDATE OF d {"" if wait else "SKIP LOCKED"}
        )
        RETURNING id::text
    """)
    for wait in (True, False)
}
_RECLAIM: Final = _pending_again("lease_until < :now")
_GIVE_BACK: Final = _pending_again(
    "(id, attempts) IN (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[])))"
)
