"""The relay: publishes what waits in an outbox (shared.outbox.outbox) and deletes what the log acknowledged.

What its own process has just committed it publishes from memory (shared.outbox.memory) and deletes it while
the next records go out; the table is what a crash leaves. It is read where memory does not know all of it,
and twice a second whatever it knows.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
from prometheus_client import Gauge

from shared import telemetry
from shared.clock import stopwatch
from shared.crash import crash_point
from shared.database.connections import connect, part_from
from shared.database.pool import Database
from shared.errors.bisect import bisect
from shared.eventlog import EventLog, LogUnavailableError, Record
from shared.eventlog.packed_headers import unpack
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import for_ever
from shared.outbox import refused
from shared.outbox.lease import FREED, STANDS, Lease
from shared.outbox.memory import BATCH, BATCH_BYTES, Memory, Row, Written
from shared.outbox.outbox import channel_of, process
from shared.outbox.watch import Watch

_CALL_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.5  # wake-ups come by NOTIFY and wake(); a relay that stands by tries this often
_LONGEST_PAUSE_SECONDS: Final = 0.5

log = telemetry.logger(__name__)

WAITING_ROWS = Gauge("ladder_outbox_batch_rows", "Rows in the relay's last batch", ["schema"])
LEADING = Gauge("ladder_outbox_leading", "Whether this process publishes the outbox: one does", ["schema"])


class _DeposedError(Exception):
    """Another relay leads: what this one has in hand is that one's to publish."""


