"""One process of Ladder: started, ended the hard or the clean way, with its output kept for a failing test."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.ladder import forked
from tests.ladder.forked import Forked
from tests.waiting import until
from tests.world.wire import Connection

REPOSITORY: Final = Path(__file__).parents[2]
SKEWED: Final = (sys.executable, "-m", "tests.world.skewed")
LADDER: Final = (sys.executable, "-c", "from ladder.cli import main; main()")


@dataclass
class Program:
    """A process with its environment and its log. Its own session, so that a signal to it reaches only it."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    forked: bool = False  # from a process that has imported all of Ladder: for `argv` that begins with LADDER
    process: subprocess.Popen[bytes] | Forked | None = field(default=None, init=False)

    def start(self, **extra: str) -> None:
        """Start it; `extra` variables hold for this run only."""
        assert not self.alive, f"{self.name} is running"
        environment = bare_environment() | dict(self.environment) | extra
        with self.log.open("ab") as log:
            log.write(f"--- {self.name} starts {extra or ''}\n".encode())
            log.flush()
            if not self.forked:
                self.process = subprocess.Popen(
                    self.argv,
                    cwd=REPOSITORY,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                return
        arguments = self.argv[len(LADDER) :]
        started = forked.start(
            arguments, folder=REPOSITORY, environment=environment, out=self.log, err=self.log
        )
        self.process = Forked(started)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL, 10)

    def stop(self) -> None:
        """SIGTERM, the clean end; SIGKILL when it does not come."""
        self._end(signal.SIGTERM, 20)

    def freeze(self) -> None:
        """SIGSTOP: to everybody else it is as dead as a machine without a network; what it holds, it holds."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, sign: signal.Signals, patience: float) -> None:
        if self.process is None:
            return
        if self.alive:
            self.process.send_signal(sign)
            self.thaw()  # one that stands still would never hear of it
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise

    def said(self, last: int = 40) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"===== {self.name}", *(line[:600] for line in lines[-last:])])

    def resident_mib(self) -> float:
        """The memory it holds, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


def bare_environment() -> dict[str, str]:
    """This process's environment without any setting of Ladder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LADDER_")}
    return kept | {"PYTHONUNBUFFERED": "1", "LADDER_CANARY_SECONDS": "0"}


async def ready_or_ended(program: Program, url: str, *, within: float) -> bool:
    """Wait until `/readyz` answers 200 (True) or the process is no more (False); AssertionError when neither."""
    connection = Connection(url)
    answered: list[int] = []

    async def settled() -> bool:
        with suppress(OSError, TimeoutError):
            answered[:] = [(await connection.request("GET", "/readyz", timeout_seconds=5)).status]
        return answered == [200] or not program.alive

    condition: Callable[[], bool | Awaitable[bool]] = settled
    try:
        await until(condition, within)
    except AssertionError as err:
        raise AssertionError(f"{err}\n{program.said()}") from None
    finally:
        connection.close()
    return program.alive


async def ready(program: Program, url: str, *, within: float = 40) -> None:
    """Wait until `/readyz` answers 200. AssertionError with the log when it does not, or ends before."""
    if not await ready_or_ended(program, url, within=within):
        raise AssertionError(f"ended with {program.exit_code}\n{program.said()}")
