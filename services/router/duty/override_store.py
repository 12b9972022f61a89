"""Overrides in the database: who stands in on which schedule. They survive every policy change.

Whoever changes one locks the overlay's row first (`overlay.touch`), so that every router reads them again.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.policy.oncall.schedules import Override


@dataclass(frozen=True, slots=True)
class StoredOverride:
    """One override with its history. Times in UTC. Schedule '': all of them; user '': nobody."""

    id: uuid.UUID
    schedule: str
    user: str
    begins: datetime
    ends: datetime
    comment: str
    by: str
    made_at: datetime
    absent: str = ""  # only this person's shifts change

    @property
    def plain(self) -> Override:
        return Override(
            str(self.id), self.user, self.begins, self.ends, self.by, self.absent, self.made_at
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which overrides: those that touch a schedule ('' for all), in `begins` … `ends` (None: unbounded)."""

    schedule: str = ""
    begins: datetime | None = None
    ends: datetime | None = None
    after: tuple[datetime, uuid.UUID] | None = None
    most: int = 5000


async def find(connection: AsyncConnection, wanted: Wanted) -> Sequence[StoredOverride]:
    """The overrides wanted, ordered by their begin."""
    given = {
        "schedule": wanted.schedule,
        "begins": wanted.begins,
        "ends": wanted.ends,
        "after_at": wanted.after[0] if wanted.after else None,
        "after_id": wanted.after[1] if wanted.after else None,
        "most": wanted.most,
    }
    return [_stored(row) for row in await connection.execute(_FIND, given)]


async def by_schedule(
    connection: AsyncConnection, begins: datetime, ends: datetime | None = None, schedule: str = ""
) -> Mapping[str, Sequence[Override]]:
    """The overrides that touch this range, for shared.policy.oncall.schedules."""
    found: dict[str, list[Override]] = {}
    for each in await find(connection, Wanted(schedule, begins, ends)):
        found.setdefault(each.schedule, []).append(each.plain)
    return found


async def one(connection: AsyncConnection, override_id: uuid.UUID) -> StoredOverride | None:
    """The override with this id."""
    row = (await connection.execute(_ONE, {"id": override_id})).one_or_none()
    return None if row is None else _stored(row)


async def add(connection: AsyncConnection, made: StoredOverride) -> None:
    """Store a new override."""
    given = {
        "id": made.id, "schedule": made.schedule, "user": made.user, "begins": made.begins,
        "ends": made.ends, "comment": made.comment, "by": made.by, "made_at": made.made_at,
        "absent": made.absent,
    }  # fmt: skip
    await connection.execute(_ADD, given)


async def remove(connection: AsyncConnection, override_id: uuid.UUID) -> None:
    """Delete it as if it had never been made: only for one that has not begun."""
    await connection.execute(_REMOVE, {"id": override_id})


async def end(connection: AsyncConnection, override_id: uuid.UUID, at: datetime) -> None:
    """End it now; who was on call until now stays known."""
    await connection.execute(_END, {"id": override_id, "at": at})


async def ask_duties(connection: AsyncConnection, *schedules: str) -> None:
    """Who is on call on these schedules ('': any) may have changed: make what was asked through them due.

    In one statement, which locks the incidents in the common order.
    """
    await connection.execute(_ASK, {"schedules": list(schedules)})


def _stored(row: Any) -> StoredOverride:
    return StoredOverride(
        row.id, row.schedule, row.user, row.begins, row.ends, row.comment, row.by, row.made_at, row.absent
    )  # fmt: skip


_COLUMNS: Final = 'id, schedule, "user", begins, ends, comment, by, made_at, absent'
_FIND: Final = text(f"""
    SELECT {_COLUMNS} FROM router.override
    WHERE (CAST(:schedule AS text) = '' OR schedule IN (:schedule, ''))
      AND (CAST(:begins AS timestamptz) IS NULL OR ends > :begins)
      AND (CAST(:ends AS timestamptz) IS NULL OR begins < :ends)
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (begins, id) > (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid)))
    ORDER BY begins, id LIMIT :most
""")
_ONE: Final = text(f"SELECT {_COLUMNS} FROM router.override WHERE id = :id")
_ADD: Final = text(f"""
    INSERT INTO router.override ({_COLUMNS})
    VALUES (:id, :schedule, :user, :begins, :ends, :comment, :by, :made_at, :absent)
""")
_REMOVE: Final = text("DELETE FROM router.override WHERE id = :id")
_END: Final = text("UPDATE router.override SET ends = :at WHERE id = :id")
_ASK: Final = text("""
    UPDATE router.incident SET next_due_at = transaction_timestamp()
    WHERE id IN (
        SELECT id FROM router.incident
        WHERE status IN ('triggered', 'acknowledged') AND next_due_at > transaction_timestamp()
          AND (state -> 'duty' IS NOT NULL OR state -> 'unsettled' IS NOT NULL)
          AND ('' = ANY (CAST(:schedules AS text[]))
               OR state -> 'duty' ->> 'schedule' = ANY (CAST(:schedules AS text[]))
               OR EXISTS (SELECT FROM json_array_elements(COALESCE(state -> 'unsettled', '[]')) AS asked
                          WHERE asked ->> 'schedule' = ANY (CAST(:schedules AS text[]))))
        ORDER BY id FOR UPDATE
    )
""")
