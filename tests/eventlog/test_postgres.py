"""What only the PostgreSQL log has to take care of itself: leases, retention, compaction."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog import Record
from shared.eventlog.postgres.group import PostgresConsumer
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.postgres.retention import clean_once
from shared.eventlog.postgres.wakeups import Wakeups
from shared.eventlog.topics import Topic
from tests.eventlog.places import read, values

WEEK = timedelta(days=7)
TOPICS = (Topic("t", 2), Topic("state", 1, compacted=True))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    await PostgresEventLog(opened, topics=TOPICS).create_topics()
    yield opened
    await opened.close()


def member(database: Database, session_seconds: float = 60) -> PostgresConsumer:
    """A member that beats only when the test says so."""
    return PostgresConsumer(database, Wakeups(), "g", ["t"], session_seconds)


async def publish(database: Database, *values: str, topic: str = "t", key: str = "k") -> None:
    log = PostgresEventLog(database, topics=TOPICS)
    async with log.running():
        await log.publish([Record(topic, key.encode(), value.encode()) for value in values])


async def stored(database: Database, topic: str = "t") -> list[str]:
    async with database.transaction() as connection:
        rows = await connection.execute(
            text('SELECT value FROM eventlog.records WHERE topic = :topic ORDER BY "offset"'),
            {"topic": topic},
        )
        return [value.decode() for value in rows.scalars()]


async def expire_sessions(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE eventlog.members SET expires_at = now() - interval '1 second'"))


async def test_a_member_struck_off_without_noticing_neither_reads_nor_commits(database: Database) -> None:
    await publish(database, "1", "2")
    frozen, successor = member(database), member(database)
    await frozen.beat_once()
    got = await frozen.fetch(max_records=1, wait_seconds=0)

    await expire_sessions(database)
    await successor.beat_once()

    assert len(frozen.assignment()) == 2  # it does not know
    assert await frozen.fetch(wait_seconds=0) == []
    await frozen.commit(got)
    assert values(await successor.fetch(wait_seconds=0)) == ["1", "2"]


async def test_a_member_that_was_struck_off_joins_again_where_the_group_stands(database: Database) -> None:
    await publish(database, "1", "2", "3")
    frozen, successor = member(database), member(database)
    await frozen.beat_once()
    await frozen.fetch(wait_seconds=0)
    await expire_sessions(database)
    await successor.beat_once()
    await successor.commit((await successor.fetch(wait_seconds=0))[:2])

    await expire_sessions(database)
    await frozen.beat_once()

    assert values(await frozen.fetch(wait_seconds=0)) == ["3"]


async def test_what_every_group_has_read_goes_after_the_retention(database: Database) -> None:
    await publish(database, "1", "2", "3")
    reader, now = member(database), utcnow()
    await reader.beat_once()
    await reader.commit((await reader.fetch(wait_seconds=0))[:2])

    assert await clean_once(database, WEEK, now) == 0
    assert await clean_once(database, WEEK, now + timedelta(days=8)) == 2
    assert await stored(database) == ["3"]


async def test_a_group_without_members_holds_records_back_for_four_times_the_retention(
    database: Database,
) -> None:
    await publish(database, "1", "2")
    reader = member(database)
    await reader.beat_once()

    assert await clean_once(database, WEEK, utcnow() + timedelta(days=30)) == 0
    await PostgresEventLog(database, topics=TOPICS).forget_members()
    assert await clean_once(database, WEEK, utcnow() + timedelta(days=27)) == 0
    assert await clean_once(database, WEEK, utcnow() + timedelta(days=29)) == 2


async def test_what_no_group_reads_goes_by_age_alone(database: Database) -> None:
    await publish(database, "1", "2")

    assert await clean_once(database, WEEK, utcnow() + timedelta(days=6)) == 0
    assert await clean_once(database, WEEK, utcnow() + timedelta(days=8)) == 2


async def test_a_backlog_of_records_goes_in_one_round_however_long_it_is(database: Database) -> None:
    """What came in a day of rest is not carried along at so many a minute."""
    async with database.transaction() as connection:
        await connection.execute(
            text("""
                INSERT INTO eventlog.records (topic, partition, "offset", key, value, headers, at)
                SELECT 't', n % 2, n / 2, '', '', '', now() FROM generate_series(0, 23999) AS n
            """)
        )
        await connection.execute(text("UPDATE eventlog.partitions SET next_offset = 12000"))

    assert await clean_once(database, WEEK, utcnow() + timedelta(days=8)) == 24_000
    assert await stored(database) == []


async def test_offsets_go_on_counting_after_records_went(database: Database) -> None:
    await publish(database, "1", "2")
    await clean_once(database, WEEK, utcnow() + timedelta(days=8))
    await publish(database, "3")
    reader = member(database)
    await reader.beat_once()

    (record,) = await read(reader, 1)
    assert (record.value, record.offset) == (b"3", 2)


async def test_of_a_compacted_topic_the_last_record_of_each_key_stays_however_old(database: Database) -> None:
    await publish(database, "1", "2", topic="state", key="a")
    await publish(database, "3", topic="state", key="b")

    await clean_once(database, WEEK, utcnow() + timedelta(days=100))

    assert await stored(database, "state") == ["2", "3"]


async def test_a_host_that_is_alone_takes_at_once_what_its_killed_predecessor_held(
    database: Database,
) -> None:
    killed, successor = member(database), member(database)
    await killed.beat_once()

    await PostgresEventLog(database, topics=TOPICS).forget_members()
    await successor.beat_once()

    assert len(successor.assignment()) == 2
