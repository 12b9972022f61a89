"""The page before: what a channel that shows one notification for an incident puts away or replaces."""

import asyncio
from typing import Final

from sqlalchemy import text

from services.notifier.domain.delivery import Delivery
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of

_LONGEST_SECONDS: Final = 2.0


async def reference(database: Database, delivery: Delivery) -> str:
    """The provider's id of the newest other page about the same incident at the same address; '' for none.

    Also '' where the database is away or slow: a page goes out all the same, beside the one before.
    """
    values = {
        "incident_id": delivery.incident_id,
        "channel": delivery.channel,
        "address": delivery.address,
        "id": delivery.id,
    }
    try:
        async with asyncio.timeout(_LONGEST_SECONDS), database.transaction() as connection:
            found = (await connection.execute(_NEWEST, values)).scalar()
    except Exception as err:
        if kind_of(err) is not Kind.AWAY:
            raise
        return ""
    return str(found or "")


_NEWEST: Final = text("""
    SELECT reference FROM notifier.delivery
    WHERE incident_id = :incident_id AND channel = :channel AND address = :address
      AND page_id <> '' AND reference <> '' AND id <> CAST(:id AS uuid)
      AND coalesce(message_id, id) = id  -- not in a message that lists several
    ORDER BY created_at DESC, id DESC LIMIT 1
""")
