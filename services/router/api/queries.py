"""Reading incidents: lists with filters and cursors, one, its timeline."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, Text, and_, cast, func, literal, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.incident import Incident, decode
from services.router.tables import incident, timeline
from shared.cursors import bad_cursor, cursor_of, number_of, place_of

Sort: TypeAlias = Literal["newest", "pressing"]
_FOREVER: Final = "infinity"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; empty means: not."""

    status: Sequence[str] = ()
    integration: str = ""
    dedup_key: str = ""
    customer: str = ""
    service: str = ""
    assignee: str = ""
    priority: Sequence[int] = ()
    q: str = ""
    parent: uuid.UUID | None = None  # grouped under this one, or merged into it


@dataclass(frozen=True, slots=True)
class Found:
    """One incident with the name of its level, and where it stands in the list."""

    incident: Incident
    level: str
    place: str


async def one(connection: AsyncConnection, incident_id: uuid.UUID) -> Found | None:
    """The incident of this id."""
    statement = _incidents().where(incident.c.id == incident_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _found(row, "newest")


async def many(
    connection: AsyncConnection, filters: Filters, sort: Sort, after: str | None, limit: int
) -> Sequence[Found]:
    """Up to `limit` incidents behind the cursor. Raises a 422 for a cursor that is none."""
    statement = _incidents().where(*_conditions(filters))
    statement = (_pressing if sort == "pressing" else _newest)(statement, filters, _opened(after, sort))
    return [_found(row, sort) for row in (await connection.execute(statement.limit(limit))).all()]


async def entries(
    connection: AsyncConnection, incident_id: uuid.UUID, after: str | None, limit: int
) -> Sequence[Row[Any]]:
    """Timeline entries behind the cursor, oldest first: seq, at, kind, actor, text, reason (JSON text)."""
    columns = (timeline.c.seq, timeline.c.at, timeline.c.kind, timeline.c.actor, timeline.c.text)
    statement = select(*columns, cast(timeline.c.reason, Text).label("reason"))
    statement = statement.where(timeline.c.incident_id == incident_id)
    if after is not None:
        statement = statement.where(timeline.c.seq > number_of(after))
    return (await connection.execute(statement.order_by(timeline.c.seq).limit(limit))).all()


def _incidents() -> Select[Any]:
    table = incident.c
    return select(
        cast(table.state, Text).label("state"),
        table.level,
        table.id,
        table.opened_at,
        table.priority,
        cast(_breach(), Text).label("breach"),
        table.customer_value,
    )


def _breach() -> ColumnElement[Any]:
    return func.coalesce(incident.c.first_breach_at, text("'infinity'::timestamptz"))


def _found(row: Row[Any], sort: Sort) -> Found:
    if sort == "pressing":
        place = [row.priority, row.breach, row.customer_value, str(row.id)]
    else:
        place = [row.opened_at.isoformat(), str(row.id)]
    return Found(decode(row.state), row.level, cursor_of([sort, *place]))


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    table = incident.c
    equal = {
        table.integration: filters.integration,
        table.dedup_key: filters.dedup_key,
        table.customer: filters.customer,
        table.service: filters.service,
        table.assignee: filters.assignee,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value]
    if filters.status:
        conditions.append(table.status.in_(filters.status))
    if filters.priority:
        conditions.append(table.priority.in_(filters.priority))
    if filters.parent is not None:
        conditions.append(table.parent == filters.parent)
    if filters.q:
        pattern = filters.q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        searched = (table.title, table.dedup_key)
        conditions.append(or_(*(column.ilike(f"%{pattern}%", escape="\\") for column in searched)))
    return conditions


def _newest(statement: Select[Any], filters: Filters, after: Sequence[Any] | None) -> Select[Any]:
    del filters
    table = incident.c
    if after is not None:
        opened_at, incident_id = after
        statement = statement.where(tuple_(table.opened_at, table.id) < tuple_(opened_at, incident_id))
    return statement.order_by(table.opened_at.desc(), table.id.desc())


def _pressing(statement: Select[Any], filters: Filters, after: Sequence[Any] | None) -> Select[Any]:
    """Priority, then the time to the first breach, then what the customer is worth; nothing closed."""
    table, breach = incident.c, _breach()
    if not filters.status:
        statement = statement.where(table.status.in_(["triggered", "acknowledged"]))
    statement = statement.where(text("status <> 'closed'"))  # as the index has it
    if after is not None:
        priority, written, value, incident_id = after
        at = cast(literal(written, Text), incident.c.opened_at.type)
        same = table.priority == priority
        statement = statement.where(
            table.priority >= priority,
            or_(
                table.priority > priority,
                and_(same, breach > at),
                and_(same, breach == at, table.customer_value < value),
                and_(same, breach == at, table.customer_value == value, table.id > incident_id),
            ),
        )
    return statement.order_by(table.priority, breach, table.customer_value.desc(), table.id)


def _opened(cursor: str | None, sort: Sort) -> Sequence[Any] | None:
    if cursor is None:
        return None
    try:
        kind, *place = place_of(cursor)
        if kind != sort:
            raise bad_cursor()
        if sort == "newest":
            opened_at, incident_id = place
            return _instant(opened_at), uuid.UUID(incident_id)
        priority, breach, value, incident_id = place
        if priority not in range(1, 6):
            raise bad_cursor()
        at = breach if breach == _FOREVER else _instant(breach).isoformat()
        return int(priority), at, float(value), uuid.UUID(incident_id)
    except (ValueError, TypeError, AttributeError, OverflowError) as err:
        raise bad_cursor() from err


def _instant(written: str) -> datetime:
    """In UTC, so that the database can hold it. Raises ValueError, OverflowError."""
    at = datetime.fromisoformat(written)
    if at.tzinfo is None:
        raise ValueError("without an offset")
    return at.astimezone(UTC)
