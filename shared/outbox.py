"""The outbox: what a transaction wants published, written in that transaction and sent by a relay after it.

The relay publishes in the order of ids and deletes what the log acknowledged. A crash in between sends
again; receivers drop the repeat by its id. Records with one key stay in order because whoever writes for one
incident holds its row lock while it takes its outbox ids.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

import asyncpg
from prometheus_client import Gauge
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import telemetry
from shared.clock import utcnow
from shared.crash import crash_point
from shared.database import Database
from shared.eventlog import EventLog, LogUnavailableError, Record
from shared.eventlog.packing import pack, unpack
from shared.trouble import Trouble

_BATCH: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024
_CALL_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.5  # wake-ups come by NOTIFY and wake(); a relay that stands by tries this often
_PAUSE_SECONDS: Final = 0.3

log = telemetry.logger(__name__)

OLDEST_SECONDS = Gauge("ladder_outbox_oldest_seconds", "Age of the oldest row not yet published", ["schema"])
WAITING_ROWS = Gauge("ladder_outbox_batch_rows", "Rows in the relay's last batch", ["schema"])


def ddl(schema: str) -> str:
    """The statement that makes the table `outbox`, for the owner's migration."""
    return f"""
        CREATE TABLE {schema}.outbox (
            id bigserial PRIMARY KEY,
            topic text NOT NULL,
            key bytea NOT NULL,
            value bytea NOT NULL,
            headers bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)
    """


def insertion(schema: str) -> str:
    """The statement that writes the records of `columns`, for a caller that makes it a part of a larger one.

    That one also has to say `WAKING`, so that its commit wakes the relay.
    """
    return f"""
        INSERT INTO {schema}.outbox (topic, key, value, headers)
        SELECT topic, key, value, headers
        FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]),
                    CAST(:values AS bytea[]), CAST(:headers AS bytea[]))
             WITH ORDINALITY AS given (topic, key, value, headers, place)
        ORDER BY place
    """


WAKING: Final = "SELECT pg_notify(:channel, '')"


def columns(schema: str, records: Sequence[Record]) -> dict[str, Any]:
    """What `insertion` and `WAKING` are given."""
    return {
        "topics": [record.topic for record in records],
        "keys": [record.key for record in records],
        "values": [record.value for record in records],
        "headers": [pack(record.headers) for record in records],
        "channel": _channel(schema),
    }


async def add(connection: AsyncConnection, schema: str, records: Sequence[Record]) -> None:
    """Write the records into the outbox in the caller's transaction; its commit wakes the relay."""
    if records:
        statement = text(f"WITH added AS ({insertion(schema)}) {WAKING}")
        await connection.execute(statement, columns(schema, records))


class Relay:
    """Publishes one schema's outbox. Of all relays of a schema, one is active: it holds an advisory lock.

    It reads and deletes on the connection that holds the lock, so that a relay that lost the lock with its
    connection cannot delete. `leading` says whether this one is active.
    """

    def __init__(self, database: Database, log: EventLog, schema: str) -> None:
        self._database = database
        self._url = make_url(database.url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._log = log
        self._schema = schema
        self._connection: asyncpg.Connection | None = None
        self._woken = asyncio.Event()
        self._locked = False
        self._announced = False

    @property
    def leading(self) -> bool:
        return self._locked and self._connection is not None and not self._connection.is_closed()

    def wake(self) -> None:
        """There is something to send: call it after a commit, it is quicker than NOTIFY."""
        self._woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relay until the end of the block; then let another relay take over at once."""
        task = asyncio.create_task(self._relay_for_ever(), name=f"relay {self._schema}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.close()

    async def relay_once(self, now: datetime) -> int:
        """Publish one batch and delete it; how many records went. 0 when another relay is active.

        Raises LogUnavailableError (the rows stay), and the database's errors.
        """
        connection = await self._leader()
        if connection is None:
            OLDEST_SECONDS.labels(self._schema).set(0)  # another one's to show
            return 0
        rows = await connection.fetch(_SELECT.format(schema=self._schema), _BATCH, _BATCH_BYTES)
        age = (now - rows[0]["created_at"]).total_seconds() if rows else 0.0
        OLDEST_SECONDS.labels(self._schema).set(max(0.0, age))
        WAITING_ROWS.labels(self._schema).set(len(rows))
        if not rows:
            return 0
        await self._log.publish([_record(row) for row in rows])
        crash_point("relay.published")
        await connection.execute(_DELETE.format(schema=self._schema), [row["id"] for row in rows])
        return len(rows)

    async def close(self) -> None:
        """Give up the lock and the connection."""
        connection, self._connection, self._locked = self._connection, None, False
        if connection is not None and not connection.is_closed():
            try:
                await asyncio.wait_for(connection.close(), 2)
            except Exception:  # noqa: BLE001 - however it ends, the lock must go with it
                connection.terminate()

    async def _leader(self) -> asyncpg.Connection | None:
        if self._connection is None or self._connection.is_closed():
            self._locked = False
            self._connection = await asyncpg.connect(
                self._url,
                timeout=_CALL_SECONDS,
                command_timeout=_CALL_SECONDS,
                server_settings={
                    "application_name": f"ladder relay {self._schema}",
                    "jit": "off",
                    "synchronous_commit": "off",  # a lost deletion is a repeat, and dropped
                },
            )
            await self._connection.add_listener(_channel(self._schema), lambda *_: self.wake())
        if not self._locked:
            self._locked = await self._connection.fetchval(_LOCK, self._schema)
        return self._connection if self._locked else None

    async def _relay_for_ever(self) -> None:
        publishing = Trouble(log, "relay_blocked", schema=self._schema)
        part = f"relay {self._schema}"
        while True:
            self._woken.clear()
            try:
                sent = await self.relay_once(utcnow())
            except LogUnavailableError as err:
                publishing.is_on(err)
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception as err:  # noqa: BLE001 - a relay that ended would hold back every page
                self._database.trouble.is_on(err, part)
                await self.close()
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                publishing.is_over()
                self._database.trouble.is_over(part)
                self._announce()
                if sent == 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_POLL_SECONDS):
                            await self._woken.wait()

    def _announce(self) -> None:
        """Say once that this relay leads; a connection that was lost meanwhile is no news."""
        if self.leading and not self._announced:
            log.info("relay active", action="relay_active", schema=self._schema)
        self._announced = self.leading


# Several transactions may have written; `before` keeps one batch within bounds (or to one record).
_SELECT: Final = """
    SELECT id, topic, key, value, headers, created_at FROM (
        SELECT o.*, sum(length(value)) OVER (ORDER BY id) - length(value) AS before
        FROM (SELECT * FROM {schema}.outbox ORDER BY id LIMIT $1) AS o
    ) AS counted
    WHERE before < $2 ORDER BY id
"""
_DELETE: Final = "DELETE FROM {schema}.outbox WHERE id = ANY($1::bigint[])"
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('outbox ' || $1, 0))"


def _channel(schema: str) -> str:
    return f"{schema}_outbox"


def _record(row: Any) -> Record:
    return Record(row["topic"], row["key"], row["value"], unpack(row["headers"]))
