"""The greatest age that records just read can have, without comparing the log's clock with another one.

When a read returned nothing, or had to wait for the few records it returned, everything up to then had been
read: whatever comes later was written later.
"""

from datetime import timedelta
from typing import Final

from shared.clock import stopwatch
from shared.consumer_loop import Fetched
from shared.eventlog import Partition

_HAD_TO_WAIT_SECONDS: Final = 0.3  # longer than the log takes to answer
_FEW: Final = 100
_STOOD_STILL_SECONDS: Final = 0.5  # beyond what was asked for: much may have been written since


class CaughtUp:
    """When this member of a group last reached the end of its share of the log."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._share: frozenset[Partition] = frozenset()

    def after(self, fetched: Fetched) -> timedelta | None:
        """How long ago that was, after this fetch; None if unknown.

        It is unknown after the share changed: what the new partitions hold has not been seen.
        """
        now = stopwatch()
        records = len(fetched.records)
        if fetched.share != self._share or fetched.took > fetched.wait_seconds + _STOOD_STILL_SECONDS:
            self._share, self._at = fetched.share, None
        elif not records or (records < _FEW and fetched.took > _HAD_TO_WAIT_SECONDS):
            self._at = now
        return None if self._at is None else timedelta(seconds=now - self._at)
