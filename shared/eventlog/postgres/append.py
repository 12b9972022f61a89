"""Appending to the PostgreSQL log: gapless offsets, and one transaction for everybody who publishes at once.

Offsets are counted in the partition's row and taken under its lock. A serial column would not do: serial ids
commit out of order, and a reader that saw 8 before 7 was committed would skip 7.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.pool import Database
from shared.errors.bisect import bisect
from shared.errors.kinds import Kind, kind_of
from shared.eventlog import LogUnavailableError, Record
from shared.eventlog.packed_headers import pack
from shared.eventlog.placement import check_size, partition_of, size_of

CHANNEL: Final = "eventlog"
_BATCH_RECORDS: Final = 2_000
_BATCH_BYTES: Final = 16 * 1024 * 1024
_STATEMENT_SECONDS: Final = 8.0
_PAUSE_SECONDS: Final = 0.2
STANDSTILL_MS: Final = 2_000  # of a process that stands still with a lock that everybody needs


_PARTITIONS = text("SELECT name, partitions FROM eventlog.topics")
_LOCK = text(f"""
    WITH hurry AS (SELECT set_config('idle_in_transaction_session_timeout', '{STANDSTILL_MS}', true) AS set)
    SELECT p.topic, p.number, p.next_offset
    FROM eventlog.partitions p
    JOIN unnest(CAST(:topics AS text[]), CAST(:numbers AS integer[])) AS wanted (topic, number)
      ON p.topic = wanted.topic AND p.number = wanted.number
    CROSS JOIN hurry
    WHERE hurry.set <> ''
    ORDER BY p.topic, p.number
    FOR UPDATE OF p
""")
_WRITE = text("""
    WITH moved AS (
        UPDATE eventlog.partitions p SET next_offset = m.next_offset
        FROM unnest(CAST(:topics AS text[]), CAST(:numbers AS integer[]), CAST(:next AS bigint[]))
             AS m (topic, number, next_offset)
        WHERE p.topic = m.topic AND p.number = m.number
    ), written AS (
        INSERT INTO eventlog.records (topic, partition, "offset", key, value, headers)
        SELECT * FROM unnest(
            CAST(:record_topics AS text[]), CAST(:record_numbers AS integer[]), CAST(:offsets AS bigint[]),
            CAST(:keys AS bytea[]), CAST(:values AS bytea[]), CAST(:headers AS bytea[])
        )
    )
    SELECT pg_notify(:channel, 'topic:' || name) FROM unnest(CAST(:notified AS text[])) AS name
""")


@dataclass(frozen=True, slots=True)
class _Waiting:
    records: Sequence[Record]
    done: asyncio.Future[None]


class Appender:
    """Collects what is published while one transaction is under way and writes it in the next.

    `wake` is called with `topic:NAME` as soon as records of that topic can be read.
    """

    def __init__(self, database: Database, max_bytes: int, wake: Callable[[str], None]) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._wake = wake
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._partitions: dict[str, int] = {}
        self._error: BaseException | None = None

    async def append(self, records: Sequence[Record], timeout_seconds: float) -> None:
        """Return once the records are committed. Raises LogUnavailableError, RecordTooLargeError."""
        for record in records:
            check_size(record, self._max_bytes)
        waiting = _Waiting(records, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name="eventlog append")
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiting.done
        except TimeoutError as err:
            raise LogUnavailableError(f"not written within {timeout_seconds:g} s") from self._error or err

    async def close(self) -> None:
        """Stop trying; whoever still waits is told that the log is away."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._queue:
            _fail(self._queue.popleft(), LogUnavailableError("the log is being closed"))

    async def _write_all(self) -> None:
        while self._queue:
            batch = self._next_batch()
            try:
                await bisect(batch, self._write, _refuse)
            except asyncio.CancelledError:
                self._queue.extendleft(reversed(batch))
                raise
            except Exception as err:  # noqa: BLE001 - every waiter must hear of it, whatever it is
                await self._fail([waiting for waiting in batch if not waiting.done.done()], err)

    async def _write(self, batch: Sequence[_Waiting]) -> Sequence[None]:
        async with asyncio.timeout(_STATEMENT_SECONDS):
            await self._write_once([record for waiting in batch for record in waiting.records])
        self._database.outage.ended("append")
        self._error = None
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_result(None)
        return ()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        records = size = 0
        while self._queue and records < _BATCH_RECORDS and size < _BATCH_BYTES:
            waiting = self._queue.popleft()
            if waiting.done.done():
                continue  # it gave up waiting
            batch.append(waiting)
            records += len(waiting.records)
            size += sum(map(size_of, waiting.records))
        return batch

    async def _fail(self, batch: Sequence[_Waiting], err: Exception) -> None:
        """The server is away: try again while somebody waits. Anything else: tell them."""
        kind = kind_of(err)
        match kind:
            case Kind.AWAY if not isinstance(err, LogUnavailableError):
                self._database.outage.began(err, "append")
                self._error = err
                self._queue.extendleft(reversed(batch))
                await asyncio.sleep(_PAUSE_SECONDS)
            case Kind.MISMATCH:
                why = LogUnavailableError(f"the log's tables are not as expected: {err}")
                for waiting in batch:
                    _fail(waiting, why)
            case Kind.AWAY | Kind.REFUSED | Kind.BROKEN:
                for waiting in batch:
                    _fail(waiting, err)
            case _:
                assert_never(kind)

    async def _write_once(self, records: Sequence[Record]) -> None:
        async with self._database.transaction() as connection:
            topics = {record.topic for record in records}
            if not topics <= self._partitions.keys():
                rows = await connection.execute(_PARTITIONS)
                self._partitions = {row.name: row.partitions for row in rows}
            if missing := topics - self._partitions.keys():
                raise LogUnavailableError(f"no topic {', '.join(sorted(missing))}: run `ladder migrate`")
            placed = [
                (record, partition_of(record.key, self._partitions[record.topic])) for record in records
            ]
            await _write(connection, placed)
        for topic in topics:
            self._wake(f"topic:{topic}")


async def _write(connection: AsyncConnection, placed: Sequence[tuple[Record, int]]) -> None:
    counts = Counter((record.topic, number) for record, number in placed)
    next_offset = await _lock(connection, counts)
    offsets = []
    for record, number in placed:
        offsets.append(next_offset[record.topic, number])
        next_offset[record.topic, number] += 1
    await connection.execute(
        _WRITE,
        {
            "topics": [topic for topic, _ in next_offset],
            "numbers": [number for _, number in next_offset],
            "next": list(next_offset.values()),
            "record_topics": [record.topic for record, _ in placed],
            "record_numbers": [number for _, number in placed],
            "offsets": offsets,
            "keys": [record.key for record, _ in placed],
            "values": [record.value for record, _ in placed],
            "headers": [pack(record.headers) for record, _ in placed],
            "channel": CHANNEL,
            "notified": sorted({topic for topic, _ in next_offset}),
        },
    )


async def _lock(
    connection: AsyncConnection, wanted: Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], int]:
    """Each partition's next offset, its row locked until the end of the transaction."""
    rows = await connection.execute(
        _LOCK, {"topics": [topic for topic, _ in wanted], "numbers": [number for _, number in wanted]}
    )
    return {(topic, number): next_offset for topic, number, next_offset in rows}


async def _refuse(waiting: _Waiting, err: Exception) -> Sequence[None]:
    """Whoever publishes what the tables do not take hears it; those who publish beside it do not."""
    _fail(waiting, err)
    return ()


def _fail(waiting: _Waiting, err: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(err)
