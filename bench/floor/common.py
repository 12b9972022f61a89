"""What the three processes of the floor share: where the servers are, and the settings of their clients."""

import os
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

EVENTS: Final = "floor.events"
PAGES: Final = "floor.pages"
PARTITIONS: Final = 48
LINGER_MS: Final = 0  # the default of LADDER_KAFKA_LINGER_MS


def bootstrap() -> str:
    return os.environ["BENCH_KAFKA"]


def database_url() -> str:
    return os.environ["BENCH_DATABASE_URL"]


def producer() -> AIOKafkaProducer:
    """The same settings as Ladder's own producer."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap(),
        acks="all",
        enable_idempotence=False,
        linger_ms=LINGER_MS,
        max_batch_size=256 * 1024,
    )


def consumer(topic: str, group: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=500,
    )
