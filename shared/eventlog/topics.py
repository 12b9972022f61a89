"""Ladder's topics: what they are called, how they are cut, how long they keep what.

The number of partitions and the replication are settled when a topic is made and never changed in place: a
key's partition, and with it the order of its records, depends on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared import events

PARTITIONS: Final = 48
MAX_BYTES: Final = 3 * 1024 * 1024
OVERHEAD_BYTES: Final = 1024  # of a batch around one record, which Kafka's limit includes
LARGEST_RECORD: Final = MAX_BYTES - OVERHEAD_BYTES  # key, value and headers: what both logs take
RETENTION: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. Compacted: the last record of each key stays, for ever."""

    name: str
    partitions: int
    compacted: bool = False
    max_bytes: int = MAX_BYTES
    retention: timedelta = RETENTION


def ladder_topics(partitions: int = PARTITIONS) -> Sequence[Topic]:
    """All topics; `partitions` for those that are shared out among replicas."""
    return (
        Topic(events.INCIDENTS, partitions),
        Topic(events.ESCALATIONS, partitions),
        Topic(events.DELIVERIES, partitions),
        Topic(events.DEAD_LETTER, partitions),
        Topic(events.POLICY, 1, compacted=True),
    )
