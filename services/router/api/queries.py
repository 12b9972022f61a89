"""Queries for incidents: lists with filters and cursors, one incident, its timeline."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    Text,
    TextClause,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.incident import Incident
from services.router.domain.model.stored import decode
from services.router.tables import incident, timeline
from shared.http.cursors import bad_cursor, cursor_of, moment_of, number_of, place_of, reading_cursor

Sort: TypeAlias = Literal["newest", "pressing"]
Condition: TypeAlias = ColumnElement[bool] | TextClause
SCANNED: Final = 20_000
"""The most incidents examined for one page where no index helps: a search without a match must not read years
of history in one go."""
_FOREVER: Final = "infinity"
_PAGED: Final = incident.c.state["paged"].label("paged")
_OPEN: Final = frozenset({"triggered", "acknowledged"})
_EQUAL: Final = ("integration", "dedup_key", "assignee", "customer", "service")
_INDEXED: Final = ("assignee", "customer", "service")  # each by its own, newest first


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list; empty means no filter."""

    status: Sequence[str] = ()
    integration: str = ""
    dedup_key: str = ""
    customer: str = ""
    service: str = ""
    assignee: str = ""
    priority: Sequence[int] = ()
    q: str = ""
    parent: uuid.UUID | None = None  # grouped under this one, or merged into it
    asked: "Asked | None" = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who was paged: what nobody has taken, or they have."""

    kind: Literal["user", "team"]
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """One incident with the name of its level."""

    incident: Incident
    level: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows for `found`, and the cursor of the next page. `partial`: it ended before it was full."""

    rows: Sequence[Row[Any]]
    following: str | None = None
    partial: bool = False


