"""`ladder` as a process that is forked from one that has imported everything already.

It is a process as any other, with an environment, a working folder, a session and an end of its own. To import
what Ladder is made of takes two seconds of a processor, which is most of what a refusal or a start takes.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

# All that is slow, and not `ladder.cli`, which counts from its own import on how long a start takes.
_IMPORTED: Final = (
    "ladder.up",
    "services.intake.app",
    "services.intake.dry_run",
    "services.notifier.app",
    "services.router.app",
)
_FORKING: Final = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(list(_IMPORTED))


def start(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> ForkServerProcess:
    """Start `ladder` with these arguments; what it says is written to the two files, which may be one."""
    given = (list(arguments), str(folder), dict(environment), str(out), str(err))
    process = _FORKING.Process(target=_become_ladder, args=given, daemon=True)
    process.start()
    return process


def run(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `ladder` with these arguments to its end."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = start(arguments, folder=folder, environment=environment, out=out, err=err)
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"not ended within {seconds:g} s\n{err.read_text()}")
        return subprocess.CompletedProcess(
            list(arguments), process.exitcode, out.read_text(), err.read_text()
        )


class Forked:
    """A `ladder` that runs, with the names of `subprocess.Popen`."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process: Final = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("ladder", timeout)
        return code

    def send_signal(self, sign: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sign)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become_ladder(
    arguments: Sequence[str], folder: str, environment: Mapping[str, str], out: str, err: str
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["ladder", *arguments]
    for descriptor, name in ((1, out), (2, err)):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - to the process's end
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115

    from ladder.cli import main  # noqa: PLC0415 - see above

    main()
