"""Periodic work: notices before an end, counting stuck incidents, deleting expired rows."""

from datetime import datetime
from typing import Final

from sqlalchemy import text

from services.router import metrics, retention_periods
from services.router.duty import silence_store
from services.router.retention_periods import DEFAULT, Keep
from services.router.tables import SCHEMA
from shared.database.pool import Database
from shared.database.retention import delete_expired
from shared.loops.repeat import for_ever

_EVERY_SECONDS: Final = 60.0


async def delete_expired_once(database: Database, now: datetime, keep: Keep = DEFAULT) -> int:
    """Count stuck incidents and delete expired rows; returns how many rows were deleted."""
    async with database.transaction() as connection:
        metrics.STUCK.set((await connection.execute(_STUCK)).scalar_one())
    return sum((await delete_expired(database, SCHEMA, retention_periods.tables(keep), now)).values())


async def notify_for_ever(database: Database) -> None:
    """Send notices of what is about to end, in a loop of its own, because deletion may take long."""

    async def step() -> None:
        await silence_store.announce_once(database, database.now())

    await for_ever("router notices", step, database.outage, every=_EVERY_SECONDS)


async def run(database: Database, keep: Keep) -> None:
    """Delete for ever."""

    async def step() -> None:
        await delete_expired_once(database, database.now(), keep)

    await for_ever("router upkeep", step, database.outage, every=_EVERY_SECONDS)


_STUCK: Final = text("SELECT count(*) FROM (SELECT 1 FROM router.incident WHERE stuck LIMIT 10000) AS s")
