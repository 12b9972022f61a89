"""PostgreSQL: one engine a process, transactions, wake-ups. What its errors mean: shared.errors.kinds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import asyncpg
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared import telemetry
from shared.clock import stopwatch, utcnow
from shared.database.connections import connect, engine, part_from
from shared.database.readers import Limits, Reading
from shared.database.url import read
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import Failures, repeat

_SILENT_SECONDS: Final = 3.0
_LONGEST_PAUSE_SECONDS: Final = 0.5
_TOO_LONG_SECONDS: Final = 0.5
_READING: Final = Limits()

log = telemetry.logger(__name__)


class Database:
    """One pool of connections. `url` is as shared.database.url reads it; `size` bounds its connections.

    Whoever only looks uses `reading`, which has connections of its own: those of `transaction` are for what
    must go on whatever is looked at.

    A statement that takes longer than `patience_seconds` raises TimeoutError, and its connection is thrown
    away if the server does not answer for as long again: nobody waits for a dead server for ever.

    Loops that fail because the database is away say so by `outage`, so that it is logged once.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = 5,
        application: str = "ladder",
        patience_seconds: float = 10.0,
        reading: Limits = _READING,
    ) -> None:
        self.url: Final = url
        self.outage: Final = Outage(log, "database_away", what="PostgreSQL")
        self.server: Final = read(url)
        self._clock: tuple[datetime, float] | None = None
        self.engine: AsyncEngine = engine(
            self.server,
            application,
            patience_seconds=patience_seconds,
            pool_size=size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=False,
        )
        self.reading: Final = Reading(self.server, application, reading)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back on any exception."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator[AsyncConnection]:
        """One transaction on a connection of its own, whose statements may take any time: for migrations."""
        settings = {"idle_in_transaction_session_timeout": "0", "statement_timeout": "0"}
        alone = engine(
            self.server, "ladder migrate", patience_seconds=None, settings=settings, poolclass=NullPool
        )
        try:
            async with alone.begin() as connection:
                yield connection
        finally:
            await alone.dispose()

    def now(self) -> datetime:
        """The server's present time, as last heard and counted on since by this process's stopwatch.

        What is compared with a moment in the database takes this, never the process's own clock. It is behind
        the server's by the time that an answer takes, never ahead. Until the server has told its time (the
        services wait for that) it is the process's.
        """
        if self._clock is None:
            return utcnow()
        told, at = self._clock
        return told + timedelta(seconds=stopwatch() - at)

    def heard(self, moment: datetime, asked_at: float) -> None:
        """The server said that this is its time. `asked_at`: the stopwatch before it was asked.

        An answer that took long says little: the process may have stood still over it.
        """
        at = stopwatch()
        if self._clock is None or at - asked_at < _TOO_LONG_SECONDS:
            self._clock = (moment, at)

    async def ask_time(self) -> None:
        """Learn the server's time. Raises its errors."""
        async with self.transaction() as connection:
            asked_at = stopwatch()
            self.heard((await connection.execute(text("SELECT clock_timestamp()"))).scalar_one(), asked_at)

    async def close(self) -> None:
        await self.engine.dispose()
        await self.reading.close()

    @asynccontextmanager
    async def listening(self, channel: str, wake: Callable[[str], None]) -> AsyncIterator[None]:
        """Call `wake(payload)` for every NOTIFY on the channel, on a connection of its own.

        The connection comes back by itself after the server went away or fell silent; `wake("")` is called
        each time it is (re)established, because what was notified meanwhile is not known.
        """
        async with alongside(f"listen {channel}", self._listen(channel, wake)):
            yield

    async def _listen(self, channel: str, wake: Callable[[str], None]) -> None:
        failures = Failures(f"listen {channel}", self.outage, longest=_LONGEST_PAUSE_SECONDS)

        async def step() -> None:
            gone = asyncio.Event()
            connection: asyncpg.Connection | None = None
            try:
                connection = await connect(
                    self.server, f"ladder listen {channel}", patience_seconds=_SILENT_SECONDS
                )
                connection.add_termination_listener(lambda _: gone.set())
                await connection.add_listener(channel, lambda *args: wake(args[3]))
                await failures.worked()
                wake("")
                await _until_silent(connection, gone)
            except Exception:
                if connection is not None:
                    connection.terminate()
                raise
            finally:
                await part_from(connection)
            await asyncio.sleep(_LONGEST_PAUSE_SECONDS)

        await repeat(failures, step)


async def _until_silent(connection: asyncpg.Connection, gone: asyncio.Event) -> None:
    """Return when the connection has ended. Raises TimeoutError when the server has nothing to say to us.

    Somebody who only listens never finds out otherwise: a network that swallows looks like a quiet one.
    """
    while not gone.is_set():
        try:
            async with asyncio.timeout(_SILENT_SECONDS):
                await gone.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")


async def transaction_time(connection: AsyncConnection) -> datetime:
    """The transaction's own timestamp: the `now` of everything decided in it."""
    moment: datetime = (await connection.execute(text("SELECT transaction_timestamp()"))).scalar_one()
    return moment
