"""Who has left a subscription of the policy, in the database: no change of the policy brings them back."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.context import Left
from services.router.duty import overlay


@dataclass(frozen=True, slots=True)
class Departure:
    """One of them. `shown`: the address as people may see it; `by`: whose hand it was."""

    id: uuid.UUID
    left: Left
    contact: str
    shown: str
    at: datetime
    by: str


async def has_left(connection: AsyncConnection, left: Left) -> bool:
    """Whether they have."""
    return (await connection.execute(_HAS, left._asdict())).one_or_none() is not None


async def add(connection: AsyncConnection, made: Departure) -> bool:
    """Keep it; from the next decision on they are told nothing by it. False when it was known."""
    if await has_left(connection, made.left):
        return False
    await overlay.touch(connection)
    more = {"id": made.id, "contact": made.contact, "shown": made.shown, "at": made.at, "by": made.by}
    return (await connection.execute(_ADD, made.left._asdict() | more)).rowcount > 0


async def take_back(connection: AsyncConnection, left: Left) -> bool:
    """They hear of it again; False when they had not left."""
    if not await has_left(connection, left):
        return False
    await overlay.touch(connection)
    return (await connection.execute(_TAKE_BACK, left._asdict())).rowcount > 0


async def remove(connection: AsyncConnection, departure_id: uuid.UUID) -> Departure | None:
    """They hear of it again; None when there is no such one."""
    await overlay.touch(connection)
    row = (await connection.execute(_REMOVE, {"id": departure_id})).one_or_none()
    return None if row is None else _departure(row)


async def find(
    connection: AsyncConnection, after: tuple[datetime, uuid.UUID] | None, most: int
) -> Sequence[Departure]:
    """The newest first, after a place."""
    given = {"after_at": after[0] if after else None, "after_id": after[1] if after else None, "most": most}
    return [_departure(row) for row in await connection.execute(_FIND, given)]


def _departure(row: Any) -> Departure:
    left = Left(row.subscription, row.kind, row.name, row.place)
    return Departure(row.id, left, row.contact, row.shown, row.at, row.by)


_COLUMNS: Final = "id, subscription, kind, name, place, contact, shown, at, by"
_SAME: Final = "subscription = :subscription AND kind = :kind AND name = :name AND place = :place"
_HAS: Final = text(f"SELECT 1 FROM router.unsubscribed WHERE {_SAME}")
_ADD: Final = text(f"""
    INSERT INTO router.unsubscribed ({_COLUMNS})
    VALUES (:id, :subscription, :kind, :name, :place, :contact, :shown, :at, :by)
    ON CONFLICT (subscription, kind, name, place) DO NOTHING
""")
_TAKE_BACK: Final = text(f"DELETE FROM router.unsubscribed WHERE {_SAME}")
_REMOVE: Final = text(f"DELETE FROM router.unsubscribed WHERE id = :id RETURNING {_COLUMNS}")
_FIND: Final = text(f"""
    SELECT {_COLUMNS} FROM router.unsubscribed
    WHERE CAST(:after_at AS timestamptz) IS NULL
       OR (at, id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid))
    ORDER BY at DESC, id DESC LIMIT :most
""")
