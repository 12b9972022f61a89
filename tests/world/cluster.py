"""Ladder as processes: any number of each service over real servers, or `up`; ended and started at will."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.ports import free_port
from tests.world.programs import LADDER, REPOSITORY, SKEWED, Program, bare_environment, ready

SECRET = "a secret that signs links in tests, long enough"


@dataclass
class Cluster:
    """The processes by name: `intake`, `router`, `router-2`, … Each keeps its port when it is started again."""

    folder: Path
    policy: Path
    database_url: str = ""
    kafka: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    forked: bool = False  # started from a process that has imported all of Ladder, as nobody's are but tests'
    skews: Mapping[str, int] = field(default_factory=dict)  # how many seconds ahead a process's clock is
    programs: dict[str, Program] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def migrate(self) -> None:
        """Tables and topics. AssertionError with the output when it fails."""
        done = subprocess.run(
            [*LADDER, "migrate"],
            cwd=REPOSITORY,
            env=bare_environment() | self._environment("migrate"),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (
            f"ladder migrate ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )

    def start(self, name: str, **extra: str) -> Program:
        """Start `router-2` as a router of that name; `extra` variables hold for this run only."""
        if name not in self.programs:
            self.ports[name] = free_port()
            ladder = (*SKEWED, str(self.skews[name])) if name in self.skews else LADDER
            argv = [*ladder, name.partition("-")[0]]
            log = self.folder / f"{name}.log"
            forked = self.forked and name not in self.skews
            self.programs[name] = Program(name, argv, self._environment(name), log, forked)
        program = self.programs[name]
        program.start(**extra)
        return program

    async def ready(self, *names: str, within: float = 60) -> None:
        for name in names:
            await ready(self.programs[name], self.url(name), within=within)

    async def up(self, *names: str) -> None:
        """Start what is not running, and wait until all of these are ready."""
        for name in names:
            if name not in self.programs or not self.programs[name].alive:
                self.start(name)
        await self.ready(*names)

    def kill(self, name: str) -> None:
        self.programs[name].kill()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def said(self) -> str:
        """The ends of all logs, for a failing test."""
        return "\n".join(program.said() for program in self.programs.values())

    def _environment(self, name: str) -> dict[str, str]:
        service = name.partition("-")[0]
        chosen = {
            "LADDER_LISTEN": f"127.0.0.1:{self.ports.get(name, 0)}",
            "LADDER_OUTBOUND_ALLOW": "127.0.0.1/32",
            "LADDER_KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "LADDER_DATABASE_URL": self.database_url if service != "intake" or not self.kafka else "",
            "LADDER_POLICY": str(self.policy) if service in {"router", "up"} else "",
            "LADDER_SECRET_KEY": SECRET if service in {"router", "notifier"} else "",
            "LADDER_PUBLIC_URL": "http://ladder.test" if service == "notifier" else "",
            "LADDER_DATA_DIR": str(self.folder / "data") if service == "up" else "",
        }
        return {name: value for name, value in chosen.items() if value} | dict(self.settings)


@asynccontextmanager
async def ended_after(cluster: Cluster) -> AsyncIterator[Cluster]:
    """Ends every process after the block, a PostgreSQL that a killed `up` left behind included."""
    try:
        yield cluster
    except BaseException as err:
        err.add_note(cluster.said())
        raise
    finally:
        for program in cluster.programs.values():
            program.stop()
        for left in cluster.folder.glob("data/**/postmaster.pid"):
            with suppress(ProcessLookupError):
                os.kill(int(left.read_text(encoding="ascii").splitlines()[0]), signal.SIGQUIT)
