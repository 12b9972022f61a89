"""Publishing to Kafka: acks from all in-sync replicas, a deadline on everything.

Not idempotent: aiokafka's idempotent producer waits for ever when the brokers vanish. Repeats are dropped by
the receivers, by event id.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from shared import telemetry
from shared.eventlog import LogUnavailableError, Record, RecordTooLargeError
from shared.eventlog.kafka.closing import end
from shared.eventlog.kafka.connection import KafkaOptions, explained, words
from shared.eventlog.placement import check_size, partition_of
from shared.events import OVERHEAD_BYTES
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import Failures, repeat

_START_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.3
_LONGEST_PAUSE_SECONDS: Final = 0.5
_EXPIRY_MS: Final = 3_000  # what could not be sent for so long is given up, so that it does not turn up later

log = telemetry.logger(__name__)


class Publisher:
    """One producer, connected in the background, replaced when it is broken beyond repair."""

    def __init__(self, options: KafkaOptions, *, max_bytes: int, linger_ms: int) -> None:
        self._options = options
        self._max_bytes = max_bytes
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None
        self._up = asyncio.Event()
        self._broken = asyncio.Event()
        self.away: str | None = None  # why it is not connected
        self._partitions: dict[str, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with alongside("kafka producer", self._stay_connected()):
            yield

    async def publish(self, records: Sequence[Record], timeout_seconds: float) -> None:
        """Return when all are acknowledged. Raises LogUnavailableError, RecordTooLargeError."""
        for record in records:
            check_size(record, self._max_bytes - OVERHEAD_BYTES)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._send(records)
        except TimeoutError as err:
            raise LogUnavailableError(f"Kafka did not acknowledge within {timeout_seconds:g} s") from err
        except MessageSizeTooLargeError as err:
            raise RecordTooLargeError(str(err)) from err
        except UnknownTopicOrPartitionError as err:
            raise LogUnavailableError("a topic is missing: run `ladder migrate`") from err
        except KafkaError as err:
            if not err.retriable:
                self._broken.set()
            raise LogUnavailableError(f"Kafka did not acknowledge: {err!r}") from err

    async def _send(self, records: Sequence[Record]) -> None:
        if not self._up.is_set():
            await self._up.wait()
        producer: Any = self._producer
        acknowledged: list[asyncio.Future[Any]] = []
        try:
            for record in records:
                partitions = self._partitions.get(record.topic) or await self._count(record.topic)
                acknowledged.append(
                    await producer.send(
                        record.topic,
                        record.value,
                        record.key,
                        partition_of(record.key, partitions),
                        headers=list(record.headers.items()),
                    )
                )
            if len(acknowledged) == 1:
                await acknowledged[0]
            else:
                await asyncio.gather(*acknowledged)
        except BaseException:
            for future in acknowledged:
                future.add_done_callback(_ignore)
            raise

    async def _count(self, topic: str) -> int:
        assert self._producer is not None
        count = self._partitions[topic] = len(await self._producer.partitions_for(topic))
        return count

    async def _stay_connected(self) -> None:
        name, outage = "kafka producer", Outage(log, "log_unavailable", role="producer")
        failures = Failures(name, outage, longest=_LONGEST_PAUSE_SECONDS)

        async def step() -> None:
            producer = AIOKafkaProducer(
                **self._options,
                acks="all",
                enable_idempotence=False,
                linger_ms=self._linger_ms,
                max_batch_size=256 * 1024,
                max_request_size=self._max_bytes,
                request_timeout_ms=_EXPIRY_MS,
            )
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await producer.start()
                self._producer = producer
                self.away = None
                await failures.worked()
                self._broken.clear()
                self._up.set()
                await self._broken.wait()
            except (KafkaError, OSError, TimeoutError) as err:
                away = await explained(err, self._options["bootstrap_servers"])
                self.away = words(away)
                outage.began(away, name)
                raise LogUnavailableError(f"not connected: {words(away)}") from err
            finally:
                self._up.clear()
                await end(producer)
            await asyncio.sleep(_PAUSE_SECONDS)

        await repeat(failures, step)


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
