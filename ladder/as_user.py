"""Become an unprivileged user, then become the given program: `as_user.py UID GID REACH PROGRAM ARGUMENT…`.

PostgreSQL refuses to run as root, and the folder it works in may lie below folders that only root may enter
(/root is 0700). So that no folder's mode has to change, the program keeps one capability, and only if it
cannot reach the folder REACH or itself without: to search folders (CAP_DAC_READ_SEARCH), or where the
container does not have that, CAP_DAC_OVERRIDE. Run as a file of its own, because between a fork and an exec
of a process with threads nothing this long is safe. Linux only; elsewhere only the user changes.

See capabilities(7): ambient capabilities survive the exec of an ordinary file.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Final

DAC_OVERRIDE: Final = 1
DAC_READ_SEARCH: Final = 2
_PR_SET_KEEPCAPS: Final = 8
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAPABILITY_VERSION_3: Final = 0x20080522
EXIT_CODE: Final = 97


def _held() -> int:
    """The permitted capabilities, as bits."""
    with open("/proc/self/status", "rb") as status:  # noqa: PTH123 - starts faster
        for line in status:
            if line.startswith(b"CapPrm:"):
                return int(line.split()[1], 16)
    return 0


def _keep(libc: ctypes.CDLL, bits: int) -> None:
    """Hold exactly these capabilities, also after the exec."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)  # effective, permitted, inheritable; high words
    if libc.capset(header, sets) != 0 or not bits:
        return
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, bits.bit_length() - 1, 0, 0)


def _reachable(folder: str, program: str) -> bool:
    try:
        os.stat(folder + "/.")  # noqa: PTH116 - starts faster
        os.stat(program)  # noqa: PTH116 - starts faster
    except OSError:
        return False
    return True


def become(uid: int, gid: int, reach: str, program: Sequence[str]) -> None:
    """Does not return. Imports nothing once the user has changed: Python's own folder may be out of reach."""
    linux = sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)
    if linux:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if linux:
        wanted = next((1 << cap for cap in (DAC_READ_SEARCH, DAC_OVERRIDE) if _held() >> cap & 1), 0)
        _keep(libc, 0 if _reachable(reach, program[0]) else wanted)
    os.chdir(reach)
    os.execv(program[0], list(program))  # noqa: S606 - that is its purpose


if __name__ == "__main__":
    try:
        become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except OSError as err:
        print(f"FATAL:  cannot become user {sys.argv[1]}: {err}", file=sys.stderr)
        sys.exit(EXIT_CODE)
