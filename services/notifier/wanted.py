"""Is this page still wanted? Asked before a send that did not begin right after its claim.

Questions that come while one is being answered go together in the next one.
"""

import asyncio
from typing import Final

from cachetools import LRUCache

from services.notifier import store
from services.notifier.domain.values import Delivery
from shared import telemetry
from shared.database import Database

_REMEMBERED: Final = 100_000
_LONGEST_SECONDS: Final = 2.0
log = telemetry.logger(__name__)


class Wanted:
    """Knows at once what this process has read, and asks the database for what others have."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._settled: LRUCache[str, int] = LRUCache(_REMEMBERED)
        self._waiting: list[tuple[str, asyncio.Future[int]]] = []
        self._asking: asyncio.Task[None] | None = None

    def settle(self, incident_id: str, version: int) -> None:
        """Pages of this incident before this version are off, from now on."""
        self._settled[incident_id] = max(version, self._settled.get(incident_id, 0))

    def at_once(self, page: Delivery) -> bool:
        """As far as this process knows."""
        return self._settled.get(page.incident_id, 0) <= page.version

    async def surely(self, page: Delivery) -> bool:
        """As the database knows; yes where it cannot be asked: a missed page is worse than one too many."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((page.incident_id, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="is it wanted")
        return await answer <= page.version

    async def _ask(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            settled = await self._read({incident_id for incident_id, _ in batch})
            for incident_id, answer in batch:
                if not answer.done():
                    answer.set_result(settled.get(incident_id, 0))

    async def _read(self, incident_ids: set[str]) -> dict[str, int]:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS), self._database.transaction() as connection:
                settled = await store.settled_versions(connection, sorted(incident_ids))
        except Exception as err:  # noqa: BLE001 - see `surely`
            log.debug("cannot check pages", action="recheck_failed", error=str(err)[:300])
            self._database.trouble.is_on(err, "notifier recheck")
            return {}
        self._database.trouble.is_over("notifier recheck")
        return settled