class Relay:
    """Publishes one schema's outbox. Of all relays of a schema one leads: it holds the lease.

    `leading` says whether this one does, `stalled` what is wrong with the outbox as every replica sees it.
    """

    def __init__(self, database: Database, log: EventLog, schema: str) -> None:
        self._database = database
        self._log = log
        self._schema = schema
        self._channel = channel_of(schema)
        self._lease = Lease(schema)
        self._watch = Watch(database, schema)
        self._epoch = 0
        self._memory = Memory()
        self._read_at = 0.0
        self._connection: asyncpg.Connection | None = None
        self._using = asyncio.Lock()  # a connection takes one statement at a time
        self._published: list[int] = []  # ids that are still to be deleted, without those under way
        self._undeleted = 0  # with them
        self._deleting: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._blocked = ""
        self._publishing = Outage(telemetry.logger(__name__), "relay_blocked", schema=schema)
        self._announced = False
        LEADING.labels(schema).set_function(lambda: self.leading)

    @property
    def leading(self) -> bool:
        return self._lease.is_ours

    def stalled(self) -> str | None:
        """What is wrong, in a sentence, when rows have waited for 30 s and none went; None while all is well.

        Nothing is wrong with the relay while the log is away: then rows have to wait.
        """
        return self._watch.stalled()

    def hand(self, written: Written | None) -> None:
        """This is committed: publish it, from memory where this relay knows all that comes before it.

        Where another one leads, that has heard of it by the commit.
        """
        if written is None:
            return
        if not self.leading:
            self._memory.incomplete = True
        else:
            if self._memory.hand(written):
                crash_point("relay.handed")
            self._woken.set()

    def wake(self) -> None:
        """Something was committed that is not handed over."""
        self._memory.incomplete = True
        if self.leading:
            self._woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relay until the end of the block; then let another relay take over at once."""
        try:
            async with (
                alongside(f"outbox {self._schema}", self._watch.run()),
                alongside(f"relay {self._schema}", self._relay_for_ever()),
            ):
                yield
        finally:
            await self.close()

    async def relay_once(self) -> int:
        """Publish one batch and delete it; how many records went, or were set aside. 0: another one leads.

        Raises LogUnavailableError (the rows stay), and the database's errors.
        """
        return await self._relay_once(settled=True)

    async def close(self) -> None:
        """Give up the lease and the connection."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            with suppress(Exception):  # it ends by itself
                await self._deleted()
                await self._lease.release(connection, self._channel)
        self._leave_deletions()
        await part_from(connection)

    async def _relay_once(self, *, settled: bool) -> int:
        """`settled`: wait until what was published is deleted, too."""
        try:
            count = await self._publish_next()
            if settled:
                await self._deleted()
        except _DeposedError:
            self._lease.lost()
            self._leave_deletions()
            return 0
        return count

    async def _publish_next(self) -> int:
        if self._deleting is not None and (self._deleting.done() or self._undeleted >= BATCH):
            await self._deleted()
        connection = await self._connected()
        if not self._lease.is_fresh(self._blocked) and not await self._acquire_lease(connection):
            self._memory.forget()
            return 0
        if self._memory.incomplete or stopwatch() >= self._read_at + _POLL_SECONDS:
            await self._read(connection)
        rows = self._memory.next_batch()
        WAITING_ROWS.labels(self._schema).set(len(rows))
        try:
            await self._publish(connection, rows)
        except BaseException:
            self._memory.forget()  # the table says what is left, in its order
            raise
        return len(rows)

    async def _acquire_lease(self, connection: asyncpg.Connection) -> bool:
        async with self._using:
            leads = await self._lease.acquire(connection, self._blocked)
        if leads and self._lease.epoch != self._epoch:  # another one may have led meanwhile
            self._epoch = self._lease.epoch
            self._memory.forget()
        return leads

    async def _read(self, connection: asyncpg.Connection) -> None:
        """The oldest rows of the table, of which those that were published are gone."""
        await self._deleted()
        self._memory.incomplete = False  # what is written from now on says so
        async with self._using:
            found = await connection.fetch(_SELECT.format(schema=self._schema), BATCH, BATCH_BYTES)
        self._read_at = stopwatch()
        self._memory.read(Row(row["id"], _record(row), row["created_at"]) for row in found)
        if len(found) == BATCH or sum(len(row["value"]) for row in found) >= BATCH_BYTES:
            self._memory.incomplete = True

    async def _publish(self, connection: asyncpg.Connection, rows: Sequence[Row]) -> None:
        """Publish and delete; a record that the log refuses is set aside, and those behind it go on."""

        async def publish(some: Sequence[Row]) -> Sequence[None]:
            if not self._lease.is_ours:  # this process may have stood still since it asked
                raise _DeposedError
            await self._log.publish([row.record for row in some])
            crash_point("relay.published")
            self._delete(connection, [row.id for row in some])
            return ()

        async def set_aside(row: Row, err: Exception) -> Sequence[None]:
            await self._set_aside(connection, row, str(err))
            return ()

        await bisect(rows, publish, set_aside)

    def _delete(self, connection: asyncpg.Connection, ids: Sequence[int]) -> None:
        """Beside what is published next."""
        self._published += ids
        self._undeleted += len(ids)
        if self._deleting is not None and self._deleting.done():
            self._deleting.result()
            self._deleting = None
        if self._deleting is None:
            work = self._delete_published(connection)
            self._deleting = asyncio.create_task(work, name=f"relay {self._schema} deletes")

    async def _delete_published(self, connection: asyncpg.Connection) -> None:
        statement = _DELETE.format(schema=self._schema)
        while self._published:
            ids, self._published = self._published, []
            async with self._using:
                stood = await connection.fetchval(statement, *self._lease.proof(), ids)
            if not stood:
                raise _DeposedError
            self._undeleted -= len(ids)

    async def _deleted(self) -> None:
        """Wait until all that was published is deleted. Raises what went wrong with that."""
        task = self._deleting
        if task is None:
            return
        try:
            await asyncio.shield(task)
        finally:
            if task.done() and self._deleting is task:
                self._deleting = None

    def _leave_deletions(self) -> None:
        """What is published and not deleted goes out once more."""
        task, self._deleting = self._deleting, None
        if task is not None:
            task.cancel()
            task.add_done_callback(_heard)
        self._published, self._undeleted = [], 0
        self._memory.forget()

    async def _set_aside(self, connection: asyncpg.Connection, row: Row, reason: str) -> None:
        """Keep it elsewhere and let an incident tell of it: nothing behind it waits."""
        async with self._using:
            if not await refused.set_aside(connection, self._schema, self._lease, row, reason):
                raise _DeposedError
        self._memory.incomplete = True  # what tells of it is not handed over

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._leave_deletions()
            self._connection = await connect(
                self._database.server,
                f"ladder relay {self._schema}",
                patience_seconds=_CALL_SECONDS,
                settings={"synchronous_commit": "off"},  # a lost deletion is a repeat, and dropped
            )
            await self._connection.add_listener(self._channel, lambda *heard: self._hears(heard[3]))
        return self._connection

    def _hears(self, payload: str) -> None:
        """One that stands by has nothing to do with what is written, only with a lease that is free."""
        if payload == process():
            return  # it is handed over
        self._memory.incomplete = True
        if self.leading or payload == FREED:
            self._woken.set()

    async def _relay_for_ever(self) -> None:
        outage = self._database.outage
        await for_ever(f"relay {self._schema}", self._relay, outage, longest=_LONGEST_PAUSE_SECONDS)

    async def _relay(self) -> None:
        self._woken.clear()
        try:
            sent = await self._relay_once(settled=False)
        except LogUnavailableError as err:
            self._blocked = str(err)[:200]
            self._publishing.began(err)
            raise
        except Exception:
            if self._connection is not None:
                self._connection.terminate()
            raise
        self._blocked = ""
        self._publishing.ended()
        self._announce()
        if sent == 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._woken.wait()

    def _announce(self) -> None:
        """Say once that this relay leads; a connection that was lost meanwhile is no news."""
        if self.leading and not self._announced:
            log.info(
                "relay is now leading", action="relay_active", schema=self._schema, epoch=self._lease.epoch
            )
        self._announced = self.leading


# Several transactions may have written; `before` keeps one batch within bounds (or to one record).
_SELECT: Final = """
    SELECT id, topic, key, value, headers, created_at FROM (
        SELECT o.*, sum(length(value)) OVER (ORDER BY id) - length(value) AS before
        FROM (SELECT * FROM {schema}.outbox ORDER BY id LIMIT $1) AS o
    ) AS counted
    WHERE before < $2 ORDER BY id
"""
# It answers whether the lease stood; rows that an older release's relay deleted meanwhile are no matter.
_DELETE: Final = f"""
    WITH stands AS (SELECT WHERE {STANDS}), gone AS (
        DELETE FROM {{schema}}.outbox WHERE id = ANY($3::bigint[]) AND EXISTS (SELECT FROM stands)
    )
    SELECT EXISTS (SELECT FROM stands)
"""


def _record(row: Any) -> Record:
    return Record(row["topic"], row["key"], row["value"], unpack(row["headers"]))


def _heard(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
