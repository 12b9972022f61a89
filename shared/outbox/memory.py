"""What the relay that leads knows of its outbox without reading it: rows handed over after their commit.

A row is published from memory only if every row that stood in the table when it was written is published or
waits here, too: so records with one key keep their order (whoever writes for one incident holds its row lock
from before it takes its ids until the commit). Whenever that is not certain, memory is `incomplete`: the
table is read, which has them all in their order.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.eventlog import Record

BATCH: Final = 500  # rows that are published at once, and their bytes
BATCH_BYTES: Final = 4 * 1024 * 1024
BEFORE: Final = 200  # rows: of a longer backlog nothing is handed over
_MOST_WAITING: Final = 1_000
_MOST_BYTES: Final = 8 * 1024 * 1024
_REMEMBERED: Final = 10_000  # ids; more than what can wait and what is published and not yet deleted


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an outbox."""

    id: int
    record: Record
    at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction wrote, for the relay of its process to take over after the commit.

    `before`: the ids that stood in the table then; None: more of them than is worth knowing.
    """

    rows: Sequence[Row]
    before: frozenset[int] | None


class Memory:
    """The rows that wait here, and the ids of those that were published: of one lease, and one connection."""

    def __init__(self) -> None:
        self._waiting: deque[Row] = deque()
        self._bytes = 0
        self._known: dict[int, None] = {}  # waiting, or published: in the order of their coming
        self.incomplete = True

    def hand(self, written: Written) -> bool:
        """Take over what is committed; False where only the table has all that comes before it."""
        full = len(self._waiting) >= _MOST_WAITING or self._bytes >= _MOST_BYTES
        if full or written.before is None or not self._known.keys() >= written.before:
            self.incomplete = True
            return False
        for row in written.rows:
            if row.id not in self._known:  # the table may have been read since the commit
                self._add(row)
        return True

    def next_batch(self) -> list[Row]:
        """The next rows to publish, within the bounds of a batch; at least one if any waits."""
        batch: list[Row] = []
        size = 0
        while self._waiting and len(batch) < BATCH and (not batch or size < BATCH_BYTES):
            row = self._waiting.popleft()
            size += len(row.record.value)
            batch.append(row)
        self._bytes -= size
        return batch

    def read(self, rows: Iterable[Row]) -> None:
        """The table was read, from its oldest row on, when nothing was in hand and every deletion was done:
        all that it holds is still to be published.
        """
        waiting = {row.id for row in self._waiting}
        for row in rows:
            if row.id not in waiting:
                self._add(row)

    def forget(self) -> None:
        """Nothing is certain any more: the lease, the connection or the log was away."""
        self._waiting.clear()
        self._bytes = 0
        self._known.clear()
        self.incomplete = True

    def _add(self, row: Row) -> None:
        self._known[row.id] = None
        self._waiting.append(row)
        self._bytes += len(row.record.value)
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
