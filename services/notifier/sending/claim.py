"""Claiming what is due: locked, leased and counted as one attempt more, in one transaction."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from services.notifier.domain.delivery import Delivery
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.storage import deliveries as store
from shared.database.pool import Database

LEASE: Final = timedelta(seconds=6)
_BATCH_SIZE: Final = 200


async def claim(database: Database, concurrency: ConcurrencyLimits, now: datetime) -> list[Delivery]:
    """Claim what is due, pages first; each delivery holds a slot of `concurrency`."""
    most = min(concurrency.free, _BATCH_SIZE)
    if most <= 0:
        return []
    claimed: list[Delivery] = []
    try:
        async with database.transaction() as connection:
            found = await store.due(
                connection,
                now,
                endpoints=concurrency.full_endpoints(now),
                hosts=concurrency.full_hosts(),
                each=most,
                most=most,
            )
            claimed = [delivery for delivery in found if concurrency.acquire(delivery, now)]
            if claimed:
                await store.claim(connection, [delivery.id for delivery in claimed], now + LEASE)
    except BaseException:
        for delivery in claimed:
            concurrency.release(delivery)
        raise
    return [replace(delivery, attempts=delivery.attempts + 1) for delivery in claimed]
