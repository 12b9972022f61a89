"""PostgreSQL: one engine a process, transactions, wake-ups, and what an SQL error means for a batch."""

import asyncio
import enum
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared import telemetry
from shared.trouble import Trouble

log = telemetry.logger(__name__)

_RETRY: Final = frozenset({"08", "40", "53", "57"})
_POISON: Final = frozenset({"22", "23", "54"})


class Fault(enum.Enum):
    """What a failed statement means for the batch it belonged to."""

    AWAY = "the database is away or asks to try again"
    POISON = "a value in the batch is refused: bisect and set the culprit aside"
    SCHEMA = "statement and schema do not fit (an upgrade under way): stop and try again"


def fault_of(err: BaseException) -> Fault | None:
    """Classify an error by its SQLSTATE; None for an error that is not the database's."""
    if isinstance(err, PoolTimeoutError | InterfaceError | OSError | asyncpg.InterfaceError | TimeoutError):
        return Fault.AWAY
    cause = err.orig if isinstance(err, DBAPIError) else err
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state is None:
        return Fault.AWAY if isinstance(err, DBAPIError) else None
    if state[:2] in _RETRY:
        return Fault.AWAY
    return Fault.POISON if state[:2] in _POISON else Fault.SCHEMA


class Database:
    """One pool of connections. `url` is a plain `postgresql://…`; `size` bounds its connections.

    Loops that fail because the database is away say so by `trouble`, so that it is logged once.
    """

    def __init__(self, url: str, *, size: int = 5, application: str = "ladder") -> None:
        self.url: Final = url
        self.trouble: Final = Trouble(log, "database_away", what="PostgreSQL")
        target = make_url(url).set(drivername="postgresql+asyncpg")
        self.engine: AsyncEngine = create_async_engine(
            target,
            pool_size=size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=False,
            connect_args={"timeout": 5, "server_settings": {"application_name": application, "jit": "off"}},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back on any exception."""
        async with self.engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def listening(self, channel: str, wake: Callable[[str], None]) -> AsyncIterator[None]:
        """Call `wake(payload)` for every NOTIFY on the channel, on a connection of its own.

        The connection comes back by itself after the server went away; `wake("")` is called each time it
        is (re)established, because what was notified meanwhile is not known.
        """
        task = asyncio.create_task(self._listen(channel, wake), name=f"listen {channel}")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self, channel: str, wake: Callable[[str], None]) -> None:
        plain = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        while True:
            gone = asyncio.Event()
            connection: asyncpg.Connection | None = None
            try:
                connection = await asyncpg.connect(
                    plain, timeout=5, server_settings={"application_name": f"ladder listen {channel}"}
                )
                connection.add_termination_listener(lambda _: gone.set())  # noqa: B023 - of this round
                await connection.add_listener(channel, lambda *args: wake(args[3]))
                self.trouble.is_over(f"listen {channel}")
                wake("")
                await gone.wait()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as err:
                self.trouble.is_on(err, f"listen {channel}")
            finally:
                if connection is not None and not connection.is_closed():
                    with suppress(Exception):
                        await asyncio.wait_for(connection.close(), 2)
            await asyncio.sleep(0.5)


async def transaction_time(connection: AsyncConnection) -> datetime:
    """The transaction's own timestamp: the `now` of everything decided in it."""
    moment: datetime = (await connection.execute(text("SELECT transaction_timestamp()"))).scalar_one()
    return moment
