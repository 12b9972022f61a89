"""Ladder's topics: their names, their partitions, and how long they keep what.

The number of partitions and the replication are settled when a topic is made and never changed in place: a
key's partition, and with it the order of its records, depends on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared import events
from shared.events import MAX_BYTES

PARTITIONS: Final = 48
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
