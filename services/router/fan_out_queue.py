"""The queue of messages to many incidents, which `loops.fan_out` sends in steps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.decision import Spread
from shared.eventlog import codec


async def add(connection: AsyncConnection, spreads: Sequence[Spread], now: datetime) -> None:
    """Queue messages to many incidents; `services.router.loops.fan_out` sends them."""
    given = {
        "audiences": [spread.audience for spread in spreads],
        "meant": [spread.of for spread in spreads],
        "messages": [codec.json_text(spread.message) for spread in spreads],
        "now": now,
    }
    await connection.execute(_ADD, given)


_ADD: Final = text("""
    INSERT INTO router.spread (audience, meant, message, at)
    SELECT audience, meant, CAST(message AS json), :now
    FROM unnest(CAST(:audiences AS text[]), CAST(:meant AS text[]), CAST(:messages AS text[]))
         WITH ORDINALITY AS given (audience, meant, message, place)
    ORDER BY place
""")
