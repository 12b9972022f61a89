"""Claiming what is due: locked, leased and counted as one attempt more, in one transaction.

To an address that people read as many messages go as its bucket allows; what is due and may not go yet waits,
and goes together, in the next one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Delivery
from services.notifier.domain.dispatch import Dispatch, dispatched
from services.notifier.domain.rates import Bucket, Goes, turn
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.sending.pace import Pace
from services.notifier.storage import buckets, due_deliveries
from services.notifier.storage.due_deliveries import Due
from shared.database.pool import Database

LEASE: Final = timedelta(seconds=6)
_BATCH_SIZE: Final = 200


async def claim(
    database: Database, concurrency: ConcurrencyLimits, pace: Pace, now: datetime
) -> list[Dispatch]:
    """Claim what is due, in the order of sending; each message holds a slot of `concurrency`."""
    most = min(concurrency.free, _BATCH_SIZE)
    if most <= 0:
        return []
    slots: dict[str, Delivery] = {}
    try:
        async with database.transaction() as connection:
            found: list[Due] = []
            for endpoints, hosts in concurrency.passed_over(now):
                found = found or await due_deliveries.due(
                    connection,
                    now,
                    endpoints=endpoints,
                    hosts=hosts,
                    each=most,
                    most=most,
                    resting=pace.resting(now),
                )
            judged = _Judged([one for one in found if concurrency.acquire(one.delivery, now)])
            slots = {one.delivery.id: one.delivery for one in judged.due}
            await judged.ask(connection, pace, now)
            for one in judged.left:
                concurrency.release(slots.pop(one.delivery.id))
            claimed = await judged.dispatches(connection, now)
            if claimed:
                await due_deliveries.claim(connection, claimed, now + LEASE)
    except BaseException:
        for delivery in slots.values():
            concurrency.release(delivery)
        raise
    pace.learn(judged.changed)
    return [replace(one, members=tuple(map(_claimed, one.members))) for one in claimed]


def _claimed(delivery: Delivery) -> Delivery:
    return replace(delivery, attempts=delivery.attempts + 1)


class _Judged:
    """What is due and has a slot, and which of it goes now."""

    def __init__(self, due: Sequence[Due]) -> None:
        self.due = due
        self.left: list[Due] = []
        self._going: list[tuple[Due, int | None]] = []
        self._buckets: dict[str, Bucket] = {}
        self.changed: dict[str, Bucket] = {}
        self._waiting: dict[str, datetime] = {}

    async def ask(self, connection: AsyncConnection, pace: Pace, now: datetime) -> None:
        """Spend the buckets' tokens on the most pressing."""
        names = {one.bucket for one in self.due if one.bucket and one.is_new}
        names |= {one.delivery.channel for one in self.due if pace.of(one.delivery).account is not None}
        if names:
            self._buckets = await buckets.locked(connection, names)
        for one in self.due:
            if not (self._account_allows(one, pace, now) and self._address_allows(one, pace, now)):
                self.left.append(one)
        if self.changed:
            await buckets.save(connection, self.changed)
        if self._waiting:
            await due_deliveries.put_off(connection, self._waiting, now)

    def _account_allows(self, one: Due, pace: Pace, now: datetime) -> bool:
        channel, rate = one.delivery.channel, pace.of(one.delivery).account
        if rate is None:
            return True
        bucket = self._buckets.get(channel)
        if bucket is None:
            return False
        if (free_at := rate.free_at(bucket.full_at)) > now:
            pace.rest(channel, free_at)
            return False
        return True

    def _address_allows(self, one: Due, pace: Pace, now: datetime) -> bool:
        """A bucket is asked once: what is left of it is asked again a moment later."""
        below: int | None = None
        limits = pace.of(one.delivery)
        rate = limits.of(one.delivery)
        if one.bucket and one.is_new and rate is not None:
            bucket = self._buckets.pop(one.bucket, None)
            if bucket is None:
                return False
            found = turn(one.delivery, bucket, rate, now)
            if not isinstance(found, Goes):
                self._waiting[one.bucket] = found.until
                return False
            self.changed[one.bucket] = found.bucket
            below = bucket.rank if found.breaking else None
        if limits.account is not None:
            account = self._buckets[one.delivery.channel]
            spent = replace(account, full_at=limits.account.spent(account.full_at, now))
            self._buckets[one.delivery.channel] = self.changed[one.delivery.channel] = spent
        self._going.append((one, below))
        return True

    async def dispatches(self, connection: AsyncConnection, now: datetime) -> list[Dispatch]:
        """The messages that go, each with all that goes in it."""
        found = []
        for one, below in self._going:
            members = [one.delivery]
            if one.bucket:
                members = await due_deliveries.together(connection, one, now, below=below)
            found.append(dispatched(members))
        return found
