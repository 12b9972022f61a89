"""Which messages a service has already applied, in its table `inbox`: one that comes again changes nothing.

Kept longer (8 days) than the log keeps records (7), so that nothing the log can still bring is forgotten.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.retention import RetentionRule, older_rows

RETENTION: Final = timedelta(days=8)


def ddl(schema: str) -> str:
    """The statement that makes the table `inbox`, for the owner's migration."""
    return f"""
        DO $$ BEGIN
            CREATE TABLE {schema}.inbox (id text PRIMARY KEY, at timestamptz NOT NULL);
            CREATE INDEX inbox_at ON {schema}.inbox USING brin (at);
        END $$
    """


def retention_ddl(schema: str) -> Sequence[str]:
    """The statements by which old ids are found and their room is used again, for the owner's migration.

    At 200 messages a second it holds 138 million ids. A brin index finds the old ones only as long as the
    table grows at its end: once rows fill the room of those that went, each of its ranges holds something
    old. Vacuum starts after a fixed share of a day.
    """
    return (
        f"CREATE INDEX inbox_oldest ON {schema}.inbox (at)",
        f"DROP INDEX {schema}.inbox_at",
        f"""
        ALTER TABLE {schema}.inbox SET (
            autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000,
            autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 1
        )
        """,
    )


def retention_rule(schema: str) -> RetentionRule:
    """How long ids stay, for the owner's list."""
    why = "a day longer than the log keeps a record that could come again"
    return RetentionRule(f"{schema}.inbox", RETENTION, why, older_rows(f"{schema}.inbox", changes=False))


def insertion(schema: str, *, at: str = ":now") -> str:
    """The statement that writes down the ids `:inbox_ids` at `:now` and returns the new ones.

    For a caller that makes it a part of a larger statement; `inbox_ids` are sorted.
    """
    return f"""
        INSERT INTO {schema}.inbox (id, at) SELECT id, {at} FROM unnest(CAST(:inbox_ids AS text[])) AS id
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
