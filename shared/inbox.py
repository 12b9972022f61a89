"""The inbox: which messages a service has already applied, so that one that comes again changes nothing.

Kept longer (8 days) than the log keeps records (7), so that nothing the log can still bring is forgotten.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

RETENTION: Final = timedelta(days=8)
_BATCH: Final = 10_000


def ddl(schema: str) -> str:
    """The statement that makes the table `inbox`, for the owner's migration."""
    return f"""
        DO $$ BEGIN
            CREATE TABLE {schema}.inbox (id text PRIMARY KEY, at timestamptz NOT NULL);
            CREATE INDEX inbox_at ON {schema}.inbox USING brin (at);
        END $$
    """


async def new_ids(connection: AsyncConnection, schema: str, ids: Iterable[str], now: datetime) -> set[str]:
    """Write these ids down, in the caller's transaction; those that were not there before.

    Ids are taken in sorted order, so that two transactions with common ids wait for one another and never
    deadlock.
    """
    listed = sorted(set(ids))
    if not listed:
        return set()
    statement = text(f"""
        INSERT INTO {schema}.inbox (id, at) SELECT id, :now FROM unnest(CAST(:ids AS text[])) AS id
        ON CONFLICT DO NOTHING RETURNING id
    """)
    return set((await connection.execute(statement, {"ids": listed, "now": now})).scalars())


async def forget_old(connection: AsyncConnection, schema: str, now: datetime) -> int:
    """Delete up to 10,000 ids older than 8 days; how many went."""
    statement = text(f"""
        DELETE FROM {schema}.inbox WHERE id IN (
            SELECT id FROM {schema}.inbox WHERE at < :before LIMIT :most FOR UPDATE SKIP LOCKED
        )
    """)
    return (await connection.execute(statement, {"before": now - RETENTION, "most": _BATCH})).rowcount
