"""Processes and users of the operating system: which servers work in a folder, and under which user."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ladder.refusal import NotPossibleError

_UNPRIVILEGED: Final = ("postgres", "nobody", "daemon")


def unprivileged() -> pwd.struct_passwd:
    """An existing user who is not root. Raises NotPossibleError."""
    for name in _UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    others = [user for user in pwd.getpwall() if user.pw_uid != 0]
    if not others:
        raise NotPossibleError(
            "PostgreSQL does not run as root and this machine has no other user: "
            "start Ladder as another user, or set LADDER_DATABASE_URL."
        )
    return others[0]


def name_of(uid: int) -> str:
    try:
        return repr(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)


def exists(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _ended(pid)


def _ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == b"Z"


def parent_of(pid: int) -> int:
    """The postmaster of a backend: found through the connection, so it cannot be a stale number."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        parent = next(line for line in status.read_text().splitlines() if line.startswith("PPid:"))
        return int(parent.split()[1])
    said = subprocess.run(["/bin/ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True)  # noqa: S603
    return int(said.stdout)


def working_in(folder: Path) -> Sequence[int]:
    """PostgreSQL's processes in this folder: a server works in its data (Linux; elsewhere none are found)."""
    return [pid for pid, place in _servers() if place == folder]


def _servers() -> Iterator[tuple[int, Path]]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "comm").read_text().strip() in ("postgres", "initdb"):
                yield int(process.name), (process / "cwd").readlink()


def end_all(pids: Sequence[int]) -> None:
    """End servers that answer nobody, at once: recovery makes up for what they had not written."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        for _ in range(250):
            if not exists(pid):
                break
            time.sleep(0.02)
