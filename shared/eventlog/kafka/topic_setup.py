"""Making Ladder's topics on Kafka, and saying exactly what is wrong with those that are there."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.eventlog import EventLogError, LogUnavailableError
from shared.eventlog.kafka.connection import KafkaOptions, explained, words
from shared.eventlog.topics import Topic

_REQUEST_MS: Final = 10_000
_SEEN_ATTEMPTS: Final = 100
_SEEN_PAUSE_SECONDS: Final = 0.1


@asynccontextmanager
async def administration(options: KafkaOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client. Raises LogUnavailableError."""
    client = AIOKafkaAdminClient(**options, request_timeout_ms=_REQUEST_MS)
    try:
        try:
            await client.start()
            yield client
        except (KafkaError, OSError, TimeoutError) as err:
            away = await explained(err, options["bootstrap_servers"])
            raise LogUnavailableError(f"Kafka does not answer: {words(away)}") from err
    finally:
        await client.close()


async def create(client: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Make those that are missing. Raises EventLogError with the broker's reason."""
    there = {described["topic"] for described in await client.describe_topics()}
    missing = [topic for topic in topics if topic.name not in there]
    if not missing:
        return
    brokers = len((await client.describe_cluster())["brokers"])
    answer = await client.create_topics([_new(topic, brokers) for topic in missing])
    for name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise EventLogError(f"topic {name} was not made: {error.__name__} {' '.join(map(str, message))}")
    await _see(client, {topic.name for topic in missing})


async def _see(client: AIOKafkaAdminClient, names: set[str]) -> None:
    """Return when the brokers know the new topics and lead them: their answer comes before that."""
    for _ in range(_SEEN_ATTEMPTS):
        led = {
            topic["topic"]
            for topic in await client.describe_topics()
            if topic["partitions"] and all(partition["leader"] >= 0 for partition in topic["partitions"])
        }
        if names <= led:
            return
        await asyncio.sleep(_SEEN_PAUSE_SECONDS)
    raise EventLogError(f"the brokers do not lead {', '.join(sorted(names))} yet: try again")


async def complaints(client: AIOKafkaAdminClient, topics: Sequence[Topic]) -> Sequence[str]:
    """What is wrong with the topics, in sentences."""
    described = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics()}
    brokers = len((await client.describe_cluster())["brokers"])
    settings = await _settings(client, [topic.name for topic in topics if topic.name in described])
    wrong: list[str] = []
    for topic in topics:
        if topic.name not in described:
            wrong.append(f"topic {topic.name} is missing: run `ladder migrate`")
        else:
            wrong += _layout(topic, described[topic.name], brokers)
            wrong += _configuration(topic, settings[topic.name], brokers)
    return wrong


def _copies(brokers: int) -> tuple[int, int]:
    """Replication and how many replicas must have a record before it counts as written."""
    return (3, 2) if brokers >= 3 else (1, 1)


def _new(topic: Topic, brokers: int) -> NewTopic:
    replication, in_sync = _copies(brokers)
    retention = {} if topic.compacted else {"retention.ms": str(_milliseconds(topic))}
    return NewTopic(
        topic.name,
        topic.partitions,
        replication,
        topic_configs=retention
        | {
            "cleanup.policy": _cleanup(topic),
            "max.message.bytes": str(topic.max_bytes),
            "min.insync.replicas": str(in_sync),
            "message.timestamp.type": "LogAppendTime",
        },
    )


async def _settings(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in await client.describe_configs(asked)
        for resource in answer.resources
    }


def _layout(topic: Topic, partitions: Sequence[Mapping[str, Any]], brokers: int) -> Sequence[str]:
    wrong = []
    if len(partitions) != topic.partitions:
        wrong.append(
            f"topic {topic.name} has {len(partitions)} partitions, {topic.partitions} expected "
            "(partitions are never changed in place: set LADDER_KAFKA_PARTITIONS to what is there)"
        )
    copies = min((len(partition["replicas"]) for partition in partitions), default=0)
    if copies < _copies(brokers)[0]:
        wrong.append(f"topic {topic.name} has {copies} replicas, {_copies(brokers)[0]} expected")
    return wrong


def _configuration(topic: Topic, there: Mapping[str, str], brokers: int) -> Sequence[str]:
    wrong = []
    if _cleanup(topic) not in there["cleanup.policy"].split(","):
        wrong.append(
            f"topic {topic.name}: cleanup.policy is {there['cleanup.policy']}, {_cleanup(topic)} expected"
        )
    at_least = {"max.message.bytes": topic.max_bytes, "min.insync.replicas": _copies(brokers)[1]}
    if not topic.compacted and int(there["retention.ms"]) >= 0:
        at_least["retention.ms"] = _milliseconds(topic)
    return wrong + [
        f"topic {topic.name}: {name} is {there[name]}, at least {least} expected"
        for name, least in at_least.items()
        if int(there[name]) < least
    ]


def _cleanup(topic: Topic) -> str:
    return "compact" if topic.compacted else "delete"


def _milliseconds(topic: Topic) -> int:
    return int(topic.retention.total_seconds() * 1000)
