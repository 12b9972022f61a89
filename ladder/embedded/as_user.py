"""Become an unprivileged user, then become the given program: `as_user.py UID GID REACH PROGRAM ARGUMENT…`.

PostgreSQL refuses to run as root, and the folder it works in and its programs may lie below folders that only
root may enter (/root is 0700). So that no folder's mode has to change, the program keeps one capability, and
only if it cannot reach the folder REACH or itself without: to search folders (CAP_DAC_READ_SEARCH), or where
the container does not have that, CAP_DAC_OVERRIDE. PostgreSQL also asks access(2) whether it may run its own
programs, and the kernel answers that without the capabilities of anybody but root, unless the process says
that users are no capabilities' business (SECBIT_NO_SETUID_FIXUP): so it says that, too.

Run as a file of its own, because between a fork and an exec of a process with threads nothing this long is
safe. Linux only; elsewhere only the user changes. Ends with OUT_OF_REACH where the program would not find
itself or its folder all the same, with NOT_ALLOWED where this process may not become another user.

See capabilities(7): ambient capabilities survive the exec of an ordinary file, and so do the secure bits.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Final

DAC_OVERRIDE: Final = 1
DAC_READ_SEARCH: Final = 2
SETPCAP: Final = 8
_PR_SET_KEEPCAPS: Final = 8
_PR_GET_SECUREBITS: Final = 27
_PR_SET_SECUREBITS: Final = 28
_NO_SETUID_FIXUP: Final = 1 << 2
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAPABILITY_VERSION_3: Final = 0x20080522
NOT_ALLOWED: Final = 97
OUT_OF_REACH: Final = 98


def _permitted() -> int:
    """The permitted capabilities, as bits."""
    with open("/proc/self/status", "rb") as status:  # noqa: PTH123 - starts faster
        for line in status:
            if line.startswith(b"CapPrm:"):
                return int(line.split()[1], 16)
    return 0


def _set_exactly(libc: ctypes.CDLL, bits: int, inherited: int) -> bool:
    """Hold exactly these capabilities."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(
        bits, bits, inherited, 0, 0, 0
    )  # effective, permitted, inheritable; high words
    return bool(libc.capset(header, sets) == 0)


def _keep(libc: ctypes.CDLL, bits: int) -> None:
    """Hold exactly these capabilities, also after the exec and when asked by access(2)."""
    setpcap = 1 << SETPCAP
    if bits and _permitted() & setpcap and _set_exactly(libc, bits | setpcap, bits):
        libc.prctl(_PR_SET_SECUREBITS, libc.prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0) | _NO_SETUID_FIXUP, 0, 0, 0)
    if _set_exactly(libc, bits, bits) and bits:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, bits.bit_length() - 1, 0, 0)


def _reachable(folder: str, program: str) -> bool:
    """As PostgreSQL finds out whether it is installed: by access(2), for itself and what lies beside it."""
    try:
        os.stat(folder + "/.")  # noqa: PTH116 - starts faster
    except OSError:
        return False
    return os.access(program, os.R_OK | os.X_OK)


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
        wanted = next((1 << cap for cap in (DAC_READ_SEARCH, DAC_OVERRIDE) if _permitted() >> cap & 1), 0)
        _keep(libc, 0 if _reachable(reach, program[0]) else wanted)
    if not _reachable(reach, program[0]):
        _end(OUT_OF_REACH, f"user {uid} cannot reach {reach} and {program[0]}")
    os.chdir(reach)
    os.execv(program[0], list(program))  # noqa: S606 - that is its purpose


def _end(code: int, why: str) -> None:
    print(f"FATAL:  {why}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    try:
        become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except OSError as err:
        _end(NOT_ALLOWED, f"cannot become user {sys.argv[1]}: {err}")
