"""What is kept for a while only, and the rounds that delete the rest.

Each service names all its tables in one place, with how long rows are kept and why. A round goes through
them until nothing is left that is too old: in short transactions, each of a few thousand rows found by an
index, with a pause as long as the work in between, so that vacuum can follow and pages never wait. Each
transaction takes an advisory lock of its owner: one replica forgets at a time, and a replica that froze over
it loses the lock with its transaction, which the server ends (`idle_in_transaction_session_timeout`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from prometheus_client import Counter, Gauge
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import telemetry
from shared.clock import stopwatch
from shared.database.pool import Database

log = telemetry.logger(__name__)

BATCH: Final = 5_000
BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)  # earlier than any row
_LONGEST_PAUSE_SECONDS: Final = 1.0

FORGOTTEN: Final = Counter(
    "ladder_forgotten_rows_total", "Rows deleted because they were kept long enough", ["table"]
)
ROUND_SECONDS: Final = Gauge(
    "ladder_forgetting_seconds", "How long the last round of forgetting took", ["owner"]
)


@dataclass(frozen=True, slots=True)
class Deleted:
    """One batch. `reached`: the moment up to which nothing is left that may go; None: no such row is left."""

    rows: int
    reached: datetime | None


Delete: TypeAlias = Callable[[AsyncConnection, datetime, datetime, int], Awaitable[Deleted]]
"""Deletes rows in the caller's transaction: those before the first moment, searched from the second on.
The number is the most that go at once."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One kind of rows: where they are, how long they stay after their moment, and why so long."""

    table: str
    days: timedelta
    why: str
    delete: Delete


def older_rows(table: str, moment: str = "at", *, only: str = "", changes: bool = True) -> Delete:
    """Rows by one column with an index. `only`: a condition more, about `t`; what fails it is passed over.

    Where rows change, those that somebody is about to change are left alone, and those that were changed a
    moment ago are looked at again; `changes=False` saves that for rows that are written once.

    The next batch begins where this one ended: rows that are deleted and not yet vacuumed, and rows that have
    to stay, are not looked at again and again.
    """
    statement = text(f"""
        WITH old AS MATERIALIZED (
            SELECT t.ctid AS place, t.{moment} AS moment FROM {table} AS t
            WHERE t.{moment} < :before AND t.{moment} >= :since {f"AND {only}" if only else ""}
            ORDER BY t.{moment} LIMIT :most {"FOR UPDATE OF t SKIP LOCKED" if changes else ""}
        ), gone AS (
            DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT place FROM old)) RETURNING 1
        )
        SELECT (SELECT count(*) FROM old) AS found, (SELECT count(*) FROM gone) AS gone,
               (SELECT max(moment) FROM old) AS reached
    """)

    async def delete(connection: AsyncConnection, before: datetime, since: datetime, most: int) -> Deleted:
        row = (await connection.execute(statement, {"before": before, "since": since, "most": most})).one()
        return Deleted(row.gone, row.reached if row.found >= most else None)

    return delete


async def delete_expired(
    database: Database,
    owner: str,
    tables: Sequence[RetentionRule],
    now: datetime,
    *,
    batch: int = BATCH,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Mapping[str, int]:
    """One round; how many rows of each table went. Where another replica is at it, it is left to that one.

    A table that cannot be gone through does not keep the others from it: its error is raised at the end.
    """
    began, failed = stopwatch(), list[Exception]()
    gone = {each.table: 0 for each in tables}
    for each in tables:
        try:
            if not await _delete(database, owner, each, now, gone, batch=batch, pause=pause):
                return gone
        except Exception as err:  # noqa: BLE001 - raised below
            failed.append(err)
    ROUND_SECONDS.labels(owner).set(stopwatch() - began)
    log.debug("expired rows deleted", action="forgotten", owner=owner, rows=sum(gone.values()))
    if failed:
        raise failed[0]
    return gone


async def _delete(
    database: Database,
    owner: str,
    rule: RetentionRule,
    now: datetime,
    gone: dict[str, int],
    *,
    batch: int,
    pause: Callable[[float], Awaitable[None]],
) -> bool:
    """All of one table that is too old; False where another replica is at it."""
    since: datetime | None = BEGINNING
    while since is not None:
        began = stopwatch()
        async with database.transaction() as connection:
            if not (await connection.execute(_ALONE, {"owner": f"retention {owner}"})).scalar():
                return False
            done = await rule.delete(connection, now - rule.days, since, batch)
        gone[rule.table] += done.rows
        FORGOTTEN.labels(rule.table).inc(done.rows)
        since = done.reached
        if since is not None:
            await pause(min(stopwatch() - began, _LONGEST_PAUSE_SECONDS))
    return True


# Old rows stand at one end of an index; a plan made for any two moments would rather read the whole table.
# A deletion that a crash takes back is made again: nobody waits for the disk.
_ALONE: Final = text("""
    SELECT pg_try_advisory_xact_lock(hashtextextended(:owner, 0)),
           set_config('synchronous_commit', 'off', true), set_config('enable_seqscan', 'off', true),
           set_config('enable_bitmapscan', 'off', true)
""")
