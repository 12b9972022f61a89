"""The relay: publishes what waits in an outbox and deletes what the log acknowledged."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

import asyncpg
from prometheus_client import Counter, Gauge

from shared import telemetry
from shared.crash import crash_point
from shared.database.connections import connect, part_from
from shared.database.pool import Database
from shared.errors.bisect import bisect
from shared.eventlog import EventLog, LogUnavailableError, Record, codec
from shared.eventlog.packed_headers import pack, unpack
from shared.eventlog.placement import size_of
from shared.events import INCIDENTS, OWN_INTEGRATION, IncidentEvent
from shared.loops.outage import Trouble
from shared.loops.repeat import for_ever
from shared.outbox.lease import FREED, STANDS, Lease
from shared.outbox.outbox import channel_of
from shared.outbox.watch import Watch

_BATCH: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024
_CALL_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.5  # wake-ups come by NOTIFY and wake(); a relay that stands by tries this often
_LONGEST_PAUSE_SECONDS: Final = 0.5
_TELLS: Final = "outbox-refused"  # the dedup keys of what tells of refused records begin with it

log = telemetry.logger(__name__)

WAITING_ROWS = Gauge("ladder_outbox_batch_rows", "Rows in the relay's last batch", ["schema"])
LEADING = Gauge("ladder_outbox_leading", "Whether this process publishes the outbox: one does", ["schema"])
REFUSED = Counter("ladder_outbox_refused_total", "Records that the log will never take", ["schema"])


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
        self._connection: asyncpg.Connection | None = None
        self._woken = asyncio.Event()
        self._blocked = ""
        self._publishing = Trouble(telemetry.logger(__name__), "relay_blocked", schema=schema)
        self._announced = False
        LEADING.labels(schema).set_function(lambda: self.leading)

    @property
    def leading(self) -> bool:
        return self._lease.held

    def stalled(self) -> str | None:
        """What is wrong, in a sentence, when rows have waited for 30 s and none went; None while all is well.

        Nothing is wrong with the relay while the log is away: then rows have to wait.
        """
        return self._watch.stalled()

    def wake(self) -> None:
        """There is something to send: call it after a commit, it is quicker than NOTIFY."""
        if self.leading:
            self._woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relay until the end of the block; then let another relay take over at once."""
        tasks = [
            asyncio.create_task(self._relay_for_ever(), name=f"relay {self._schema}"),
            asyncio.create_task(self._watch.run(), name=f"outbox {self._schema}"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()

    async def relay_once(self) -> int:
        """Publish one batch and delete it; how many records went, or were set aside. 0: another one leads.

        Raises LogUnavailableError (the rows stay), and the database's errors.
        """
        connection = await self._connected()
        if not await self._lease.take(connection, self._blocked):
            return 0
        rows = await connection.fetch(_SELECT.format(schema=self._schema), _BATCH, _BATCH_BYTES)
        WAITING_ROWS.labels(self._schema).set(len(rows))
        try:
            await self._publish(connection, rows)
        except _DeposedError:
            self._lease.lost()
            return 0
        return len(rows)

    async def close(self) -> None:
        """Give up the lease and the connection."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            with suppress(Exception):  # it ends by itself
                await self._lease.release(connection, self._channel)
        await part_from(connection)

    async def _publish(self, connection: asyncpg.Connection, rows: Sequence[Any]) -> None:
        """Publish and delete; a record that the log refuses is set aside, and those behind it go on."""

        async def take(some: Sequence[Any]) -> Sequence[None]:
            if not self._lease.held:  # this process may have stood still since it asked
                raise _DeposedError
            await self._log.publish([_record(row) for row in some])
            crash_point("relay.published")
            await self._delete(connection, [row["id"] for row in some])
            return ()

        async def set_aside(row: Any, err: Exception) -> Sequence[None]:
            await self._set_aside(connection, row, str(err))
            return ()

        await bisect(rows, take, set_aside)

    async def _delete(self, connection: asyncpg.Connection, ids: Sequence[int]) -> None:
        statement = _DELETE.format(schema=self._schema)
        if not await connection.fetchval(statement, *self._lease.proof(), ids):
            raise _DeposedError

    async def _set_aside(self, connection: asyncpg.Connection, row: Any, reason: str) -> None:
        """Keep it elsewhere and let an incident tell of it: nothing behind it waits."""
        record = _record(row)
        told = _telling(self._schema, row["id"], row["created_at"], record, reason)
        stood = await connection.fetchval(
            _SET_ASIDE.format(schema=self._schema),
            *self._lease.proof(),
            row["id"],
            reason[:1000].replace("\0", "\N{REPLACEMENT CHARACTER}"),
            size_of(record),
            _sha256(record),
            [one.topic for one in told],
            [one.key for one in told],
            [one.value for one in told],
            [pack(one.headers) for one in told],
        )
        if not stood:
            raise _DeposedError
        REFUSED.labels(self._schema).inc()
        log.error(
            "the log refuses a record for good: set aside",
            action="record_refused",
            schema=self._schema,
            row=row["id"],
            topic=record.topic,
            size=size_of(record),
            error=reason[:300],
        )

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
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
        if self.leading or payload == FREED:
            self._woken.set()

    async def _relay_for_ever(self) -> None:
        trouble = self._database.trouble
        await for_ever(f"relay {self._schema}", self._relay, trouble, longest=_LONGEST_PAUSE_SECONDS)

    async def _relay(self) -> None:
        self._woken.clear()
        try:
            sent = await self.relay_once()
        except LogUnavailableError as err:
            self._blocked = str(err)[:200]
            self._publishing.is_on(err)
            raise
        except Exception:
            if self._connection is not None:
                self._connection.terminate()
            raise
        self._blocked = ""
        self._publishing.is_over()
        self._announce()
        if sent == 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._woken.wait()

    def _announce(self) -> None:
        """Say once that this relay leads; a connection that was lost meanwhile is no news."""
        if self.leading and not self._announced:
            log.info("relay active", action="relay_active", schema=self._schema, epoch=self._lease.epoch)
        self._announced = self.leading


# Several transactions may have written; `before` keeps one batch within bounds (or to one record).
_SELECT: Final = """
    SELECT id, topic, key, value, headers, created_at FROM (
        SELECT o.*, sum(length(value)) OVER (ORDER BY id) - length(value) AS before
        FROM (SELECT * FROM {schema}.outbox ORDER BY id LIMIT $1) AS o
    ) AS counted
    WHERE before < $2 ORDER BY id
"""
# Both answer whether the lease stood; rows that an older release's relay deleted meanwhile are no matter.
_DELETE: Final = f"""
    WITH stands AS (SELECT WHERE {STANDS}), gone AS (
        DELETE FROM {{schema}}.outbox WHERE id = ANY($3::bigint[]) AND EXISTS (SELECT FROM stands)
    )
    SELECT EXISTS (SELECT FROM stands)
"""
_SET_ASIDE: Final = f"""
    WITH stands AS (SELECT WHERE {STANDS}), gone AS (
        DELETE FROM {{schema}}.outbox WHERE id = $3 AND EXISTS (SELECT FROM stands)
        RETURNING id, topic, key, value, headers, created_at
    ), kept AS (
        INSERT INTO {{schema}}.outbox_refused
            (id, topic, key, value, headers, created_at, reason, size, sha256)
        SELECT *, $4::text, $5::bigint, $6::text FROM gone
        ON CONFLICT DO NOTHING
    ), told AS (
        INSERT INTO {{schema}}.outbox (topic, key, value, headers)
        SELECT given.* FROM gone, unnest($7::text[], $8::bytea[], $9::bytea[], $10::bytea[]) AS given
    )
    SELECT EXISTS (SELECT FROM stands)
"""


def _record(row: Any) -> Record:
    return Record(row["topic"], row["key"], row["value"], unpack(row["headers"]))


def _sha256(record: Record) -> str:
    return hashlib.sha256(record.value).hexdigest()


def _telling(schema: str, row: int, at: datetime, record: Record, reason: str) -> Sequence[Record]:
    """The event that tells of a refused record; none for such an event itself."""
    if record.topic == INCIDENTS and record.key.startswith(f"{OWN_INTEGRATION}:{_TELLS}:".encode()):
        return ()
    event = IncidentEvent(
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"ladder:{schema}:outbox:{row}:{_sha256(record)}")),
        integration=OWN_INTEGRATION,
        dedup_key=f"{_TELLS}:{record.topic}",
        received_at=at,
        title=f"The event log refuses a message of {record.topic} for good",
        description=(
            f"{reason}. It is kept in {schema}.outbox_refused, row {row} "
            f"(key {record.key[:200].decode(errors='replace')}, {size_of(record)} bytes, "
            f"sha256 {_sha256(record)}); what was to be sent by it was not."
        ).replace("\0", "\N{REPLACEMENT CHARACTER}"),
        severity="critical",
        source=schema,
    )
    return [codec.encode(event)]