async def one(connection: AsyncConnection, incident_id: uuid.UUID) -> Found | None:
    """The incident with this id."""
    statement = _incidents().where(incident.c.id == incident_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else found(row)


async def many(
    connection: AsyncConnection, filters: Filters, sort: Sort, after: str | None, limit: int
) -> Page:
    """Up to `limit` incidents after the cursor. Raises a 422 for an invalid cursor.

    Where no index helps, `SCANNED` incidents are examined; the cursor then continues after the last of them.
    """
    indexed, looked_at = _conditions(filters, sort)
    order, behind = _order(incident, sort), _behind(_opened(after, sort), sort)
    if not looked_at:
        wanted = _incidents().where(*indexed, *behind).order_by(*order).limit(limit + 1)
        return _page((await connection.execute(wanted)).all(), sort, limit)
    examined = _places() if filters.asked is None else _places().add_columns(_PAGED)
    passed = examined.where(*indexed, *behind).order_by(*order)
    scanned = passed.limit(SCANNED).subquery("scanned")
    matching = select(scanned.c.id).where(*(condition(scanned) for condition in looked_at))
    matching = matching.order_by(*_order(scanned, sort)).limit(limit + 1)
    whole = _incidents().where(incident.c.id.in_(matching)).order_by(*order)
    rows = (await connection.execute(whole)).all()
    if len(rows) > limit:
        return _page(rows, sort, limit)
    last = (await connection.execute(passed.offset(SCANNED - 1).limit(1))).one_or_none()
    return Page(rows, _place(last, sort), partial=True) if last is not None else Page(rows)


async def counted(connection: AsyncConnection, filters: Filters) -> tuple[int, bool]:
    """How many of the most pressing they are, and whether there may be more than were examined."""
    indexed, looked_at = _conditions(filters, "pressing")
    examined = _places().add_columns(_PAGED).where(*indexed).order_by(*_order(incident, "pressing"))
    scanned = examined.limit(SCANNED).subquery("scanned")
    matching = and_(*(condition(scanned) for condition in looked_at))
    statement = select(func.count().filter(matching), func.count()).select_from(scanned)
    row = (await connection.execute(statement)).one()
    return row[0], row[1] >= SCANNED


def _page(rows: Sequence[Row[Any]], sort: Sort, limit: int) -> Page:
    more = len(rows) > limit
    return Page(rows[:limit], _place(rows[limit - 1], sort) if more else None)


async def entries(
    connection: AsyncConnection, incident_id: uuid.UUID, after: str | None, limit: int
) -> Iterable[Row[Any]]:
    """Timeline entries after the cursor, oldest first: seq, at, kind, actor, text, reason (JSON text).

    Each row is built when it is asked for: thousands at once would delay pages.
    """
    columns = (timeline.c.seq, timeline.c.at, timeline.c.kind, timeline.c.actor, timeline.c.text)
    statement = select(*columns, cast(timeline.c.reason, Text).label("reason"))
    statement = statement.where(timeline.c.incident_id == incident_id)
    if after is not None:
        statement = statement.where(timeline.c.seq > number_of(after))
    return await connection.execute(statement.order_by(timeline.c.seq).limit(limit))


async def updates(connection: AsyncConnection, incident_id: uuid.UUID, limit: int) -> Sequence[Row[Any]]:
    """What stakeholders were told, newest first: at, text; without what was told about another customer."""
    given = {"incident": incident_id, "limit": limit}
    return (await connection.execute(_UPDATES, given)).all()


def _incidents() -> Select[Any]:
    return _places().add_columns(cast(incident.c.state, Text).label("state"), incident.c.level)


def _places() -> Select[Any]:
    """The position of each incident in either order, and the columns to examine where no index helps."""
    table = incident.c
    breach = _breach(incident).label("breach")
    searched = (table.integration, table.dedup_key, table.customer, table.service, table.assignee)
    return select(
        table.id, table.opened_at, table.priority, breach, table.customer_value, table.status, table.title,
        *searched,
    )  # fmt: skip


def _breach(table: FromClause) -> ColumnElement[Any]:
    if table is not incident:
        return table.c.breach
    return func.coalesce(incident.c.first_breach_at, text("'infinity'::timestamptz"))


def found(row: Row[Any]) -> Found:
    """The incident in a row."""
    return Found(decode(row.state), row.level)


def _place(row: Row[Any], sort: Sort) -> str:
    """The cursor for this row."""
    if sort == "pressing":
        breach = row.breach.isoformat() if row.breach.year < MAXYEAR else _FOREVER
        place = [row.priority, breach, row.customer_value, str(row.id)]
    else:
        place = [row.opened_at.isoformat(), str(row.id)]
    return cursor_of([sort, *place])


def _conditions(
    filters: Filters, sort: Sort
) -> tuple[list[Condition], list[Callable[[FromClause], ColumnElement[bool]]]]:
    """The conditions that an index serves, and those for which rows have to be examined."""
    table = incident.c
    equal = {name: value for name in _EQUAL if (value := getattr(filters, name))}
    by_index = {"integration", "dedup_key"} if {"integration", "dedup_key"} <= equal.keys() else set()
    by_index = by_index or set([name for name in equal if name in _INDEXED][:1])
    indexed: list[Condition] = [table[name] == equal[name] for name in sorted(by_index)]
    if not by_index and "dedup_key" in equal:
        indexed.append(_OF_ANY_INTEGRATION.bindparams(dedup_key=equal.pop("dedup_key")))
    looked_at = [_equals(name, value) for name, value in equal.items() if name not in by_index]
    if filters.parent is not None:
        indexed.append(table.parent == filters.parent)
    statuses = set(filters.status) or (_OPEN if sort == "pressing" else set())
    if statuses and statuses <= _OPEN:
        indexed.append(text("status IN ('triggered', 'acknowledged')"))  # as the index has it
    if statuses and statuses != _OPEN:
        looked_at.append(lambda rows: rows.c.status.in_(sorted(statuses)))
    if sort == "pressing":
        indexed.append(text("status <> 'closed'"))  # as the index has it
    if filters.priority:
        looked_at.append(lambda rows: rows.c.priority.in_(filters.priority))
    if filters.asked is not None:
        looked_at += _asked(filters.asked)
    if filters.q:
        escaped = filters.q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        pattern = f"%{escaped}%"
        looked_at.append(
            lambda rows: or_(*(rows.c[name].ilike(pattern, escape="\\") for name in ("title", "dedup_key")))
        )
    return indexed, looked_at


def _asked(asked: Asked) -> list[Callable[[FromClause], ColumnElement[bool]]]:
    kind = "!exists(@.kind)" if asked.kind == "user" else "@.kind == $kind"  # as `Paged` is stored
    found = f"$[*] ? (@.name == $name && {kind})"
    given = cast({"name": asked.name, "kind": asked.kind}, JSONB)
    taken_by = asked.name if asked.kind == "user" else ""
    return [
        lambda rows: or_(
            rows.c.status == "triggered", and_(rows.c.assignee == taken_by, rows.c.assignee != "")
        ),
        lambda rows: func.jsonb_path_exists(cast(rows.c.paged, JSONB), cast(found, JSONPATH), given),
    ]


def _equals(name: str, value: str) -> Callable[[FromClause], ColumnElement[bool]]:
    return lambda rows: rows.c[name] == value


def _order(table: FromClause, sort: Sort) -> Sequence[ColumnElement[Any]]:
    """Newest first; or priority, then the time to the first breach, then the customer's value."""
    if sort == "newest":
        return table.c.opened_at.desc(), table.c.id.desc()
    return table.c.priority, _breach(table), table.c.customer_value.desc(), table.c.id


def _behind(after: Sequence[Any] | None, sort: Sort) -> Sequence[ColumnElement[bool]]:
    table, breach = incident.c, _breach(incident)
    if after is None:
        return ()
    if sort == "newest":
        opened_at, incident_id = after
        return (tuple_(table.opened_at, table.id) < tuple_(opened_at, incident_id),)
    priority, written, value, incident_id = after
    at = cast(literal(written, Text), table.opened_at.type)
    same = and_(table.priority == priority, breach == at)
    return (
        tuple_(table.priority, breach) >= tuple_(priority, at),  # where the index scan begins
        or_(
            tuple_(table.priority, breach) > tuple_(priority, at),
            and_(same, table.customer_value < value),
            and_(same, table.customer_value == value, table.id > incident_id),
        ),
    )


def _opened(cursor: str | None, sort: Sort) -> Sequence[Any] | None:
    if cursor is None:
        return None
    with reading_cursor():
        kind, *place = place_of(cursor)
        if kind != sort:
            raise bad_cursor()
        if sort == "newest":
            opened_at, incident_id = place
            return moment_of(opened_at), uuid.UUID(incident_id)
        priority, breach, value, incident_id = place
        if priority not in range(1, 6):
            raise bad_cursor()
        at = breach if breach == _FOREVER else moment_of(breach).isoformat()
        return int(priority), at, float(value), uuid.UUID(incident_id)


# The index leads with the integration: there are few, found by skipping from one to the next.
_OF_ANY_INTEGRATION: Final = text("""
    id = ANY(ARRAY(
        WITH RECURSIVE known AS (
            SELECT min(integration) AS name FROM router.incident
            UNION ALL
            SELECT (SELECT min(integration) FROM router.incident WHERE integration > known.name)
            FROM known WHERE known.name IS NOT NULL
        )
        SELECT i.id FROM known
        JOIN router.incident AS i ON i.integration = known.name AND i.dedup_key = :dedup_key
    ))
""")

_UPDATES: Final = text("""
    SELECT at, text FROM router.timeline
    WHERE incident_id = :incident AND kind = 'update' AND seq > coalesce((
        SELECT max(seq) FROM router.timeline WHERE incident_id = :incident AND kind = 'customer'), 0)
    ORDER BY seq DESC LIMIT :limit
""")
