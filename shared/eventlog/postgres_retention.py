"""What goes from the PostgreSQL log, and when.

A record goes when it is older than the retention and every group that reads its topic is past it; in a topic
that no group has ever read, age alone decides. A group that has no member any more (a terminal that was
closed for good) holds records back for four times the retention, no longer. Of a compacted topic the last
record of each key stays.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text

from shared import telemetry
from shared.clock import utcnow
from shared.database import Database

_PAUSE_SECONDS: Final = 60.0
_BATCH: Final = 5_000
_ABANDONED: Final = 4  # times the retention
_LOCK: Final = 0x1ADDE3

log = telemetry.logger(__name__)

_ALONE = text("SELECT pg_try_advisory_xact_lock(:lock)")
_DONE_WITH = text("""
    SELECT p.topic, p.number, coalesce(min(l.committed), p.next_offset),
           coalesce(min(l.committed) FILTER (WHERE EXISTS (
               SELECT FROM eventlog.members m WHERE m.consumer_group = l.consumer_group
           )), p.next_offset)
    FROM eventlog.partitions p
    JOIN eventlog.topics t ON t.name = p.topic AND NOT t.compacted
    LEFT JOIN eventlog.leases l ON l.topic = p.topic AND l.partition = p.number
    GROUP BY p.topic, p.number, p.next_offset
""")
_DELETE = text("""
    DELETE FROM eventlog.records r USING (
        SELECT "offset" FROM eventlog.records
        WHERE topic = :topic AND partition = :number AND at < :before
          AND ("offset" < :below OR ("offset" < :below_living AND at < :abandoned))
        ORDER BY "offset" LIMIT :most
    ) AS old
    WHERE r.topic = :topic AND r.partition = :number AND r."offset" = old."offset"
""")
_COMPACT = text("""
    DELETE FROM eventlog.records r USING eventlog.topics t, eventlog.records newer
    WHERE t.compacted AND r.topic = t.name
      AND newer.topic = r.topic AND newer.partition = r.partition
      AND newer.key = r.key AND newer."offset" > r."offset"
""")


async def clean_once(database: Database, retention: timedelta, now: datetime) -> int:
    """Delete what may go, at most 5,000 records of each partition; how many went."""
    async with database.transaction() as connection:
        if not (await connection.execute(_ALONE, {"lock": _LOCK})).scalar_one():
            return 0
        deleted = (await connection.execute(_COMPACT)).rowcount
        for topic, number, below, below_living in (await connection.execute(_DONE_WITH)).all():
            asked = {
                "topic": topic,
                "number": number,
                "below": below,
                "below_living": below_living,
                "before": now - retention,
                "abandoned": now - retention * _ABANDONED,
                "most": _BATCH,
            }
            deleted += (await connection.execute(_DELETE, asked)).rowcount
    return deleted


async def clean_for_ever(database: Database, retention: timedelta) -> None:
    """The loop around `clean_once`; a server that is away is tried again a minute later."""
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            deleted = await clean_once(database, retention, utcnow())
        except Exception as err:  # noqa: BLE001 - cleaning must never end the process
            log.warning("cleaning failed", action="clean_failed", error=repr(err))
        else:
            log.debug("cleaned", action="cleaned", records=deleted)
