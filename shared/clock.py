"""The one place where clocks are read. Only loops and the HTTP edge do so; everything else is told.

A moment that is compared with one in the database is the database's own (`Database.now`): the clocks of two
machines are never subtracted from each other.
"""

import time
from datetime import UTC, datetime
from typing import Final

# It goes on while a machine sleeps, so that a lease is over after a suspended night; not every system has it.
_RUNNING_ON: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def utcnow() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one reading that the ban points to


def stopwatch() -> float:
    """Seconds that only grow, for what lasts: a frozen process finds them gone when it goes on.

    Not the event loop's time, which stands still until the loop's next turn.
    """
    return time.clock_gettime(_RUNNING_ON)


def busy_seconds() -> float:
    """Seconds for which this thread has worked, for what may cost only so much: however busy the machine is,
    the same work counts the same.
    """
    return time.thread_time()
