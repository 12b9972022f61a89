"""What only the Kafka log has to take care of: what others read from it, its topics, its security."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient

from shared.eventlog import EventLog, LogUnavailableError, Record
from shared.eventlog.codec import encode
from shared.eventlog.kafka.connection import KafkaConnection
from shared.eventlog.kafka.log import KafkaEventLog
from shared.eventlog.kafka.quiet_logs import OnceAMinute
from shared.eventlog.open_log import open_log
from shared.eventlog.settings import EventLogSettings
from shared.eventlog.topics import Topic, ladder_topics
from shared.events import IncidentEvent
from shared.network.keepalive import SOCKET_OPTIONS
from tests.eventlog.places import read_until, values
from tests.servers.kafka import PASSWORD, USER, Authority, KafkaServer, has_java
from tests.servers.resolver import Resolver
from tests.waiting import until

pytestmark = pytest.mark.skipif(not has_java(), reason="needs Apache Kafka itself")


@pytest.fixture(scope="module")
def authority(server_folder: Path) -> Authority:
    folder = server_folder / "certificates"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture(scope="module")
def secured(server_folder: Path, authority: Authority) -> Iterator[KafkaServer]:
    """A broker of its own, with SASL and TLS, and without Ladder's topics at first."""
    folder = server_folder / "kafka-secured"
    folder.mkdir()
    server = KafkaServer(folder, secured=authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def admin(secured: KafkaServer) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=secured.bootstrap_servers)
    await client.start()
    yield client
    await client.close()


def log_at(server: KafkaServer, **settings) -> EventLog:
    return open_log(EventLogSettings(kafka_bootstrap_servers=server.bootstrap_servers, **settings), None)


async def test_topics_that_are_not_as_they_should_be_are_named_with_what_is_wrong(
    secured: KafkaServer, admin: AIOKafkaAdminClient
) -> None:
    await admin.create_topics(
        [
            NewTopic("few", 2, 1),
            NewTopic("uncompacted", 1, 1, topic_configs={"max.message.bytes": "1000"}),
            NewTopic("short", 3, 1, topic_configs={"retention.ms": "1000", "max.message.bytes": "4000000"}),
        ]
    )
    topics = (Topic("few", 3), Topic("uncompacted", 1, compacted=True), Topic("short", 3), Topic("none", 1))
    log = KafkaEventLog(log_at(secured)._connection, topics=topics)

    partitions, *others = await log.verify_topics()
    assert partitions.startswith(
        "topic few has 2 partitions, 3 expected (partitions are never changed in place"
    )
    assert others == [
        "topic few: max.message.bytes is 1048588, at least 3145728 expected",
        "topic uncompacted: cleanup.policy is delete, compact expected",
        "topic uncompacted: max.message.bytes is 1000, at least 3145728 expected",
        "topic short: retention.ms is 1000, at least 604800000 expected",
        "topic none is missing: run `ladder migrate`",
    ]


async def test_ladders_topics_are_made_as_they_are_verified(secured: KafkaServer) -> None:
    log = log_at(secured, kafka_partitions=6)
    await log.create_topics()

    assert list(await log.verify_topics()) == []
    assert len(ladder_topics(6)) == 5


