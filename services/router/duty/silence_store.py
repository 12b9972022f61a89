"""Silences and maintenance in the database, and the notice to their authors before one ends.

Once in force they are not deleted: what kept people quiet, and by whom, stays known for 90 days.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import fan_out_queue
from services.router.domain.draft.draft import derived_id
from services.router.domain.model.decision import Spread
from services.router.domain.model.related import Look
from services.router.domain.muting import suppression
from services.router.duty import maintenance_windows, overlay
from services.router.tables import SCHEMA
from shared.database.pool import Database
from shared.eventlog import codec
from shared.events import Announced, Recipient, RelatedChanged
from shared.outbox import outbox
from shared.policy import Bundle

KEPT: Final = timedelta(days=90)
_NOTICE: Final = timedelta(minutes=15)  # before the end, or half its length if that is shorter

State: TypeAlias = Literal["planned", "in_force", "over"]
Table: TypeAlias = Literal["silence", "maintenance"]


@dataclass(frozen=True, slots=True)
class Stored:
    """One silence or maintenance. Times in UTC; a recurring maintenance has windows and no times."""

    id: uuid.UUID
    when: str
    starts: datetime | None
    until: datetime | None
    by: str
    made_at: datetime
    comment: str = ""  # for a silence
    name: str = ""  # for a maintenance
    then: str = "page"
    window: maintenance_windows.Windows | None = None

    @property
    def called(self) -> str:
        """Its name in an incident's `suppressed_by`."""
        if self.name:
            return suppression.of_maintenance(self.name)
        return suppression.of_silence(str(self.id))

    def state(self, now: datetime) -> State:
        if self.until is not None and self.until <= now:
            return "over"
        return "planned" if self.starts is not None and self.starts > now else "in_force"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them: those that are not over, or those that are; newest first, after a place."""

    past: bool
    after: tuple[datetime, uuid.UUID] | None
    most: int


async def find(connection: AsyncConnection, table: Table, wanted: Wanted, now: datetime) -> Sequence[Stored]:
    """Those wanted, newest first."""
    given = {
        "past": wanted.past,
        "now": now,
        "after_at": wanted.after[0] if wanted.after else None,
        "after_id": wanted.after[1] if wanted.after else None,
        "most": wanted.most,
    }
    return [_stored(row) for row in await connection.execute(_FIND[table], given)]


async def one(
    connection: AsyncConnection, table: Table, stored_id: uuid.UUID, *, lock: bool
) -> Stored | None:
    """The one with this id; locked (after the overlay's row) if it is to end, so that it ends once."""
    if lock:
        await overlay.touch(connection)
    row = (await connection.execute(_ONE[table, lock], {"id": stored_id})).one_or_none()
    return None if row is None else _stored(row)


async def add(connection: AsyncConnection, made: Stored) -> None:
    """Store it; from now on it counts, and open incidents that match hear of it within a moment."""
    await overlay.touch(connection)
    given = {
        "id": made.id, "when": made.when, "starts": made.starts, "until": made.until, "by": made.by,
        "made_at": made.made_at,
    }  # fmt: skip
    if made.name:
        more = {"name": made.name, "then": made.then, **maintenance_windows.columns(made.window)}
        await connection.execute(_ADD_MAINTENANCE, given | more)
    else:
        await connection.execute(_ADD_SILENCE, given | {"comment": made.comment})
    await fan_out_queue.add(connection, [_look("matching", made.when, made)], made.made_at)


async def end(connection: AsyncConnection, table: Table, stored: Stored, now: datetime) -> Stored | None:
    """End it now, so that incidents it suppresses check again; None if it never began and is deleted.

    The caller has it locked.
    """
    if stored.state(now) == "planned":
        await connection.execute(_REMOVE[table], {"id": stored.id})
        return None
    await connection.execute(_END[table], {"id": stored.id, "now": now})
    await fan_out_queue.add(connection, [_look("suppressed", stored.called, stored)], now)
    return await one(connection, table, stored.id, lock=False)


async def rules_changed(connection: AsyncConnection, before: Bundle, after: Bundle, now: datetime) -> None:
    """After a policy change, incidents whose suppression rule is gone or different check again."""
    stay = {rule.name: rule for rule in after.suppress}
    ended = [rule.name for rule in before.suppress if stay.get(rule.name) != rule]
    looks = [_spread("suppressed", suppression.of_rule(name), name, now) for name in ended]
    if looks:
        await fan_out_queue.add(connection, looks, now)


def _look(audience: Literal["matching", "suppressed"], of: str, about: Stored) -> Spread:
    return _spread(audience, of, about.id, about.made_at)


def _spread(audience: Literal["matching", "suppressed"], of: str, about: object, at: datetime) -> Spread:
    message = RelatedChanged(
        message_id=derived_id("look", about, audience, uuid.uuid4()),
        to="",
        incident_id="",
        relation=Look.relation,
        at=at,
    )
    return Spread(audience, of, message)


async def announce_once(database: Database, now: datetime) -> int:
    """Tell the authors of those that are about to end, each once; returns how many there were."""
    async with database.transaction() as connection:
        ending = [
            _stored(row)
            for statement in _ENDING.values()
            for row in await connection.execute(statement, {"now": now, "notice": _NOTICE})
        ]
        messages = [
            await _announcement(connection, each, now) for each in ending if each.by.startswith("user:")
        ]
        await outbox.add(connection, SCHEMA, [codec.encode(message) for message in messages])
    return len(ending)


async def _announcement(connection: AsyncConnection, ending: Stored, now: datetime) -> Announced:
    assert ending.until is not None
    count = (await connection.execute(_KEPT_QUIET, {"by": ending.called})).scalar_one()
    kind = f"maintenance {ending.name}" if ending.name else "silence"
    after = "dropped" if ending.then == "drop" else "paged"
    more = f" ({ending.comment})" if ending.comment else ""
    if count:
        named = f"{count:,} incident{'' if count == 1 else 's'}"
        what = f"It keeps {named} quiet: what still stands is {after} then, unless you prolong it."
    else:
        what = "It keeps nothing quiet at the moment."
    return Announced(
        message_id=derived_id("ends", ending.id, ending.until.isoformat()),
        at=now,
        event="maintenance",
        title=f"Your {kind} ends at {ending.until:%H:%M} UTC",
        text=f"{ending.when}{more}: it ends on {ending.until:%Y-%m-%d} at {ending.until:%H:%M} UTC. {what}",
        reason="you made it",
        recipients=(Recipient(kind="user", name=ending.by.removeprefix("user:")),),
    )


def _stored(row: Any) -> Stored:
    return Stored(
        id=row.id,
        when=row.when,
        starts=row.starts,
        until=row.until,
        by=row.by,
        made_at=row.made_at,
        comment=row.comment,
        name=row.name,
        then=row.then,
        window=maintenance_windows.read(row),
    )


_COLUMNS: Final = {
    "silence": """id, "when", starts, until, by, made_at, comment,
        '' AS name, 'page' AS "then", CAST(NULL AS text) AS "window", CAST(NULL AS text) AS windows""",
    "maintenance": """id, "when", starts, until, by, made_at, '' AS comment,
        name, "then", CAST("window" AS text) AS "window", CAST(windows AS text) AS windows""",
}
_FIND: Final = {
    table: text(f"""
        SELECT {columns} FROM router.{table}
        WHERE (COALESCE(until, 'infinity') <= :now) = :past
          AND (CAST(:after_at AS timestamptz) IS NULL
               OR (made_at, id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid)))
        ORDER BY made_at DESC, id DESC LIMIT :most
    """)
    for table, columns in _COLUMNS.items()
}
_ONE: Final = {
    (table, lock): text(f"SELECT {columns} FROM router.{table} WHERE id = :id{' FOR UPDATE' * lock}")
    for table, columns in _COLUMNS.items()
    for lock in (False, True)
}
_ADD_SILENCE: Final = text("""
    INSERT INTO router.silence (id, "when", starts, until, comment, by, made_at)
    VALUES (:id, :when, :starts, :until, :comment, :by, :made_at)
""")
_ADD_MAINTENANCE: Final = text("""
    INSERT INTO router.maintenance
        (id, name, "when", "then", starts, until, "window", windows, by, made_at)
    VALUES
        (:id, :name, :when, :then, :starts, :until, CAST(:window AS json), CAST(:windows AS json),
         :by, :made_at)
""")
_REMOVE: Final = {table: text(f"DELETE FROM router.{table} WHERE id = :id") for table in _COLUMNS}
_END: Final = {
    table: text(f"UPDATE router.{table} SET until = :now, told_at = :now WHERE id = :id")
    for table in _COLUMNS
}
# Indexes silence_until and maintenance_until. One that is being ended has nothing to announce.
_ENDING: Final = {
    table: text(f"""
        UPDATE router.{table} SET told_at = :now
        WHERE id IN (
            SELECT id FROM router.{table}
            WHERE told_at IS NULL AND until > :now AND starts IS NOT NULL
              AND until - LEAST(CAST(:notice AS interval), (until - starts) / 2) <= :now
            FOR UPDATE SKIP LOCKED
        )
        RETURNING {columns}
    """)
    for table, columns in _COLUMNS.items()
}
_KEPT_QUIET: Final = text("""
    SELECT count(*) FROM router.incident
    WHERE suppressed_by = :by AND suppressed_by <> '' AND status IN ('triggered', 'acknowledged')
""")
