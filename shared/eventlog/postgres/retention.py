"""What goes from the PostgreSQL log, and when.

A record goes when it is older than the retention and every group that reads its topic is past it; in a topic
that no group has ever read, age alone decides. A group that has no member any more (a terminal that was
closed for good) holds records back for four times the retention, no longer. Of a compacted topic the last
record of each key stays.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import telemetry
from shared.database.pool import Database
from shared.database.retention import Delete, Deleted, RetentionRule, delete_expired
from shared.loops.repeat import for_ever

_PAUSE_SECONDS: Final = 60.0
_ABANDONED: Final = 4  # times the retention
_OWNER: Final = "eventlog"

log = telemetry.logger(__name__)

_DONE_WITH = text("""
    SELECT p.topic, p.number, coalesce(min(l.committed), p.next_offset) AS below,
           coalesce(min(l.committed) FILTER (WHERE EXISTS (
               SELECT FROM eventlog.members m WHERE m.consumer_group = l.consumer_group
           )), p.next_offset) AS below_living
    FROM eventlog.partitions p
    JOIN eventlog.topics t ON t.name = p.topic AND NOT t.compacted
    LEFT JOIN eventlog.leases l ON l.topic = p.topic AND l.partition = p.number
    GROUP BY p.topic, p.number, p.next_offset
    ORDER BY p.topic, p.number
""")
# The oldest stand first: of the first few those that may go, so that what has to stay is never gone through.
_DELETE = text("""
    WITH first AS MATERIALIZED (
        SELECT ctid AS place, "offset", at FROM eventlog.records
        WHERE topic = :topic AND partition = :number AND "offset" >= :since
        ORDER BY "offset" LIMIT :most
    ), old AS MATERIALIZED (
        SELECT place, "offset", at FROM first
        WHERE at < :before AND ("offset" < :below OR ("offset" < :below_living AND at < :abandoned))
    ), gone AS (
        DELETE FROM eventlog.records WHERE ctid = ANY(ARRAY(SELECT place FROM old)) RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone) AS gone, (SELECT max("offset") + 1 FROM old) AS next
""")
_COMPACTED = text("SELECT name FROM eventlog.topics WHERE compacted ORDER BY name")
_COMPACT = text("""
    WITH last AS MATERIALIZED (
        SELECT partition, key, max("offset") AS "offset" FROM eventlog.records
        WHERE topic = :topic GROUP BY partition, key
    )
    DELETE FROM eventlog.records r USING last
    WHERE r.topic = :topic AND r.partition = last.partition
      AND r.key = last.key AND r."offset" < last."offset"
""")


async def clean_once(database: Database, retention: timedelta, now: datetime) -> int:
    """Delete everything that may go, a few thousand records a transaction; how many went."""
    async with database.transaction() as connection:
        partitions = (await connection.execute(_DONE_WITH)).all()
        compacted = (await connection.execute(_COMPACTED)).scalars().all()
    kept = [*_compacted(compacted), *_records(partitions, retention)]
    return sum((await delete_expired(database, _OWNER, kept, now)).values())


def _records(partitions: Sequence[Row[Any]], retention: timedelta) -> Sequence[RetentionRule]:
    why = "a service that was down for days goes on where it was"
    records = (_Records(partition, retention) for partition in partitions)
    return [
        RetentionRule(f"eventlog.records ({each.topic})", retention, why, each.forget) for each in records
    ]


def _compacted(topics: Sequence[str]) -> Sequence[RetentionRule]:
    why = "the last record of each key stays for ever, those before it say nothing"
    return [
        RetentionRule(f"eventlog.records ({topic})", timedelta(0), why, _compaction(topic))
        for topic in topics
    ]


class _Records:
    """Those of one partition."""

    def __init__(self, partition: Row[Any], retention: timedelta) -> None:
        self.topic: str = partition.topic
        self._number: int = partition.number
        self._below: int = partition.below
        self._below_living: int = partition.below_living
        self._retention = retention
        self._since = 0

    async def forget(
        self, connection: AsyncConnection, before: datetime, since: datetime, most: int
    ) -> Deleted:
        del since  # offsets say where it goes on
        given = {
            "topic": self.topic,
            "number": self._number,
            "since": self._since,
            "below": self._below,
            "below_living": self._below_living,
            "before": before,
            "abandoned": before - self._retention * (_ABANDONED - 1),
            "most": most,
        }
        row = (await connection.execute(_DELETE, given)).one()
        if row.gone < most:
            return Deleted(row.gone, None)
        self._since = row.next
        return Deleted(row.gone, before)


def _compaction(topic: str) -> Delete:
    async def compact(connection: AsyncConnection, before: datetime, since: datetime, most: int) -> Deleted:
        """All at once: a compacted topic holds little."""
        del before, since, most
        return Deleted((await connection.execute(_COMPACT, {"topic": topic})).rowcount, None)

    return compact


async def clean_for_ever(database: Database, retention: timedelta) -> None:
    """The loop around `clean_once`."""

    async def step() -> None:
        await asyncio.sleep(_PAUSE_SECONDS)
        deleted = await clean_once(database, retention, database.now())
        log.debug("expired records deleted", action="cleaned", records=deleted)

    await for_ever("eventlog retention", step, database.outage)
