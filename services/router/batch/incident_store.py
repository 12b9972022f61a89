"""Incidents in the database: found, locked and claimed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch import parked_store
from services.router.batch.unit_of_work import UnitOfWork
from services.router.domain.model.stored import decode

ORPHANS_KEPT: Final = timedelta(days=7)


def is_race(err: BaseException) -> bool:
    """Whether two transactions opened the same key at once: try again, nothing is wrong."""
    return isinstance(err, DBAPIError) and "incident_open_key" in str(err.orig)


async def lock(connection: AsyncConnection, unit: UnitOfWork) -> None:
    """Load and lock the incidents of the batch's signals, with what is remembered or parked for them."""
    keys = sorted({each.address for each in unit.signals if not isinstance(each.address, str)})
    ids = sorted({each.address for each in unit.signals if isinstance(each.address, str)})
    columns = {"integrations": [key[0] for key in keys], "keys": [key[1] for key in keys], "ids": ids}
    rows = (await connection.execute(_LOCK, columns | {"since": unit.now - ORPHANS_KEPT})).all()
    locked = sorted((row for row in rows if row.state is not None), key=lambda row: row.ordinal)
    resolves = [(row.integration, row.dedup_key, row.occurred_at) for row in rows if row.state is None]
    await load(connection, unit, [row.state for row in locked], resolves)


async def load(
    connection: AsyncConnection,
    unit: UnitOfWork,
    states: Iterable[str],
    resolves: Iterable[tuple[str, str, datetime]],
) -> None:
    """Incidents that are locked, those of one key oldest first, and remembered resolves by key."""
    for state in states:
        unit.load(decode(state))
    for integration, dedup_key, occurred_at in resolves:
        unit.resolves[integration, dedup_key] = occurred_at
    await parked_store.load(connection, unit)


async def claim(
    connection: AsyncConnection, unit: UnitOfWork, most: int, among: Sequence[str] | None
) -> None:
    """Claim incidents that are due, highest priority first, skipping what others hold.

    `among`: only these ids.
    """
    if among is None:
        rows = (await connection.execute(_CLAIM, {"most": most})).all()
    else:
        rows = (await connection.execute(_CLAIM_AMONG, {"most": most, "ids": list(among)})).all()
    for row in rows:
        unit.load(decode(row.state))
    await parked_store.load(connection, unit)


async def next_due(connection: AsyncConnection) -> datetime | None:
    """The earliest due time of all."""
    earliest: datetime | None = (await connection.execute(_NEXT_DUE)).scalar_one()
    return earliest


async def overdue(connection: AsyncConnection, seconds: float, most: int) -> int:
    """How many due times passed at least this long ago, counted up to a bound."""
    count: int = (await connection.execute(_OVERDUE, {"seconds": seconds, "most": most})).scalar_one()
    return count


# Indexes incident_key and orphan_key. InitPlan first (which ids), then the rows by primary key, sorted,
# locked: the sort is below the locking.
# With them come the source times of resolves that were remembered for the same keys (rule 16).
_LOCK: Final = text("""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:integrations AS text[]), CAST(:keys AS text[]))
            AS wanted (integration, dedup_key)
    ), locked AS (
        SELECT ordinal, CAST(state AS text) AS state FROM router.incident
        WHERE id = ANY(ARRAY(
            SELECT newest.id FROM wanted
            CROSS JOIN LATERAL (
                SELECT i.id FROM router.incident i
                WHERE i.integration = wanted.integration AND i.dedup_key = wanted.dedup_key
                ORDER BY i.ordinal DESC LIMIT 1
            ) AS newest
            UNION SELECT unnest(CAST(:ids AS uuid[]))
        ))
        ORDER BY id FOR UPDATE
    )
    SELECT ordinal, state, NULL AS integration, NULL AS dedup_key, CAST(NULL AS timestamptz) AS occurred_at
    FROM locked
    UNION ALL
    SELECT NULL, NULL, integration, dedup_key, max(least(o.occurred_at, o.at))
    FROM wanted JOIN router.orphan o USING (integration, dedup_key)
    WHERE o.action = 'resolve' AND o.occurred_at IS NOT NULL AND o.at > :since
    GROUP BY integration, dedup_key
""")
# Index incident_due, one walk a priority: the order by priority costs no sort, however many are due.
_CLAIM: Final = text("""
    SELECT claimed.state FROM generate_series(1, 5) AS p
    CROSS JOIN LATERAL (
        SELECT CAST(state AS text) AS state FROM router.incident
        WHERE priority = p AND status <> 'closed' AND next_due_at <= transaction_timestamp()
        ORDER BY next_due_at LIMIT :most FOR UPDATE SKIP LOCKED
    ) AS claimed
    LIMIT :most
""")
# Index incident_pkey.
_CLAIM_AMONG: Final = text("""
    SELECT CAST(state AS text) AS state FROM router.incident
    WHERE id = ANY(CAST(:ids AS uuid[])) AND status <> 'closed' AND next_due_at <= transaction_timestamp()
    ORDER BY priority, next_due_at LIMIT :most FOR UPDATE SKIP LOCKED
""")
# Index incident_due.
_NEXT_DUE: Final = text("""
    SELECT min(first.next_due_at) FROM generate_series(1, 5) AS p
    CROSS JOIN LATERAL (
        SELECT next_due_at FROM router.incident WHERE priority = p AND status <> 'closed'
        ORDER BY next_due_at LIMIT 1
    ) AS first
""")
# Index incident_due.
_OVERDUE: Final = text("""
    SELECT count(*) FROM generate_series(1, 5) AS p
    CROSS JOIN LATERAL (
        SELECT 1 FROM router.incident
        WHERE priority = p AND status <> 'closed'
          AND next_due_at <= transaction_timestamp() - make_interval(secs => :seconds)
        LIMIT :most
    ) AS late
""")
