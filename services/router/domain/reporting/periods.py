"""Calendar periods of a report: local days, weeks from Monday, months, across daylight saving."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from shared.policy.calendars.wall_clock import instant

Size: TypeAlias = Literal["day", "week", "month"]


class Period(msgspec.Struct, frozen=True):
    """One period: the local date on which it begins, and that midnight in UTC."""

    day: date
    begins: datetime


def periods(
    since: datetime, until: datetime, size: Size, zone: ZoneInfo, most: int
) -> Sequence[Period] | None:
    """The periods that meet [since, until), in order; None when there are more than `most`.

    A midnight that the clocks skip is the moment after the gap: shared.policy.calendars.wall_clock.
    """
    made: list[Period] = []
    day = _first(since.astimezone(zone).date(), size)
    while (begins := midnight(day, zone.key)) < until:
        if len(made) == most:
            return None
        made.append(Period(day, begins))
        day = _next(day, size)
    return made


def midnight(day: date, zone: str) -> datetime:
    """When a local day begins, in UTC."""
    return instant(datetime.combine(day, time.min), zone)


def _first(day: date, size: Size) -> date:
    match size:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)


def _next(day: date, size: Size) -> date:
    match size:
        case "day":
            return day + timedelta(days=1)
        case "week":
            return day + timedelta(days=7)
        case "month":
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
