"""`/v1/reports`: SLAs, response and levels over a period, by groups, as JSON or CSV."""

import asyncio
import csv
import heapq
import io
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Response

from services.router import report_queries
from services.router.api.access import Access, Caller, Route
from services.router.api.shapes.answers import answer, answers, as_json
from services.router.api.shapes.reports import (
    Grouped,
    LevelItem,
    LevelReport,
    ResponseItem,
    ResponseReport,
    SlaItem,
    SlaReport,
)
from services.router.api.times import MomentOrDay
from services.router.batch.engine import Engine
from services.router.domain.reporting.periods import Period, Size, midnight, periods
from services.router.report_queries import GROUPS, Group, Question, Report, Row
from shared.errors.scarcity import is_scarcity
from shared.http.problems import Fault, Problem
from shared.policy import Whose

CSV: Final = "text/csv"
_LAST: Final = timedelta(days=30)  # when `from` is left out
_MOST_PERIODS: Final = 1100  # three years of days
_AT_ONCE: Final = 2  # reports per process: others wait, pages never do
_NARROWER: Final = "ask for a shorter time, fewer groups, or less"
_RUN: Final = 200  # items that are sorted in one go
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_Texts: TypeAlias = Annotated[
    Sequence[Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")]], Query(max_length=100)
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The query of a report."""

    begins: MomentOrDay | None
    ends: MomentOrDay | None
    by: Sequence[str]
    period: Size
    tz: str
    only: dict[str, Sequence[str]]
    priority: Sequence[int]
    acknowledged_by: Whose = "person"


def _asked(
    *,
    begins: Annotated[
        MomentOrDay | None, Query(alias="from", description="a date, or RFC 3339; 30 days before `to`")
    ] = None,
    ends: Annotated[
        MomentOrDay | None, Query(alias="to", description="without this moment itself; now")
    ] = None,
    by: Annotated[
        Sequence[Annotated[str, Query(max_length=100)]],
        Query(description=f"groups: {', '.join(GROUPS)}; several with commas, or repeated", max_length=20),
    ] = (),
    period: Annotated[Size, Query(description="how long a period is, where `by` has it")] = "month",
    tz: Annotated[str, Query(max_length=100, description="whose days; an IANA zone")] = "UTC",
    tier: _Texts = (),
    service: _Texts = (),
    customer: _Texts = (),
    policy: _Texts = (),
    priority: Annotated[Sequence[Annotated[int, Query(ge=1, le=5)]], Query(max_length=5)] = (),
) -> _Asked:
    only = {"tier": tier, "service": service, "customer": customer, "policy": policy}
    return _Asked(begins, ends, by, period, tz, only, priority)


def _asked_for_response(
    asked: Annotated[_Asked, Depends(_asked)],
    acknowledged_by: Annotated[
        Whose, Query(description="whose acknowledgement counts: a person's, or a machine's too")
    ] = "person",
) -> _Asked:
    return replace(asked, acknowledged_by=acknowledged_by)


def reports(engine: Engine, access: Access) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=Route)
    teller = _Teller(engine, asyncio.Semaphore(_AT_ONCE))
    for name, summary, whole, item, report in (
        ("sla", "What was promised, and kept: an item a target", SlaReport, SlaItem, report_queries.sla),
        (
            "response",
            "How fast and how well incidents were taken and solved",
            ResponseReport,
            ResponseItem,
            report_queries.response,
        ),
        ("levels", "Where incidents were solved, and how long each level held them", LevelReport, LevelItem,
         report_queries.levels),
    ):  # fmt: skip
        asked = _asked_for_response if report is report_queries.response else _asked
        _add(router, access, teller, _Kind(name, summary, whole, item, report, asked))
    return router


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    summary: str
    whole: Any
    item: Any
    report: Report
    asked: Callable[..., _Asked]


@dataclass(frozen=True, slots=True)
class _Teller:
    engine: Engine
    turns: asyncio.Semaphore

    async def tell(self, kind: _Kind, question: Question) -> list[Any]:
        """The report's items in order."""
        reading = self.engine.database.reading
        async with self.turns, reading.transaction(_NARROWER, report=True) as connection:
            told = await kind.report(connection, question)
            placed = await reading.made(told.rows, lambda row: (told.place(row), row))
        if len(placed) > report_queries.MOST_ITEMS:
            raise _invalid("query", f"it has more than {report_queries.MOST_ITEMS} items: {_NARROWER}")
        runs = [placed[start : start + _RUN] for start in range(0, len(placed), _RUN)]
        merged = heapq.merge(*await reading.made(runs, sorted))
        return await reading.made(merged, lambda each: kind.item(**_fields(told.item(each[1]))))


def _add(router: APIRouter, access: Access, teller: _Teller, kind: _Kind) -> None:
    responses = answers(kind.whole, "By groups, in their order. As `text/csv` the same with a header line.")
    responses[200]["content"][CSV] = {"schema": {"type": "string"}}

    @router.get(
        f"/{kind.name}",
        operation_id=f"report_{kind.name}",
        summary=kind.summary,
        response_class=Response,
        responses=responses,
    )
    async def told(
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        asked: Annotated[_Asked, Depends(kind.asked)],
        accept: Annotated[str, Header(max_length=500, include_in_schema=False)] = "",
    ) -> Response:
        question = _question(asked, caller.now)
        items, reading = await teller.tell(kind, question), teller.engine.database.reading
        if CSV in accept.lower():
            named = f'attachment; filename="ladder-{kind.name}.csv"'
            body = await reading.result(as_csv(kind.item, question.by, items))
            return Response(body, media_type=CSV, headers={"Content-Disposition": named})
        return answer(kind.whole(items=await reading.made(items, as_json)))


def _question(asked: _Asked, now: datetime) -> Question:
    by = _groups(asked.by)
    try:
        zone = ZoneInfo(asked.tz)
    except (KeyError, ValueError, OSError) as err:  # not found; not a name; a folder
        if is_scarcity(err):
            raise
        raise _invalid("query:tz", f"no time zone is called {asked.tz!r}") from err
    try:
        until = _moment(asked.ends, zone) or now
        since = _moment(asked.begins, zone) or until - _LAST
        told = _periods(by, since, until, asked.period, zone)
    except (OverflowError, ValueError) as err:
        raise _invalid("query:from", "too far away to tell") from err
    if since >= until:
        raise _invalid("query:from", "it must be earlier than `to`")
    if told is None:
        raise _invalid(
            "query:period", f"more than {_MOST_PERIODS} periods: ask for longer ones or a shorter time"
        )
    return Question(since, until, by, told, asked.only, asked.priority, asked.acknowledged_by)


def _groups(said: Sequence[str]) -> Sequence[Group]:
    names = dict.fromkeys(name.strip() for each in said for name in each.split(",") if name.strip())
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise _invalid("query:by", f"nothing groups by {unknown[0]!r}; known: {', '.join(GROUPS)}")
    return [group for group in GROUPS if group in names]


def _periods(
    by: Sequence[Group], since: datetime, until: datetime, size: Size, zone: ZoneInfo
) -> Sequence[Period] | None:
    return periods(since, until, size, zone, _MOST_PERIODS) if "period" in by else ()


def _moment(said: MomentOrDay | None, zone: ZoneInfo) -> datetime | None:
    """The time in UTC; a date is its midnight in the zone."""
    if said is None:
        return None
    if not isinstance(said, datetime):
        said = midnight(said, zone.key)
    return said.astimezone(UTC)


def _fields(row: Row) -> Row:
    return {name: _shown(value) for name, value in row.items()}


def _shown(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) and value > 1 else value


def as_csv(item: type[Grouped], by: Sequence[str], items: Sequence[Grouped]) -> Generator[None, None, str]:
    """A header and a line per item (RFC 4180). A text that a spreadsheet would evaluate begins with `'`."""
    columns = [name for name in item.__struct_fields__ if name not in GROUPS or name in by]
    if item is LevelItem and "policy" not in columns:
        columns.insert(columns.index("level"), "policy")
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(columns)
    for each in items:
        lines.writerow([_cell(getattr(each, name)) for name in columns])
        yield
    return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None or value is msgspec.UNSET else value


def _invalid(where: str, why: str) -> Problem:
    return Problem(422, "invalid-request", "The request is not valid", faults=[Fault(where, why)])
