"""A server that is silent, and a process that stands still: nobody waits for either for long."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import uvloop
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from shared.clock import stopwatch
from shared.database import stopped_clients
from shared.database.connections import connect, part_from, server_settings
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from tests.servers.swallowing import Proxy, swallowing
from tests.waiting import until

HERE = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
THERE = (
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
    "idle_in_transaction_session_timeout",
)


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A network between a process and the server."""
    at = make_url(database_url)
    assert at.host is not None
    assert at.port is not None
    async with swallowing(at.host, at.port) as made:
        yield made


@pytest.fixture
def through(database_url: str, proxy: Proxy) -> str:
    """The database's address by way of the proxy."""
    return make_url(database_url).set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


async def asked(database: Database, question: str) -> object:
    async with database.transaction() as connection:
        return (await connection.execute(text(question))).scalar_one()


async def test_a_connection_that_the_network_swallowed_is_thrown_away(through: str, proxy: Proxy) -> None:
    """The statement fails within its patience, and so does its rollback; the next one has a new connection."""
    database = Database(through, size=1, patience_seconds=0.5)
    assert await asked(database, "SELECT 1") == 1
    proxy.swallow()
    started = stopwatch()

    with pytest.raises(TimeoutError):
        await asked(database, "SELECT 2")
    assert await asked(database, "SELECT 3") == 3
    assert stopwatch() - started < 4
    await database.close()


async def test_a_proxy_with_nobody_behind_it_leaves_the_other_hosts_to_be_tried(database_url: str) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    at = make_url(database_url)
    async with await asyncio.start_server(drop, "127.0.0.1", 0) as empty:
        first = f"127.0.0.1:{empty.sockets[0].getsockname()[1]}"
        hosts = f"{first},{at.host}:{at.port}"
        url = f"postgresql://{at.username}:{at.password}@{hosts}/{at.database}?sslmode=disable"
        connection = await connect(url, "test", patience_seconds=1)
    assert await connection.fetchval("SELECT 1") == 1
    await part_from(connection)


