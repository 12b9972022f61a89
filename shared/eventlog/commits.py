"""Offsets committed beside the work, not between one batch and the next.

What has been applied stands in the inbox: a record that comes again because its offset was not stored yet
changes nothing. So the next batch need not wait for the log's answer to the last one.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from shared import telemetry
from shared.eventlog import Consumer, LogUnavailableError, Partition, Received
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import for_ever

_EVERY_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 1.0

log = telemetry.logger(__name__)


class Commits:
    """The offsets of one member that are still to be stored: the last record of each partition."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._last: dict[Partition, Received] = {}
        self._done = asyncio.Event()
        self._failing = False

    def done(self, records: Iterable[Received]) -> None:
        """These are applied, and committed: what comes before them, too."""
        for record in records:
            known = self._last.get(record.partition)
            if known is None or record.offset > known.offset:
                self._last[record.partition] = record
        self._done.set()

    async def store_once(self) -> bool:
        """Store what is done so far; whether that went well. What could not be stored is tried with the next.

        Even if nothing more comes: what is done and not stored counts as lag, and its age would grow.
        """
        self._done.clear()
        waiting, self._last = self._last, {}
        if not waiting:
            return True
        try:
            await self._consumer.commit(waiting.values())
        except Exception as err:
            if not self._failing:  # once, not with every try while it lasts
                broken = None if isinstance(err, LogUnavailableError) else err
                log.warning(
                    "offsets could not be committed: retrying",
                    action="commit_failed",
                    error=str(err),
                    exc_info=broken,
                )
            self._failing = True
            self._last = waiting | self._last
            self._done.set()
            return False
        self._failing = False
        return True

    async def _store_for_ever(self) -> None:
        async def step() -> None:
            await self._done.wait()
            went_well = await self.store_once()
            await asyncio.sleep(_EVERY_SECONDS if went_well else _PAUSE_SECONDS)

        await for_ever("commit offsets", step, Outage(log, "commit_failed"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Commits"]:
        """Store them ten times a second at most; the rest on leaving."""
        try:
            async with alongside("commit offsets", self._store_for_ever()):
                yield self
        finally:
            await self.store_once()
