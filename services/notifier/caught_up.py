"""How old what was read can be at most, told without subtracting the log's clock from another one.

A read brought nothing, or had to wait for the few records that it brought: up to then everything had been
read, so what comes later came in later.
"""

from datetime import timedelta
from typing import Final

from shared.clock import stopwatch
from shared.eventlog import Partition

_HAD_TO_WAIT_SECONDS: Final = 0.3  # more than an answer of the log takes
_FEW: Final = 100
_STOOD_STILL_SECONDS: Final = 0.5  # beyond what was asked for: much may have come since


class CaughtUp:
    """When the log had nothing more to read, as far as one member of a group knows."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._share: frozenset[Partition] = frozenset()

    def after(
        self, records: int, took: float, wait_seconds: float, share: frozenset[Partition]
    ) -> timedelta | None:
        """How long ago that was, after a read that took and might take so many seconds; None: not known.

        What a partition holds that was given to this member meanwhile is not known.
        """
        now = stopwatch()
        if share != self._share or took > wait_seconds + _STOOD_STILL_SECONDS:
            self._share, self._at = share, None
        elif not records or (records < _FEW and took > _HAD_TO_WAIT_SECONDS):
            self._at = now
        return None if self._at is None else timedelta(seconds=now - self._at)
