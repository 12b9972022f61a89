"""Open files: how many this process may have, how many it has, and how many are reserved for paging.

A connection is a file, and so is every socket to the database, to Kafka and to a provider, and every secret
that is read. Strangers must not be able to use up what paging needs.
"""

import os
import resource
from contextlib import suppress
from typing import Final

from prometheus_client import Gauge

OPEN: Final = Gauge("ladder_open_files", "Open files of this process, sockets included.")
MOST: Final = Gauge("ladder_open_files_limit", "How many files this process may have open.")
_ENOUGH: Final = 65_536  # more is of no use here; some systems refuse what they call their own limit
_RESERVE: Final = 1_536  # 1,024 messages may be under way at once; the database, Kafka, secrets, the log


def raise_limit() -> int:
    """Raise the limit as far as the system lets us; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """How many files may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def reserve(most: int) -> int:
    """How many of this many files are reserved for paging."""
    return min(most // 2, _RESERVE)


def shortage() -> str | None:
    """Why this process may not be able to page: it is nearly out of files. None if it is not."""
    most = limit()
    MOST.set(most)
    try:
        open_now = len(os.listdir("/dev/fd"))  # noqa: PTH208 - names are enough
    except OSError as err:
        return f"the open files cannot be counted: {err.strerror}"
    OPEN.set(open_now)
    if most - open_now >= reserve(most) // 8:
        return None
    return f"nearly out of files: {open_now} of {most} are open (raise the limit of open files, `ulimit -n`)"
