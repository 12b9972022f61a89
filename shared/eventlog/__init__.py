"""The event log: keyed records, order per key, consumer groups, at least once, explicit commit.

One port with two adapters: `kafka` (production) and `postgres` (one machine, nothing to install). Both pass
the same contract suite (tests/eventlog).
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.errors.kinds import AwayError, RefusedError

__all__ = [
    "Consumer",
    "EventLog",
    "Lag",
    "LogSilentError",
    "LogUnavailableError",
    "Partition",
    "Received",
    "Record",
    "RecordTooLargeError",
]


class EventLogError(Exception):
    """Whatever the log could not do."""


class LogUnavailableError(EventLogError, AwayError):
    """The log did not acknowledge in time; the records may or may not have been written. Try again."""


class LogSilentError(LogUnavailableError):
    """The log gave no answer at all, not even that it is away."""


class RecordTooLargeError(EventLogError, RefusedError):
    """The record is larger than the topic takes; trying again is pointless."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is published. Records with one key keep their order."""

    topic: str
    key: bytes
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partition:
    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Received:
    """What is consumed. `at` is when the log took it."""

    partition: Partition
    offset: int
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]
    at: datetime


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer is behind in one partition: records that it has not committed, a batch that it is at
    included, and the age in seconds of the oldest of them.
    """

    records: int
    seconds: float


class Consumer(Protocol):
    """A member of a consumer group, inside its `async with`."""

    async def fetch(self, max_records: int = 500, wait_seconds: float = 1.0) -> Sequence[Received]:
        """The next records of the owned partitions, in offset order per partition; empty when none came.

        Waits for the first record only: what is there is returned at once. While the log is away it returns
        nothing and recovers by itself.
        """

    async def commit(self, records: Iterable[Received]) -> None:
        """Everything up to these records is done with. Partitions no longer owned are passed over silently.

        Raises LogUnavailableError when it could not be stored (the records come again to somebody).
        """

    def assignment(self) -> frozenset[Partition]:
        """What this member owns now."""

    async def lag(self, now: datetime) -> Mapping[Partition, Lag]:
        """How far behind this member is, per owned partition, as the log itself says at this moment.

        Raises LogUnavailableError when that cannot be known now, LogSilentError when nobody answers.
        """

    @property
    def ever_assigned(self) -> bool:
        """Whether the group has ever given this member its share (which may be empty)."""


class EventLog(Protocol):
    """The port. An adapter is started and stopped by the `running` context of whoever hosts it."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Connect; on leaving, flush and disconnect within a few seconds even if the log is dead.

        An unreachable log is no error here: publishing raises, consuming returns nothing until it is back.
        """

    def away(self) -> str | None:
        """Why it cannot be reached at this moment, in a sentence; None as far as nothing is known."""

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        """Return when every record is acknowledged durably.

        Raises LogUnavailableError, RecordTooLargeError. After an error some of the records may be in the log.
        """

    def consumer(self, group: str, topics: Sequence[str]) -> AbstractAsyncContextManager[Consumer]:
        """Join a group; leave it at the end of the block. A new group starts at the beginning."""

    def follow(self, topic: str) -> AsyncIterator[Sequence[Received]]:
        """Read a compacted topic from its beginning, without a group, and go on for ever.

        The first item is everything there was when it was opened (perhaps empty), so that a reader knows
        when it is up to date. Survives the log going away.
        """

    async def create_topics(self) -> None:
        """Make Ladder's topics (shared.eventlog.topics) where they are missing; change none that is there."""

    async def verify_topics(self) -> Sequence[str]:
        """What is wrong with the topics, in sentences; empty when all is well."""
