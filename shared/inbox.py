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


def insertion(schema: str) -> str:
    """The statement that writes down the ids `:inbox_ids` at `:now` and returns the new ones.

    For a caller that makes it a part of a larger statement; `inbox_ids` are sorted.
    """
    return f"""
        INSERT INTO {schema}.inbox (id, at) SELECT id, :now FROM unnest(CAST(:inbox_ids AS text[])) AS id
        ON CONFLICT DO NOTHING RETURNING id
    """


async def new_ids(connection: AsyncConnection, schema: str, ids: Iterable[str], now: datetime) -> set[str]:
    """Write these ids down, in the caller's transaction; those that were not there before.

    Ids are taken in sorted order, so that two transactions with common ids wait for one another and never
    deadlock.
    """
    listed = sorted(set(ids))
    if not listed:
        return set()
    values = {"inbox_ids": listed, "now": now}
    return set((await connection.execute(text(insertion(schema)), values)).scalars())


async def forget_old(connection: AsyncConnection, schema: str, now: datetime) -> int:
    """Delete up to 10,000 ids older than 8 days; how many went."""
    statement = text(f"""
        DELETE FROM {schema}.inbox WHERE id IN (
            SELECT id FROM {schema}.inbox WHERE at < :before LIMIT :most FOR UPDATE SKIP LOCKED
        )
    """)
    return (await connection.execute(statement, {"before": now - RETENTION, "most": _BATCH})).rowcount
