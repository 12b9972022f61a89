"""What is kept for a while only: ids, answers, orphans, notes of dead letters. In small steps."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text

from services.router import metrics, quiet, relations
from services.router.store import ORPHANS_KEPT
from services.router.tables import SCHEMA
from shared import inbox
from shared.clock import utcnow
from shared.database import Database
from shared.loops import for_ever

_EVERY_SECONDS: Final = 60.0
_MOST: Final = 10_000
_ANSWERS_KEPT: Final = timedelta(days=8)
_NOTES_KEPT: Final = timedelta(days=30)
_KEPT: Final = (
    ("orphan", "seq", ORPHANS_KEPT),
    ("idempotency", "ctid", _ANSWERS_KEPT),
    ("dead_letter", "id", _NOTES_KEPT),
)


async def tidy_once(database: Database, now: datetime) -> int:
    """Delete what is older than it is kept, up to 10,000 rows a table; how many rows went."""
    gone = 0
    async with database.transaction() as connection:
        gone += await inbox.forget_old(connection, SCHEMA, now)
    for table, key, kept in _KEPT:
        statement = text(f"""
            DELETE FROM router.{table} WHERE {key} = ANY(ARRAY(
                SELECT {key} FROM router.{table} WHERE at < :before LIMIT :most
            ))
        """)
        async with database.transaction() as connection:
            gone += (await connection.execute(statement, {"before": now - kept, "most": _MOST})).rowcount
    async with database.transaction() as connection:
        gone += await relations.tidy(connection, now) + await quiet.tidy(connection, now)
    async with database.transaction() as connection:
        gone += (await connection.execute(_OVERTAKEN, {"before": now - _NOTES_KEPT})).rowcount
        metrics.STUCK.set((await connection.execute(_STUCK)).scalar_one())
    return gone


async def run(database: Database) -> None:
    """Tidy for ever."""

    async def step() -> None:
        await quiet.announce_once(database, utcnow())
        await tidy_once(database, utcnow())
        await asyncio.sleep(_EVERY_SECONDS)

    await for_ever("router upkeep", step, database.trouble)


# Signals of incidents that were closed by hand while they could not be decided.
_OVERTAKEN: Final = text("""
    DELETE FROM router.set_aside AS s USING router.incident AS i
    WHERE i.id = s.incident_id AND i.status = 'closed' AND s.at < :before
""")
_STUCK: Final = text("SELECT count(*) FROM (SELECT 1 FROM router.incident WHERE stuck LIMIT 10000) AS s")
