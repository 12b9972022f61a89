"""The two logs that the contract suite runs against: each with its server, topics and group of its own."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from shared.database.pool import Database
from shared.eventlog import Consumer, EventLog, Received, Record
from shared.eventlog.kafka.connection import KafkaConnection
from shared.eventlog.kafka.log import KafkaEventLog
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.topics import Topic

SESSION_SECONDS = 2.0
PARTITIONS = 4


class Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


@dataclass(frozen=True)
class LogPlace:
    """`adapter` and `address` are enough to open the same log in another process."""

    adapter: str
    address: str
    server: Server
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    @property
    def topic(self) -> str:
        return f"records-{self.name}"

    @property
    def compacted(self) -> str:
        return f"state-{self.name}"

    @asynccontextmanager
    async def log(self) -> AsyncIterator[EventLog]:
        """A log of this place, running."""
        async with opened(self.adapter, self.address, self.name) as log, log.running():
            yield log

    def record(self, key: str, value: str | bytes, topic: str = "") -> Record:
        payload = value.encode() if isinstance(value, str) else value
        return Record(topic or self.topic, key.encode(), payload, {"ce_id": key.encode()})


@asynccontextmanager
async def opened(adapter: str, address: str, name: str) -> AsyncIterator[EventLog]:
    """A log with the two topics of this name; not running."""
    topics = (Topic(f"records-{name}", PARTITIONS), Topic(f"state-{name}", 1, compacted=True))
    if adapter == "kafka":
        yield KafkaEventLog(KafkaConnection(address), topics=topics, session_seconds=SESSION_SECONDS)
        return
    database = Database(address)
    try:
        yield PostgresEventLog(database, topics=topics, session_seconds=SESSION_SECONDS)
    finally:
        await database.close()


async def read(consumer: Consumer, count: int, seconds: float = 15, *, commit: bool = True) -> list[Received]:
    """Fetch until there are so many records; AssertionError when they do not come in time."""
    return await read_until(consumer, lambda got: len(got) >= count, seconds, commit=commit)


async def read_until(
    consumer: Consumer,
    enough: Callable[[Sequence[Received]], bool],
    seconds: float = 15,
    *,
    commit: bool = True,
) -> list[Received]:
    got: list[Received] = []
    for _ in range(int(seconds / 0.25)):
        if enough(got):
            return got
        records = await consumer.fetch(wait_seconds=0.25)
        got += records
        if commit and records:
            await consumer.commit(records)
    raise AssertionError(
        f"only {len(got)} records within {seconds} s: {[record.value[:20] for record in got]}"
    )


def values(records: Sequence[Received]) -> list[str]:
    return [record.value.decode() for record in records]