async def test_who_only_listens_finds_out_that_nobody_speaks(
    through: str, proxy: Proxy, database_url: str
) -> None:
    """A network that swallows looks like a quiet one: the listener asks, and comes back on another way."""
    listener, speaker = Database(through), Database(database_url)
    heard: list[str] = []
    async with listener.listening("news", heard.append):
        await until(lambda: heard)
        proxy.swallow()
        await asked(speaker, "SELECT pg_notify('news', 'swallowed')")
        await until(lambda: heard == ["", ""], 10)  # connected anew: there may have been news
        await asked(speaker, "SELECT pg_notify('news', 'after')")
        await until(lambda: heard == ["", "", "after"])
    await listener.close()
    await speaker.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_both_ends_of_a_connection_notice_that_the_other_is_gone(
    database_url: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Keepalives and the longest time without an answer, on the socket here and on the one there."""

    async def settings() -> tuple[list[int], list[str]]:
        connection = await connect(database_url, "a test", patience_seconds=1)
        ours = connection._transport.get_extra_info("socket")
        here = [ours.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in HERE]
        there = [await connection.fetchval(f"SHOW {name}") for name in THERE]
        await part_from(connection)
        return here, there

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(settings()) == ([3, 2, 3, 8000], ["3", "2", "3", "8000", "6s"])


async def test_the_locks_of_a_process_that_stands_still_are_free_within_ten_seconds(
    database_url: str,
) -> None:
    """In the middle of its transaction; when it goes on, that has failed and is tried again."""
    frozen, living = Database(database_url), Database(database_url)
    async with living.transaction() as connection:
        await connection.execute(text("CREATE TABLE row AS SELECT 1 AS id"))
    started = stopwatch()

    with pytest.raises(DBAPIError) as failed:  # noqa: PT012 - it is what comes after the wait that fails
        async with frozen.transaction() as connection:
            await connection.execute(text("SELECT * FROM row FOR UPDATE"))
            assert await asked(living, "SELECT id FROM row FOR UPDATE") == 1
            assert stopwatch() - started < 9
            await connection.execute(text("UPDATE row SET id = 2"))
    assert kind_of(failed.value) is Kind.AWAY
    assert await asked(living, "SELECT id FROM row") == 1
    await frozen.close()
    await living.close()


async def test_the_servers_time_is_told_however_wrong_the_process_is(database_url: str) -> None:
    """It is heard once and counted on; an answer over which the process stood still says nothing."""
    database = Database(database_url)
    await database.ask_time()
    servers = await asked(database, "SELECT clock_timestamp()")
    assert abs((database.now() - servers).total_seconds()) < 0.5

    database.heard(servers.replace(year=2001), stopwatch() - 10)
    assert abs((database.now() - servers).total_seconds()) < 5
    await database.close()


async def test_a_migration_may_take_its_time(database_url: str) -> None:
    """No patience and no idle limit cuts it off."""
    database = Database(database_url, patience_seconds=0.2)
    async with database.unhurried() as connection:
        await connection.execute(text("SELECT pg_sleep(0.5)"))
        idle = await connection.execute(text("SHOW idle_in_transaction_session_timeout"))
        assert idle.scalar_one() == "0"
    await database.close()


async def test_a_member_that_freezes_with_the_logs_locks_holds_up_nobody_for_a_session(
    database_url: str,
) -> None:
    """Partitions and groups are everybody's: there the server waits for two seconds only."""
    from shared.eventlog.postgres.append import STANDSTILL_MS  # noqa: PLC0415
    from shared.eventlog.postgres.group_sql import LOCK_GROUP  # noqa: PLC0415

    frozen, living = Database(database_url), Database(database_url)
    async with asyncio.timeout(STANDSTILL_MS / 1000 + 2):
        with pytest.raises(DBAPIError):  # noqa: PT012 - as above
            async with frozen.transaction() as connection:
                await connection.execute(LOCK_GROUP, {"group": "g"})
                async with living.transaction() as other:
                    await other.execute(LOCK_GROUP, {"group": "g"})
                await connection.execute(text("SELECT 1"))
    await frozen.close()
    await living.close()


@dataclass
class Half:
    """A client that speaks the protocol by hand, so that it can stop between the messages of a statement.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connected(cls, url: str, application: str) -> "Half":
        """As Ladder's own connections are, with their settings."""
        at = make_url(url)
        client = cls(*await asyncio.open_connection(at.host, at.port))
        said = {"user": at.username, "database": at.database, **server_settings(application)}
        parts = b"".join(f"{name}\0{value}\0".encode() for name, value in said.items())
        client.writer.write(struct.pack("!II", len(parts) + 9, 196608) + parts + b"\0")
        await client.ready()
        return client

    def say(self, kind: bytes, body: bytes) -> None:
        self.writer.write(kind + struct.pack("!I", len(body) + 4) + body)

    async def ready(self) -> None:
        """Read up to ReadyForQuery."""
        kind = b""
        while kind != b"Z":
            kind = await self.reader.readexactly(1)
            (length,) = struct.unpack("!I", await self.reader.readexactly(4))
            await self.reader.readexactly(length - 4)

    async def locks_and_stops_amid_a_statement(self, change: str) -> None:
        self.say(b"Q", f"BEGIN; {change}\0".encode())
        await self.ready()
        self.say(b"P", b"\0SELECT 1\0" + struct.pack("!H", 0))
        self.say(b"B", b"\0\0" + struct.pack("!HHH", 0, 0, 0))  # neither Execute nor Sync
        await self.writer.drain()


@pytest.fixture
async def half(database_url: str) -> AsyncIterator[Half]:
    """A client of the server that stops where its test says."""
    client = await Half.connected(database_url, "ladder")
    yield client
    client.writer.close()


async def test_a_process_that_stood_still_amid_a_statement_holds_nothing_for_long(
    database_url: str, half: Half
) -> None:
    """Its session is neither idle nor at work, so no limit of the server's ends it: another process does."""
    living = Database(database_url)
    async with living.transaction() as connection:
        await connection.execute(text("CREATE TABLE seat (id integer PRIMARY KEY)"))
    await half.locks_and_stops_amid_a_statement("INSERT INTO seat VALUES (1)")
    looking = asyncio.create_task(stopped_clients.run(living))
    started = stopwatch()

    async with living.transaction() as connection:
        await connection.execute(text("INSERT INTO seat VALUES (1)"))

    assert stopwatch() - started < 9
    looking.cancel()
    await living.close()


async def test_a_process_that_goes_on_is_never_taken_for_one_that_stood_still(
    database_url: str, half: Half
) -> None:
    """One whose statement takes long, one that is idle in its transaction, one that only reads, and another's
    program: they go on; whoever stopped amid a statement does not.
    """
    database = Database(database_url, size=3)
    reader = await Half.connected(database_url, "ladder read")
    stranger = await Half.connected(database_url, "psql")
    for client in (reader, stranger, half):
        await client.locks_and_stops_amid_a_statement("SELECT 1")
    async with database.transaction() as idle:
        await idle.execute(text("SELECT 1"))
        working = asyncio.create_task(asked(database, "SELECT 1 FROM pg_sleep(1)"))
        await until(lambda: stopped_clients.end_once(database, 0.3))

        with pytest.raises(asyncio.IncompleteReadError):
            await half.ready()
        assert (await idle.execute(text("SELECT 2"))).scalar_one() == 2
        assert await working == 1
    for client in (reader, stranger):
        client.say(b"S", b"")
        await client.ready()
        client.writer.close()
    await database.close()
