"""The event log on PostgreSQL: one machine, nothing to install, the same promises as Kafka's.

Records are rows, ordered by gapless offsets per partition; groups lease partitions; NOTIFY wakes readers.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import text

from shared import migrations
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from shared.eventlog import Consumer, Received, Record
from shared.eventlog.postgres.append import CHANNEL, Appender
from shared.eventlog.postgres.group import PostgresConsumer, received
from shared.eventlog.postgres.retention import clean_for_ever
from shared.eventlog.postgres.wakeups import Wakeups, wait
from shared.eventlog.topics import RETENTION, Topic, ladder_topics
from shared.events import MAX_BYTES
from shared.loops.alongside import alongside

OWNER: Final = "eventlog"
MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
DEFAULT_PARTITIONS: Final = 8
_PAGE_RECORDS: Final = 100
_CALL_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 1.0


_TOPICS = text("SELECT name, partitions, compacted FROM eventlog.topics")
_ADD_TOPIC = text("""
    WITH added AS (
        INSERT INTO eventlog.topics (name, partitions, compacted) VALUES (:name, :partitions, :compacted)
        ON CONFLICT DO NOTHING RETURNING name, partitions
    )
    INSERT INTO eventlog.partitions (topic, number)
    SELECT name, generate_series(0, partitions - 1) FROM added
""")
_FORGET_MEMBERS = text("DELETE FROM eventlog.members")
_PARTITION_NUMBERS = text("SELECT number FROM eventlog.partitions WHERE topic = :topic ORDER BY number")
_PAGE = text("""
    SELECT topic, partition, "offset", key, value, headers, at FROM eventlog.records
    WHERE topic = :topic AND partition = :number AND "offset" >= :position
    ORDER BY "offset" LIMIT :most
""")


class PostgresEventLog:
    """See shared.eventlog.EventLog.

    `session_seconds`: how long a member may be silent before its partitions go to others.
    """

    def __init__(
        self,
        database: Database,
        *,
        topics: Sequence[Topic] | None = None,
        max_bytes: int = MAX_BYTES,
        session_seconds: float = 6.0,
    ) -> None:
        self._database = database
        self._topics = ladder_topics(DEFAULT_PARTITIONS) if topics is None else topics
        self._session_seconds = session_seconds
        self._wakeups = Wakeups()
        self._appender = Appender(database, max_bytes, self._wakeups.wake)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with (
                alongside("eventlog retention", clean_for_ever(self._database, RETENTION)),
                self._database.listening(CHANNEL, self._wakeups.wake),
            ):
                yield
        finally:
            await self._appender.close()

    def away(self) -> str | None:
        return None  # whoever has the database says so

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        if records:
            await self._appender.append(records, timeout_seconds)

    def consumer(self, group: str, topics: Sequence[str]) -> AbstractAsyncContextManager[Consumer]:
        return PostgresConsumer(self._database, self._wakeups, group, topics, self._session_seconds).joined()

    async def follow(self, topic: str) -> AsyncIterator[Sequence[Received]]:
        positions: dict[int, int] = {}
        first = True
        with self._wakeups.of([f"topic:{topic}"]) as news:
            while True:
                news.clear()
                records = await self._read_on(topic, positions)
                if records or (first and records is not None):
                    first = False
                    yield records
                await wait(news, _POLL_SECONDS)

    async def create_topics(self) -> None:
        """Bring the schema to its newest revision, then add the topics that are missing."""
        await migrations.upgrade(self._database, OWNER, MIGRATIONS)
        async with self._database.transaction() as connection:
            for topic in self._topics:
                row = {"name": topic.name, "partitions": topic.partitions, "compacted": topic.compacted}
                await connection.execute(_ADD_TOPIC, row)

    async def forget_members(self) -> None:
        """Strike off every member of every group. For a host that knows that it alone uses this database:
        what a killed predecessor held is then taken at once instead of after its session.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET_MEMBERS)

    async def verify_topics(self) -> Sequence[str]:
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                if wrong := await migrations.pending(self._database, OWNER, MIGRATIONS):
                    return [wrong]
                async with self._database.transaction() as connection:
                    rows = (await connection.execute(_TOPICS)).all()
        except Exception as err:
            if kind_of(err) is Kind.BROKEN:
                raise
            return [f"the event log does not answer: {err!r}"]
        there = {name: compacted for name, _, compacted in rows}
        wrong_ones = [
            f"topic {topic.name} is missing: run `ladder migrate`"
            for topic in self._topics
            if topic.name not in there
        ]
        return wrong_ones + [
            f"topic {topic.name} is {'not ' * topic.compacted}compacted"
            for topic in self._topics
            if there.get(topic.name, topic.compacted) != topic.compacted
        ]

    async def _read_on(self, topic: str, positions: dict[int, int]) -> list[Received] | None:
        """Everything from these positions on, which move along; None while the log is away."""
        try:
            async with asyncio.timeout(_CALL_SECONDS), self._database.transaction() as connection:
                numbers = (await connection.execute(_PARTITION_NUMBERS, {"topic": topic})).scalars().all()
                if not numbers:
                    return None
                found: list[Received] = []
                for number in numbers:
                    position = positions.get(number, 0)
                    while True:
                        asked = {
                            "topic": topic,
                            "number": number,
                            "position": position,
                            "most": _PAGE_RECORDS,
                        }
                        page = [received(row) for row in await connection.execute(_PAGE, asked)]
                        if not page:
                            break
                        found += page
                        position = page[-1].offset + 1
        except Exception as err:
            if kind_of(err) is Kind.BROKEN:
                raise
            self._database.outage.began(err, f"follow {topic}")
            return None
        self._database.outage.ended(f"follow {topic}")
        for record in found:
            positions[record.partition.number] = record.offset + 1
        return found
