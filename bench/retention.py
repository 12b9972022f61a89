"""How quickly old rows go, and whether tables stay flat, in compressed days of 200 events a second.

Aims: rows go at a multiple of the rate at which they come, all tables together; and days of insert and delete
leave the tables as large as after the first. A day is a 160th of 24 hours at 200 events a second: 108,000
events, each with an id in the inbox and three records in the log, every twentieth with an incident of eight
entries; half a million recent ids stand beside them. On the PostgreSQL that `ladder up` starts, with its
settings; between two days there is a VACUUM, as autovacuum does after a fiftieth of a table.
"""

import time
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from bench.router_database import on_a_database_of_its_own
from services.router.loops import retention
from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.postgres.retention import clean_once
from shared.eventlog.topics import RETENTION
from shared.events import DELIVERIES, ESCALATIONS, INCIDENTS

EVENTS: Final = 200 * 24 * 3600 // 160
STANDING: Final = 540_000
DAYS: Final = 3
RATE: Final = 200  # events a second
PARTITIONS: Final = 8
PIECE: Final = 54_000
TABLES: Final = (
    *("router.inbox", "router.incident", "router.timeline", "router.outcome"),
    "eventlog.records",
)
_IDS: Final = """
    INSERT INTO router.inbox SELECT gen_random_uuid(), CAST(:at AS timestamptz) + n * interval '1 ms'
    FROM generate_series(1, CAST(:rows AS integer)) AS n
"""
_INCIDENTS: Final = """
    INSERT INTO router.incident (id, integration, dedup_key, status, priority, tier, customer, service,
        kind, assignee, title, policy, policy_hash, level, opened_at, closed_at, version,
        events, updated_at, state)
    SELECT gen_random_uuid(), 'bench', 'key ' || n % 5000, 'closed', 3, 'gold', '', 'checkout',
        'incident', '',
        'Checkout is slow', 'main', 'none', 'desk', CAST(:at AS timestamptz) - interval '1 h',
        CAST(:at AS timestamptz) + n * interval '1 ms', 1, 1, :at,
        json_build_object('record', repeat(md5(CAST(n AS text)), 40))
    FROM generate_series(1, CAST(:rows AS integer)) AS n
"""
_ENTRIES: Final = """
    INSERT INTO router.timeline (incident_id, at, kind, actor, text, reason)
    SELECT i.id, i.closed_at, 'note', 'ladder', repeat('x', 80), '{"rule": "rule 2"}'
    FROM router.incident AS i, generate_series(1, 8)
    WHERE NOT EXISTS (SELECT FROM router.timeline AS t WHERE t.incident_id = i.id)
"""
_RECORDS: Final = """
    INSERT INTO eventlog.records (topic, partition, "offset", key, value, headers, at)
    SELECT :topic, n % :partitions, p.next_offset + n / :partitions, convert_to('key ' || n % 5000, 'UTF8'),
        convert_to(repeat(md5(CAST(n AS text)), 20), 'UTF8'), '', :at
    FROM generate_series(0, CAST(:rows AS integer) - 1) AS n
    JOIN eventlog.partitions AS p ON p.topic = :topic AND p.number = n % :partitions
"""
_MOVED_ON: Final = """
    UPDATE eventlog.partitions AS p SET next_offset = 1 + COALESCE((
        SELECT max("offset") FROM eventlog.records AS r WHERE r.topic = p.topic AND r.partition = p.number
    ), p.next_offset - 1)
"""


def run() -> None:
    on_a_database_of_its_own(_measure, patience_seconds=600)


async def _measure(database: Database, _: str) -> None:
    await PostgresEventLog(database).create_topics()
    now = utcnow()
    for _ in range(0, STANDING, PIECE):
        await _write(database, _IDS, at=now, rows=PIECE)
    await _vacuum(database)
    print(f"{EVENTS:,} events a day (a 160th of 24 h at {RATE}/s), {STANDING:,} young ids beside them")
    for day in range(DAYS):
        today = now + timedelta(days=day)
        await _fill(database, today)
        size = await _size(database)
        began = time.perf_counter()
        gone = await retention.delete_expired_once(database, today)
        router = time.perf_counter() - began
        records = await clean_once(database, RETENTION, today)
        log = time.perf_counter() - began - router
        await _vacuum(database)
        seconds, after = router + log, await _size(database)
        print(
            f"day {day + 1}: {size / 2**20:,.0f} MiB full, {after / 2**20:,.0f} MiB after VACUUM; "
            f"{gone:,} rows of the router in {router:.1f} s ({gone / router:,.0f}/s), "
            f"{records:,} of the log in {log:.1f} s ({records / log:,.0f}/s): all that {EVENTS:,} events "
            f"left in {seconds:.1f} s, {EVENTS / seconds / RATE:,.0f} times as quickly as they come"
        )


async def _fill(database: Database, today: datetime) -> None:
    for _ in range(0, EVENTS, PIECE):
        await _write(database, _IDS, at=today - timedelta(days=9), rows=PIECE)
    await _write(database, _INCIDENTS, at=today - timedelta(days=401), rows=EVENTS // 20)
    await _write(database, _ENTRIES)
    for topic in (INCIDENTS, ESCALATIONS, DELIVERIES):
        given = {"topic": topic, "partitions": PARTITIONS, "at": today - RETENTION - timedelta(hours=1)}
        await _write(database, _RECORDS, rows=EVENTS, **given)
    await _write(database, _MOVED_ON)


async def _write(database: Database, statement: str, **given: Any) -> None:
    async with database.unhurried() as connection:
        await connection.execute(text(statement), given)


async def _size(database: Database) -> int:
    sizes = " + ".join(f"pg_total_relation_size('{table}')" for table in TABLES)
    async with database.transaction() as connection:
        return int((await connection.execute(text(f"SELECT {sizes}"))).scalar_one())


async def _vacuum(database: Database) -> None:
    async with database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        for table in TABLES * 2:  # pages of an index are only free the second time
            await connection.exec_driver_sql(f"VACUUM {table}")