async def test_a_plain_consumer_reads_cloud_events(secured: KafkaServer) -> None:
    log = log_at(secured, kafka_partitions=6)
    await log.create_topics()
    event = IncidentEvent(
        event_id="e1",
        integration="shop",
        dedup_key="d1",
        title="Down",
        received_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    async with log.running():
        await log.publish([encode(event)])

    async with AIOKafkaConsumer(
        "ladder.incidents", bootstrap_servers=secured.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()

    headers = dict(record.headers)
    assert record.key == b"shop:d1"
    assert headers["ce_specversion"] == b"1.0"
    assert (headers["ce_id"], headers["ce_type"], headers["ce_source"]) == (
        b"e1",
        b"dev.ladder.event",
        b"/ladder",
    )
    assert headers["content-type"] == b"application/json"
    assert json.loads(record.value)["received_at"] == "2026-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
        ("SASL_SSL", "SCRAM-SHA-512"),
        ("SASL_SSL", "PLAIN"),
        ("SSL", "PLAIN"),  # the certificate says who it is, the mechanism is not used
    ],
)
async def test_records_pass_over_a_secured_connection(
    secured: KafkaServer, authority: Authority, protocol: str, mechanism: str
) -> None:
    settings = EventLogSettings(
        kafka_bootstrap_servers=secured.address(protocol),
        kafka_security_protocol=protocol,
        kafka_sasl_mechanism=mechanism,
        kafka_sasl_username=USER,
        kafka_sasl_password=PASSWORD,
        kafka_tls_ca=authority.ca_file,
        kafka_tls_cert=authority.client_cert_file if protocol == "SSL" else None,
        kafka_tls_key=authority.client_key_file if protocol == "SSL" else None,
        kafka_partitions=6,
    )
    log = open_log(settings, None)
    await log.create_topics()
    assert list(await log.verify_topics()) == []
    async with log.running(), log.consumer(f"{protocol}-{mechanism}", ["ladder.deliveries"]) as consumer:
        await log.publish([Record("ladder.deliveries", b"k", mechanism.encode())])
        await until(lambda: consumer.ever_assigned)
        await read_until(consumer, lambda got: mechanism in values(got))  # others wrote here before


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_SSL"])
async def test_a_connection_to_a_broker_that_vanished_ends_by_itself(
    secured: KafkaServer, authority: Authority, protocol: str
) -> None:
    """Keepalives and the longest time without an answer are on every socket, also below TLS."""
    login = {"sasl_mechanism": "SCRAM-SHA-256", "sasl_username": USER, "sasl_password": PASSWORD}
    way = KafkaConnection(
        secured.address(protocol),
        security_protocol=protocol,
        tls_ca=authority.ca_file,
        **(login if protocol.startswith("SASL") else {}),
    )
    client = AIOKafkaClient(**way.options())
    await client.bootstrap()
    assert await client.ready(client.get_random_node())

    sockets = [each._writer.get_extra_info("socket") for each in client._conns.values()]
    assert sockets
    for each in sockets:
        assert [each.getsockopt(level, name) for level, name, _ in SOCKET_OPTIONS] == [
            value for _, _, value in SOCKET_OPTIONS
        ]
    await client.close()


def test_brokers_whose_name_comes_late_are_waited_for(secured: KafkaServer) -> None:
    """What is waited for is said, and publishing and reading go on by themselves once the name is known."""

    async def story() -> None:
        names = asyncio.get_running_loop()
        assert isinstance(names, Resolver)
        log = KafkaEventLog(KafkaConnection(secured.bootstrap_servers.replace("127.0.0.1", "kafka.test")))
        async with log.running():
            why = "the name kafka.test cannot be resolved (name or service not known)"
            await until(lambda: log.away() == why)
            assert await log.verify_topics() == [f"Kafka does not answer: {why}"]
            with pytest.raises(LogUnavailableError):
                await log.publish([Record("late", b"k", b"v")], timeout_seconds=0.1)
            names.known["kafka.test"] = "127.0.0.1"
            await until(lambda: log.away() is None)
            await until(log.verify_topics)  # it answers: what is wrong with them is another matter

    with asyncio.Runner(loop_factory=Resolver) as runner:
        runner.run(story())


async def test_a_wrong_password_is_said_and_publishing_fails(secured: KafkaServer) -> None:
    log = log_at(secured)
    wrong = EventLogSettings(
        kafka_bootstrap_servers=secured.address("SASL_PLAINTEXT"),
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_username=USER,
        kafka_sasl_password="wrong",
    )
    log = open_log(wrong, None)
    async with log.running():
        with pytest.raises(LogUnavailableError):
            await log.publish([Record("ladder.deliveries", b"k", b"v")], timeout_seconds=1)
        assert "does not answer" in "".join(await log.verify_topics())


def test_the_same_complaint_of_the_client_comes_once_a_minute() -> None:
    def line(second: float, message: str = "no broker %s") -> logging.LogRecord:
        return logging.makeLogRecord({"name": "aiokafka", "msg": message, "created": second})

    once = OnceAMinute()

    assert [once.filter(line(second)) for second in (0, 0.1, 59, 60, 61)] == [True, False, False, True, False]
    assert once.filter(line(61, "something else"))
