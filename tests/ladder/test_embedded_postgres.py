import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from ladder.embedded import as_user, postgres
from ladder.embedded.os_processes import exists, working_in
from ladder.embedded.postgres import EmbeddedPostgres
from ladder.refusal import NotPossibleError
from tests.ladder import owner
from tests.waiting import until

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose cluster is made, clean and at rest: tests copy it, which is quicker than making one."""
    folder = tmp_path_factory.mktemp("made") / "postgres"
    _own(folder, "clean")
    return folder


@pytest.fixture
def folder(made_once: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of its own for one test; whatever still runs in it afterwards is ended."""
    copy = tmp_path / "postgres"
    shutil.copytree(made_once, copy)
    yield copy
    _end(copy)


def _servers(folder: Path) -> list[int]:
    return list(working_in(folder.resolve() / "data"))


def _end(folder: Path) -> None:
    for pid in _servers(folder):
        os.kill(pid, signal.SIGKILL)


def _modes(*folders: Path) -> list[int]:
    return [folder.stat().st_mode for folder in folders]


def _runs_under(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def _own(folder: Path, how: str, *launcher: str) -> int:
    """Run an owner to its end, however it ends; returns the server's process id."""
    command = [*launcher, sys.executable, owner.__file__, str(folder), how]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert ran.stdout.startswith("ready"), ran.stderr
    assert ran.returncode == (0 if how == "clean" else -signal.SIGKILL)
    return int(ran.stdout.split()[1])


async def _words(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [row["word"] for row in await connection.fetch("SELECT word FROM kept ORDER BY ctid")]
    finally:
        await connection.close()


async def test_data_survives_a_clean_end(folder: Path) -> None:
    async with postgres.running(folder) as url:
        assert await _words(url) == ["clean"]
    assert not _servers(folder)


async def test_writes_are_durable_and_text_is_utf8(folder: Path) -> None:
    async with postgres.running(folder) as url:
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SELECT lower('ČŠŽ')") == "čšž"
        await connection.close()


async def test_what_the_services_use_is_no_superuser_and_owns_its_database(folder: Path) -> None:
    """A hole in a query of Ladder's is no hole in the machine: no COPY … PROGRAM, no files, no other roles."""
    async with postgres.running(folder) as url:
        connection = await asyncpg.connect(url)
        try:
            assert not await connection.fetchval("SELECT bool_or(rolsuper OR rolcreaterole) FROM pg_roles"
                                                 " WHERE rolname = current_user")  # fmt: skip
            for forbidden in ("COPY kept FROM PROGRAM 'id'", "SELECT pg_read_file('PG_VERSION')"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(forbidden)
            await connection.execute("CREATE SCHEMA made; CREATE TABLE made.by_us (id bigserial)")
        finally:
            await connection.close()


async def test_a_folder_of_an_older_release_is_handed_to_the_services_role(folder: Path) -> None:
    """There the superuser was the only role and owned everything."""
    server = EmbeddedPostgres(folder)
    await server.start()
    port = server._port
    old = await asyncpg.connect(server.superuser_url(port, "ladder"))
    await old.execute("""
        REASSIGN OWNED BY ladder_services TO ladder;
        DROP OWNED BY ladder_services;
        CREATE SCHEMA router;
        CREATE TYPE router.colour AS ENUM ('red');
        CREATE TABLE router.incident (id bigserial PRIMARY KEY, other int GENERATED ALWAYS AS IDENTITY);
        CREATE SEQUENCE router.free;
        CREATE VIEW router.seen AS SELECT id FROM router.incident;
        CREATE FUNCTION router.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
        INSERT INTO router.incident DEFAULT VALUES;
    """)
    await old.close()
    old = await asyncpg.connect(server.superuser_url(port))
    await old.execute("ALTER DATABASE ladder OWNER TO ladder; DROP ROLE ladder_services")
    await old.close()
    await server.stop()
    (folder / "services-password").unlink()
    async with postgres.running(folder) as url:
        assert await _words(url) == ["clean"]
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("""
                ALTER TABLE router.incident ADD COLUMN more int;
                INSERT INTO router.incident DEFAULT VALUES;
                ALTER TYPE router.colour ADD VALUE 'blue';
                DROP VIEW router.seen;
                DROP FUNCTION router.one();
                ALTER SEQUENCE router.free RESTART;
                CREATE INDEX ON router.incident (more);
                ALTER TABLE kept ADD COLUMN more int;
            """)
            assert await connection.fetchval("SELECT count(*) FROM router.incident") == 2
        finally:
            await connection.close()


async def test_nobody_else_on_the_machine_reads_its_log_or_its_passwords(tmp_path: Path) -> None:
    """Also not for the moment in which the cluster is made, and whatever the umask is."""
    folder = tmp_path / "postgres"
    before = os.umask(0)
    seen: dict[str, int] = {}
    watching = True

    def watch() -> None:
        while watching:
            for place in folder.glob("*"):
                with suppress(OSError):
                    if place.is_file() and place.name != "port":
                        seen[place.name] = seen.get(place.name, 0) | stat.S_IMODE(place.stat().st_mode)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        async with postgres.running(folder):
            pass
    finally:
        watching = False
        watcher.join()
        os.umask(before)
    assert {"server.log", "password", "services-password", "password.initdb"} <= seen.keys()
    assert set(seen.values()) == {0o600}, seen
    assert not (folder / "password.initdb").exists()


async def test_a_log_that_an_older_release_left_open_is_closed(folder: Path) -> None:
    (folder / "server.log").chmod(0o644)
    async with postgres.running(folder):
        assert stat.S_IMODE((folder / "server.log").stat().st_mode) == 0o600


async def test_a_server_that_outlived_its_owner_is_attached_to_and_ended_in_the_end(folder: Path) -> None:
    survivor = _own(folder, "killed")
    async with postgres.running(folder) as url:
        assert exists(survivor)
        assert await _words(url) == ["clean", "killed"]
    assert not exists(survivor)


async def test_after_a_kill_of_everything_it_recovers_by_itself(folder: Path) -> None:
    _own(folder, "all")
    async with postgres.running(folder) as url:
        assert await _words(url) == ["clean", "all"]


@pytest.mark.parametrize(
    "left",
    [
        "",  # cut short while it was written
        "{pid}\n",  # a number that meanwhile belongs to another process
        "not a number\n",
    ],
)
async def test_a_stale_or_truncated_mark_of_a_server_is_no_obstacle(folder: Path, left: str) -> None:
    (folder / "data" / "postmaster.pid").write_text(left.format(pid=os.getpid()))
    async with postgres.running(folder) as url:
        assert await _words(url) == ["clean"]


async def test_a_survivor_is_found_even_when_its_mark_is_truncated(folder: Path) -> None:
    survivor = _own(folder, "killed")
    (folder / "data" / "postmaster.pid").write_text("")
    async with postgres.running(folder) as url:
        assert await _words(url) == ["clean", "killed"]
    assert not exists(survivor)


async def test_a_survivor_that_does_not_answer_is_replaced(folder: Path) -> None:
    survivor = _own(folder, "killed")
    os.kill(survivor, signal.SIGSTOP)
    async with postgres.running(folder) as url:
        assert await _words(url) == ["clean", "killed"]
        assert survivor not in _servers(folder)


async def test_a_stranger_on_the_remembered_port_is_left_alone(folder: Path) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as stranger:
        (folder / "port").write_text(str(stranger.sockets[0].getsockname()[1]))
        async with postgres.running(folder) as url:
            assert await _words(url) == ["clean"]


async def test_a_server_that_somebody_kills_is_started_again_on_its_port(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    url = await server.start()
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: not server.alive)
    assert await server.revive_once()
    assert await _words(url) == ["clean"]
    assert not await server.revive_once()
    await server.stop()


async def test_a_cluster_that_was_cut_short_while_being_made_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with postgres.running(tmp_path / "postgres") as url:
        assert url.startswith("postgresql://ladder_services:")


async def test_the_folder_of_another_major_version_is_refused_with_what_to_do(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        NotPossibleError, match=r"made by PostgreSQL 16, this release brings \d+: dump it"
    ) as told:
        await EmbeddedPostgres(folder).start()
    assert "\n" not in str(told.value)


async def test_why_a_server_does_not_start_is_told_in_its_own_words(folder: Path) -> None:
    (folder / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(NotPossibleError, match="PostgreSQL did not start"):
        await EmbeddedPostgres(folder).start()


async def test_a_long_path_with_spaces_below_a_closed_folder_works_and_keeps_its_modes() -> None:
    closed = Path(tempfile.mkdtemp(prefix="ladder test "))  # 0700, and spaces in it
    deep = closed / ("long " * 40) / "postgres"
    deep.mkdir(parents=True, mode=0o711)
    before = _modes(closed, deep.parent)
    try:
        async with postgres.running(deep) as url:
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()
        assert _modes(closed, deep.parent) == before
    finally:
        _end(deep)
        shutil.rmtree(closed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_as_root_the_server_runs_under_an_existing_unprivileged_user(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    await server.start()
    running_as = _runs_under(server.pid)
    await server.stop()
    assert running_as != 0
    assert pwd.getpwuid(running_as).pw_name in {"postgres", "nobody", "daemon"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_an_unprivileged_user_runs_it_as_that_user(server_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = server_folder / "unprivileged"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    become = (sys.executable, as_user.__file__, str(nobody.pw_uid), str(nobody.pw_gid), str(home))
    survivor = _own(home / "postgres", "killed", *become)
    assert _runs_under(survivor) == nobody.pw_uid
    _own(home / "postgres", "clean", *become)
    assert not exists(survivor)
