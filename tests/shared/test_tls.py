"""Ladder's connections to a real PostgreSQL with TLS and an authority of its own, by the URL alone."""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from shared.database import stopped_clients
from shared.database.connections import UnreachableError, connect, part_from
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from shared.eventlog.postgres.log import PostgresEventLog
from shared.outbox.relay import Relay
from tests.servers.ports import free_port
from tests.servers.secure import Secure, programs, secure
from tests.waiting import until

_PARSE = b"P\0\0\0\x10\0SELECT 1\0\0\0"  # neither Execute nor Sync follows
_SESSIONS = """
    SELECT application_name, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
    WHERE application_name LIKE 'ladder[shop]%'
"""


@pytest.fixture(scope="module")
def place(server_folder: Path) -> Iterator[Secure]:
    """Skips where no PostgreSQL with TLS is installed, and fails instead in CI."""
    there = programs()
    if there is None:
        why = "no PostgreSQL with TLS: install Debian's postgresql, or set LADDER_TEST_TLS_POSTGRES_BIN"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    folder = server_folder / "secure"
    folder.mkdir()
    with secure(folder, there) as made:
        yield made


async def encrypted(url: str) -> bool:
    connection = await connect(url, "ladder", patience_seconds=5)
    try:
        found: bool = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return found
    finally:
        await part_from(connection)


@pytest.mark.parametrize(
    "given",
    [
        lambda _: {"sslmode": "require"},
        lambda _: {"ssl": "require"},
        lambda _: {},  # prefer
        lambda _: {"sslmode": "require", "channel_binding": "require"},
        lambda at: {"sslmode": "require", "sslrootcert": at.authority},  # verify-ca, as libpq has it
        lambda at: {"sslmode": "verify-ca", "sslrootcert": at.authority},
        lambda at: {"sslmode": "verify-full", "sslrootcert": at.authority, "connect_timeout": 3},
    ],
    ids=[
        "require",
        "ssl",
        "prefer",
        "channel binding",
        "require with an authority",
        "verify-ca",
        "verify-full",
    ],
)
async def test_the_url_of_a_provider_works_and_is_encrypted(
    place: Secure, given: Callable[[Secure], dict[str, object]]
) -> None:
    assert await encrypted(place.url(**given(place)))


@pytest.fixture
async def database(place: Secure) -> AsyncIterator[Database]:
    """By a URL with everything in it."""
    url = place.url(
        sslmode="verify-full",
        sslrootcert=place.authority,
        application_name="shop",
        connect_timeout=5,
        target_session_attrs="read-write",
        options="-c search_path=pg_catalog -c statement_timeout=1",
    )
    made = Database(url, size=2)
    yield made
    await made.close()


async def test_every_connection_reads_the_same_url(database: Database) -> None:
    """Pool, readers, LISTEN, relay and migrations; the stopped-clients settings go on beside it."""
    log = PostgresEventLog(database)
    relay = Relay(database, log, "public")
    async with database.listening("news", lambda _: None), database.unhurried():
        await relay._connected()
        async with database.reading.transaction("less") as looking:
            assert (await looking.execute(text("SHOW transaction_read_only"))).scalar_one() == "on"
            async with database.transaction() as connection:
                found = dict((await connection.execute(text(_SESSIONS))).all())
                settings = [
                    (await connection.execute(text(f"SHOW {name}"))).scalar_one()
                    for name in ("idle_in_transaction_session_timeout", "statement_timeout", "search_path")
                ]
    await relay.close()
    assert found == dict.fromkeys(
        [
            "ladder[shop]",
            "ladder[shop] read",
            "ladder[shop] listen news",
            "ladder[shop] relay public",
            "ladder[shop] migrate",
        ],
        True,
    )
    assert settings == ["6s", "7s", "pg_catalog"]


async def test_verify_full_refuses_a_server_of_another_name(place: Secure) -> None:
    """Its certificate is for `localhost`; whoever asks for 127.0.0.1 may have met somebody else."""
    url = place.url(host="127.0.0.1", sslmode="verify-full", sslrootcert=place.authority)
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch") as refused:
        await encrypted(url)
    assert kind_of(refused.value) is Kind.AWAY
    assert await encrypted(url.replace("verify-full", "verify-ca"))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_that_another_authority_vouches_for_is_refused(place: Secure, mode: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self.signed"):
        await encrypted(place.url(sslmode=mode, sslrootcert=place.stranger))


async def test_the_systems_authorities_do_not_vouch_for_a_server_of_ones_own(place: Secure) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await encrypted(place.url(sslrootcert="system"))


async def test_disable_is_not_encrypted(place: Secure) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await encrypted(place.url(sslmode="disable"))


async def test_a_client_proves_itself_by_its_certificate(place: Secure) -> None:
    files = {"sslrootcert": place.authority, "sslcert": place.certificate, "sslkey": place.key}
    assert await encrypted(place.url("certified", sslmode="verify-full", **files))
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await encrypted(place.url("certified", sslmode="require"))


async def test_the_socket_under_tls_notices_that_the_server_is_gone(place: Secure) -> None:
    connection = await connect(place.url(sslmode="require"), "ladder", patience_seconds=5)
    ours = connection._transport.get_extra_info("socket")
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 3
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8000
    await part_from(connection)


async def test_of_several_hosts_the_first_that_takes_writes_is_used(place: Secure) -> None:
    """One is down, one has no name, one is the leader; while none takes writes, that is said and waited for."""
    port = place.server.port
    for needs in ("any", "read-write", "primary"):
        hosts = f"127.0.0.1:{free_port()},nobody.invalid,localhost"
        url = place.url(host=hosts, sslmode="require", target_session_attrs=needs)
        assert await encrypted(url)

    place.server.run_sql("ALTER ROLE locked SET default_transaction_read_only = on")
    try:
        with pytest.raises(UnreachableError, match=f"localhost:{port} takes no writes") as refused:
            await encrypted(place.url(target_session_attrs="read-write"))
    finally:
        place.server.run_sql("ALTER ROLE locked RESET default_transaction_read_only")
    assert kind_of(refused.value) is Kind.AWAY


async def test_a_stopped_client_is_found_under_the_name_that_the_url_gives_it(
    database: Database, place: Secure
) -> None:
    """A session amid a statement's messages, and a reader that is as slow as it likes."""
    names = {
        name: await connect(database.server, name, patience_seconds=5) for name in ("ladder", "ladder read")
    }
    for connection in names.values():
        await connection.execute("BEGIN; SELECT 1")
        connection._transport.write(_PARSE)
    try:
        assert await until(lambda: stopped_clients.end_once(database, 0.2)) == 1
        await until(names["ladder"].is_closed)
        assert not names["ladder read"].is_closed()
    finally:
        for connection in names.values():
            connection.terminate()
