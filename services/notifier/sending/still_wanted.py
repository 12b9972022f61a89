"""Whether a delivery may still be sent, checked when the send did not start right after its claim.

Is the page still wanted, and has nobody else claimed it while this process was frozen? Questions that arrive
while others are being answered share the next query.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Delivery
from services.notifier.sending import leases
from services.notifier.storage import deliveries
from shared import telemetry
from shared.clock import stopwatch
from shared.database.pool import Database

_REMEMBERED: Final = 100_000
_LONGEST_SECONDS: Final = 2.0
log = telemetry.logger(__name__)


Question = TypeVar("Question")
Answer = TypeVar("Answer")


class StillWanted:
    """Knows what this process has read, and asks the database for what other processes have."""

    def __init__(self, database: Database) -> None:
        self._settled: LRUCache[str, int] = LRUCache(_REMEMBERED)
        self._versions = Asking(database, "notifier recheck", _settled_versions)

    def settle(self, incident_id: str, version: int) -> None:
        """From now on pages of this incident before this version are no longer wanted."""
        self._settled[incident_id] = max(version, self._settled.get(incident_id, 0))

    def as_known_here(self, page: Delivery) -> bool:
        """As far as this process knows."""
        return self._settled.get(page.incident_id, 0) <= page.version

    async def as_stored(self, page: Delivery) -> bool:
        """According to the database; True if it cannot be asked: a missed page is worse than one too many."""
        return (await self._versions.ask(page.incident_id) or 0) <= page.version


class Claims:
    """What this process has claimed, and how long it can be sure of that by its own stopwatch."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database = database
        self._lease = lease
        self._claimed: dict[
            str, tuple[int, float]
        ] = {}  # by id: the attempt, and when its lease was asked for
        self._standing = Asking(database, "notifier claims", self._renewed)

    def add(self, delivery: Delivery, asked_at: float) -> None:
        """This was claimed; `asked_at` is the stopwatch before the claim."""
        self._claimed[delivery.id] = (delivery.attempts, asked_at)

    def drop(self, delivery: Delivery) -> None:
        """Its outcome is recorded."""
        if self._claimed.get(delivery.id, (0, 0.0))[0] == delivery.attempts:
            del self._claimed[delivery.id]

    def of(self, ids: Iterable[str]) -> Mapping[str, int]:
        """The attempts of those of these that are claimed."""
        return {name: self._claimed[name][0] for name in ids if name in self._claimed}

    async def renew(self, connection: AsyncConnection, now: datetime, asked_at: float) -> None:
        """Extend the leases of all claims; `asked_at` is the stopwatch at `now`."""
        await self._renew(connection, self.of(self._claimed), now, asked_at, wait=False)

    def certain(self, delivery: Delivery) -> bool:
        """Whether nobody else can have claimed it: less than half of the lease is over."""
        attempt, asked_at = self._claimed.get(delivery.id, (0, 0.0))
        return attempt == delivery.attempts and stopwatch() - asked_at < self._lease.total_seconds() / 2

    async def stands(self, delivery: Delivery) -> bool:
        """Whether the database confirms the claim, and renews it; True if it cannot be asked."""
        return self.certain(delivery) or await self._standing.ask(delivery.id) is not False

    async def _renewed(self, connection: AsyncConnection, ids: set[str]) -> Mapping[str, bool]:
        now, asked_at = self._database.now(), stopwatch()
        standing = await self._renew(connection, self.of(ids), now, asked_at, wait=True)
        return {name: name in standing for name in ids}

    async def _renew(
        self,
        connection: AsyncConnection,
        claims: Mapping[str, int],
        now: datetime,
        asked_at: float,
        *,
        wait: bool,
    ) -> frozenset[str]:
        """Claims that another process has taken over are not renewed."""
        if not claims:
            return frozenset()
        renewed = await leases.renew(connection, claims, now + self._lease, wait=wait)
        for name in renewed:
            if self.of([name]).get(name) == claims[name]:
                self._claimed[name] = (claims[name], asked_at)
        return renewed


class Asking(Generic[Question, Answer]):
    """One query at a time, for everybody who waits for an answer."""

    def __init__(
        self,
        database: Database,
        part: str,
        read: Callable[[AsyncConnection, set[Question]], Awaitable[Mapping[Question, Answer]]],
    ) -> None:
        self._database = database
        self._part = part
        self._read = read
        self._waiting: list[tuple[Question, asyncio.Future[Answer | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer | None:
        """None if there is no answer, or the database cannot be asked."""
        answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name=self._part)
        return await answer

    async def _ask(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            answers = await self._answers({question for question, _ in batch})
            for question, answer in batch:
                if not answer.done():
                    answer.set_result(answers.get(question))

    async def _answers(self, questions: set[Question]) -> Mapping[Question, Answer]:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS), self._database.transaction() as connection:
                answers = await self._read(connection, questions)
        except Exception as err:  # noqa: BLE001 - no answer is one, too
            log.debug(
                "could not check whether a send is still wanted: sending it",
                action="recheck_failed",
                error=str(err)[:300],
            )
            self._database.outage.began(err, self._part)
            return {}
        self._database.outage.ended(self._part)
        return answers


async def _settled_versions(connection: AsyncConnection, incident_ids: set[str]) -> Mapping[str, int]:
    return await deliveries.settled_versions(connection, sorted(incident_ids))
