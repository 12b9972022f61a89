"""The event log on Kafka, by aiokafka: production, any number of replicas."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared import telemetry
from shared.eventlog import Consumer, LogUnavailableError, Received, Record
from shared.eventlog.kafka import topic_setup as topic_work
from shared.eventlog.kafka.closing import end
from shared.eventlog.kafka.connection import KafkaConnection, KafkaOptions, explained, words
from shared.eventlog.kafka.group import KafkaConsumer, received
from shared.eventlog.kafka.publish import Publisher
from shared.eventlog.kafka.quiet_logs import quieten
from shared.eventlog.topics import Topic, ladder_topics
from shared.events import MAX_BYTES
from shared.loops.outage import Outage
from shared.loops.repeat import Failures

_START_SECONDS: Final = 15.0
_LONGEST_PAUSE_SECONDS: Final = 0.5
_READ_SECONDS: Final = 1.0

log = telemetry.logger(__name__)


class KafkaEventLog:
    """See shared.eventlog.EventLog.

    `session_seconds`: how long a member may be silent before its partitions go to others (the broker's own
    least is 6). `linger_ms`: how long a record may wait for company; under load it finds some anyway.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        topics: Sequence[Topic] | None = None,
        max_bytes: int = MAX_BYTES,
        session_seconds: float = 6.0,
        linger_ms: int = 0,
    ) -> None:
        self._connection = connection
        self._topics = ladder_topics() if topics is None else topics
        self._max_bytes = max_bytes
        self._session_seconds = session_seconds
        self._linger_ms = linger_ms
        self._publisher: Publisher | None = None

    @cached_property
    def _options(self) -> KafkaOptions:
        return self._connection.options()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        quieten()
        self._publisher = Publisher(self._options, max_bytes=self._max_bytes, linger_ms=self._linger_ms)
        async with self._publisher.running():
            yield

    def away(self) -> str | None:
        return self._publisher.away if self._publisher else None

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        if self._publisher is None:
            raise LogUnavailableError("the log is not running")
        if records:
            await self._publisher.publish(records, timeout_seconds)

    def consumer(self, group: str, topics: Sequence[str]) -> AbstractAsyncContextManager[Consumer]:
        return KafkaConsumer(self._options, group, topics, self._session_seconds).joined()

    async def follow(self, topic: str) -> AsyncIterator[Sequence[Received]]:
        positions: dict[int, int] = {}
        first = True
        name, outage = f"follow {topic}", Outage(log, "log_unavailable", topic=topic)
        failures = Failures(name, outage, longest=_LONGEST_PAUSE_SECONDS)
        while True:
            consumer = AIOKafkaConsumer(
                **self._options,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=500,
            )
            try:
                async with asyncio.timeout(_START_SECONDS):
                    ends = await _open(consumer, topic, positions)
                    begun = await _read_to(consumer, ends)
                await failures.worked()
                _move(positions, begun)
                if first or begun:
                    first = False
                    yield begun
                while True:
                    found = await _read(consumer)
                    _move(positions, found)
                    if found:
                        yield found
            except (KafkaError, LogUnavailableError) as err:
                away = await explained(err, self._options["bootstrap_servers"])
                outage.began(away, name)
                _, pause = await failures.failed(LogUnavailableError(words(away)))
            except Exception as err:  # noqa: BLE001 - the policy must be followed whatever comes
                _, pause = await failures.failed(err)
            finally:
                await end(consumer)
            await asyncio.sleep(pause)

    async def create_topics(self) -> None:
        async with topic_work.administration(self._options) as client:
            await topic_work.create(client, self._topics)

    async def verify_topics(self) -> Sequence[str]:
        try:
            async with topic_work.administration(self._options) as client:
                return await topic_work.complaints(client, self._topics)
        except LogUnavailableError as err:
            return [str(err)]


async def _open(
    consumer: AIOKafkaConsumer, topic: str, positions: dict[int, int]
) -> dict[TopicPartition, int]:
    """Start at these positions, otherwise at the beginning; where each partition ends now."""
    await consumer.start()
    if topic not in await consumer.topics():
        raise LogUnavailableError(f"no topic {topic}: run `ladder migrate`")
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.beginning_offsets([TopicPartition(topic, 0)])  # brings the topic's metadata
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    beginnings = await consumer.beginning_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, positions.get(partition.partition, beginnings[partition]))
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    return ends


async def _read_to(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> list[Received]:
    """Everything up to these offsets (compaction leaves gaps, so positions count, not records)."""
    found: list[Received] = []
    for partition, end_offset in ends.items():
        while await consumer.position(partition) < end_offset:
            found += await _read(consumer)
    return found


async def _read(consumer: AIOKafkaConsumer) -> list[Received]:
    batches = await consumer.getmany(timeout_ms=int(_READ_SECONDS * 1000))
    return [received(record) for records in batches.values() for record in records]


def _move(positions: dict[int, int], records: Sequence[Received]) -> None:
    for record in records:
        positions[record.partition.number] = record.offset + 1
