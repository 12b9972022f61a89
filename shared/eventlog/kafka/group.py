"""Consumer groups on Kafka: one aiokafka consumer, connected in the background, replaced when it breaks."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared import telemetry
from shared.clock import utcnow
from shared.eventlog import Lag, LogSilentError, LogUnavailableError, Partition, Received
from shared.eventlog.kafka.closing import end
from shared.eventlog.kafka.connection import KafkaOptions, explained, refused, words
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import Failures, repeat

_START_SECONDS: Final = 15.0
_CALL_SECONDS: Final = 5.0
_LAG_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.3
_LONGEST_PAUSE_SECONDS: Final = 0.5
_REBALANCE_MS: Final = 15_000  # above the worst time that a batch takes
_FETCH_WAIT_MS: Final = 500  # every fetch names all partitions: an empty one costs a millisecond of work
# While a broker holds an empty fetch open, aiokafka asks it for nothing else. So none is sent before what the
# last one brought is drained: then it names every partition, and none waits for the end of another's.
_DRAINED_WITHIN: Final = 3_600.0
_FETCH_BYTES: Final = 16 * 1024 * 1024
_PARTITION_BYTES: Final = 1024 * 1024  # what is read ahead of each; a larger record comes alone
_METADATA_MS: Final = 30_000
_HEARTBEAT_MS: Final = 1_000  # with each one a member learns that another one died

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one fetch brought of one partition: its first offset, the next one after it, the oldest's time."""

    begin: int
    end: int
    at: datetime


class KafkaConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member of a group, inside `joined()`."""

    def __init__(
        self,
        options: KafkaOptions,
        group: str,
        topics: Sequence[str],
        session_seconds: float,
    ) -> None:
        self._options = options
        self._group = group
        self._topics = sorted(set(topics))
        self._session_ms = int(session_seconds * 1000)
        self._consumer: AIOKafkaConsumer | None = None
        self._up = asyncio.Event()
        self._broken = asyncio.Event()
        self._ever_assigned = False
        self._last_read_at: dict[TopicPartition, datetime] = {}
        self._in_hand: dict[TopicPartition, deque[_Batch]] = {}  # fetched, and not committed
        self._stored: dict[TopicPartition, int] = {}  # committed since the partition was given

    @asynccontextmanager
    async def joined(self) -> AsyncIterator["KafkaConsumer"]:
        """Join in the background, leave at the end."""
        async with alongside(f"kafka group {self._group}", self._stay_connected()):
            yield self

    def assignment(self) -> frozenset[Partition]:
        if self._consumer is None:
            return frozenset()
        return frozenset(Partition(tp.topic, tp.partition) for tp in self._consumer.assignment())

    @property
    def ever_assigned(self) -> bool:
        return self._ever_assigned

    async def fetch(self, max_records: int = 500, wait_seconds: float = 1.0) -> Sequence[Received]:
        """See shared.eventlog.Consumer."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        try:
            async with asyncio.timeout_at(deadline + 0.1):
                if not self._up.is_set():
                    await self._up.wait()
                left = max(0.0, deadline - asyncio.get_running_loop().time())
                found = await self._consumer.getmany(  # type: ignore[union-attr]
                    timeout_ms=int(left * 1000), max_records=max_records
                )
        except TimeoutError:
            return []
        except KafkaError as err:
            log.warning(
                "could not fetch: rejoining the group",
                action="log_unavailable",
                group=self._group,
                error=repr(err),
            )
            self._break()
            return []
        self._note_time(found, max_records)
        for partition, records in found.items():
            batch = _Batch(records[0].offset, records[-1].offset + 1, _time(records[0]))
            self._in_hand.setdefault(partition, deque()).append(batch)
        return [received(record) for records in found.values() for record in records]

    async def commit(self, records: Iterable[Received]) -> None:
        """See shared.eventlog.Consumer."""
        done: dict[TopicPartition, int] = {}
        for record in records:
            partition = TopicPartition(record.partition.topic, record.partition.number)
            done[partition] = max(done.get(partition, 0), record.offset + 1)
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await self._commit(done)
        except TimeoutError as err:
            raise LogUnavailableError(f"offsets of group {self._group} not stored") from err
        except KafkaError as err:
            raise LogUnavailableError(f"offsets of group {self._group} not stored: {err!r}") from err

    async def lag(self, now: datetime) -> Mapping[Partition, Lag]:
        """See shared.eventlog.Consumer. The age is an upper bound: Kafka does not show unread records."""
        try:
            async with asyncio.timeout(_LAG_SECONDS):
                if self._consumer is None:
                    await self._up.wait()
                return await self._lag(self._consumer, now)
        except (TimeoutError, KafkaError) as err:  # also: taken away meanwhile
            if await refused(self._options["bootstrap_servers"]):
                raise LogUnavailableError("the brokers refuse connections") from err
            raise LogSilentError(f"no broker answers: {err!r}") from err

    async def _lag(self, consumer: AIOKafkaConsumer, now: datetime) -> Mapping[Partition, Lag]:
        """The ends are asked for: what comes along with fetches stays as it was while nothing is fetched."""
        lags: dict[Partition, Lag] = {}
        for partition, end_offset in (await consumer.end_offsets(list(consumer.assignment()))).items():
            in_hand = self._in_hand.get(partition)
            done = self._stored.get(partition)
            if done is None:
                done = in_hand[0].begin if in_hand else await consumer.position(partition)
            since = in_hand[0].at if in_hand else self._last_read_at.get(partition, now)
            age = max(0.0, (now - since).total_seconds())
            behind = max(0, end_offset - done)
            lag = Lag(behind, age) if behind else Lag(0, 0.0)
            lags[Partition(partition.topic, partition.partition)] = lag
        return lags

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing to do: what is uncommitted comes again to the next owner."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        now = utcnow()
        self._last_read_at = dict.fromkeys(assigned, now)
        self._in_hand, self._stored = {}, {}  # all are read anew from where the group stands
        self._ever_assigned = True
        log.info(
            "partition assignment changed",
            action="share_changed",
            group=self._group,
            partitions=len(self._last_read_at),
        )

    async def _commit(self, done: Mapping[TopicPartition, int]) -> None:
        """Only what is still owned: aiokafka refuses a whole batch that includes a revoked partition."""
        while self._consumer is not None:
            owned = {tp: offset for tp, offset in done.items() if tp in self._consumer.assignment()}
            if not owned:
                return
            try:
                await self._consumer.commit(owned)
            except IllegalStateError:
                continue  # a rebalance came between the look and the commit
            except CommitFailedError as err:
                log.info(
                    "commit rejected: the partitions have been reassigned",
                    action="commit_too_late",
                    group=self._group,
                    error=str(err),
                )
            else:
                self._note_stored(owned)
            return

    def _note_stored(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            self._stored[partition] = max(offset, self._stored.get(partition, 0))
            in_hand = self._in_hand.get(partition, deque())
            while in_hand and in_hand[0].end <= offset:
                in_hand.popleft()

    def _note_time(self, found: Mapping[TopicPartition, Sequence[Any]], max_records: int) -> None:
        """Remember per partition up to when everything has been read."""
        for partition, records in found.items():
            self._last_read_at[partition] = _time(records[-1])
        if self._consumer is None or sum(map(len, found.values())) == max_records:
            return  # more may be waiting
        now = utcnow()
        for partition in self._consumer.assignment() - found.keys():
            self._last_read_at[partition] = now

    def _break(self) -> None:
        self._up.clear()
        self._broken.set()

    async def _stay_connected(self) -> None:
        outage = Outage(log, "log_unavailable", group=self._group)
        name = f"kafka consumer {self._group}"
        failures = Failures(name, outage, longest=_LONGEST_PAUSE_SECONDS)

        async def step() -> None:
            consumer = self._new_consumer()
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await consumer.start()
                    assert hasattr(consumer._fetcher, "_prefetch_backoff")  # noqa: SLF001
                    consumer._fetcher._prefetch_backoff = _DRAINED_WITHIN  # noqa: SLF001 - no option of it
                    await self._require_topics(consumer)
                consumer.subscribe(self._topics, listener=self)
                self._consumer = consumer
                await failures.worked()
                self._broken.clear()
                self._up.set()
                await self._broken.wait()
            except (KafkaError, LogUnavailableError, OSError, TimeoutError) as err:
                away = await explained(err, self._options["bootstrap_servers"])
                outage.began(away, name)
                raise LogUnavailableError(f"not connected: {words(away)}") from err
            finally:
                self._up.clear()
                self._consumer = None
                await end(consumer)
            await asyncio.sleep(_PAUSE_SECONDS)

        await repeat(failures, step)

    async def _require_topics(self, consumer: AIOKafkaConsumer) -> None:
        if missing := set(self._topics) - await consumer.topics():
            raise LogUnavailableError(f"no topic {', '.join(sorted(missing))}: run `ladder migrate`")

    def _new_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._options,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self._session_ms,
            heartbeat_interval_ms=min(self._session_ms // 3, _HEARTBEAT_MS),
            rebalance_timeout_ms=_REBALANCE_MS,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            metadata_max_age_ms=_METADATA_MS,
            request_timeout_ms=_REBALANCE_MS + 5_000,
        )


def received(record: Any) -> Received:
    """An aiokafka ConsumerRecord in the port's words."""
    return Received(
        Partition(record.topic, record.partition),
        record.offset,
        record.key or b"",
        record.value or b"",
        dict(record.headers),
        _time(record),
    )


def _time(record: Any) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)
