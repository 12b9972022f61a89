"""Times of day, days of the week, dates and zones, as a bundle writes them."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from shared.errors.scarcity import is_scarcity

DAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_PATTERN: Final = (
    f"^(?:{'|'.join(DAY_NAMES)})(?:-(?:{'|'.join(DAY_NAMES)}))?"
    f"(?:, ?(?:{'|'.join(DAY_NAMES)})(?:-(?:{'|'.join(DAY_NAMES)}))?)*$"
)
_DAYS_EXPECTED: Final = "days such as mon-fri, sat or 'mon, wed, fri'"


def _range(written: str) -> frozenset[int]:
    first, dash, last = written.strip().partition("-")
    if first not in DAY_NAMES or (dash and last not in DAY_NAMES):
        raise ValueError(_DAYS_EXPECTED)
    start, end = DAY_NAMES.index(first), DAY_NAMES.index(last or first)
    return frozenset((start + step) % 7 for step in range((end - start) % 7 + 1))


def parse_days(written: Any) -> frozenset[int]:
    """`mon-fri`, `fri-mon`, `sat, sun` or a list of such → weekday numbers, Monday is 0."""
    if isinstance(written, frozenset):
        return written
    parts = written.split(",") if isinstance(written, str) else written
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(part, str) for part in parts):
        raise ValueError(_DAYS_EXPECTED)
    return frozenset().union(*(_range(part) for part in parts))


def format_days(days: frozenset[int]) -> str:
    return ",".join(DAY_NAMES[day] for day in sorted(days))


def parse_time(written: Any) -> int:
    """`"08:30"` → 510 minutes after midnight; `"24:00"` is the end of the day."""
    found = re.fullmatch(r"(\d\d):(\d\d)", written, re.ASCII) if isinstance(written, str) else None
    if found is None or int(found[2]) > 59 or int(found[1]) * 60 + int(found[2]) > 1440:
        raise ValueError('a time of day between "00:00" and "24:00", in quotes')
    return int(found[1]) * 60 + int(found[2])


def format_time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def parse_zone(written: Any) -> str:
    """The name of an IANA time zone, as it is."""
    expected = "an IANA time zone such as Europe/Prague or UTC"
    if not isinstance(written, str) or not re.fullmatch(r"[A-Za-z0-9_+\-/]{1,64}", written):
        raise ValueError(expected)
    try:
        ZoneInfo(written)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(expected) from None
    except OSError as err:
        if is_scarcity(err):
            raise
        raise ValueError(expected) from None
    return written


def parse_local(written: Any) -> datetime:
    """`2026-01-05T08:00` → a naive local time; the schedule's zone gives it its meaning."""
    if isinstance(written, datetime):
        moment = written
    else:
        expected = "a local date and time such as 2026-01-05T08:00, without an offset"
        try:
            moment = datetime.fromisoformat(written)
        except (TypeError, ValueError):
            raise ValueError(expected) from None
        if moment.tzinfo is not None:
            raise ValueError(expected)
    if not 1990 <= moment.year <= 2200:
        raise ValueError("a date between 1990 and 2200")
    return moment


def parse_instant(written: Any) -> datetime:
    """`2027-01-01` (midnight UTC) or `2027-01-01T12:00:00Z` → an aware time in UTC."""
    try:
        moment = written if isinstance(written, datetime) else datetime.fromisoformat(written)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a date such as 2027-01-01 or a time such as 2027-01-01T12:00:00Z") from None


def parse_date(written: Any) -> date:
    """`2026-12-24`."""
    if isinstance(written, date) and not isinstance(written, datetime):
        return written
    try:
        return date.fromisoformat(written)
    except (TypeError, ValueError):
        raise ValueError("a date such as 2026-12-24") from None


@dataclass(frozen=True, slots=True, order=True)
class Yearly:
    """A date that comes every year; 29 February comes in leap years only."""

    month: int
    day: int

    def __str__(self) -> str:
        return f"{self.month:02}-{self.day:02}"

    @classmethod
    def of(cls, day: date) -> "Yearly":
        """The yearly date that this day is."""
        return cls(day.month, day.day)


_YEARLY: Final = re.compile(r"(\d\d)-(\d\d)", re.ASCII)
_A_LEAP_YEAR: Final = 2000


def parse_day(written: Any) -> date | Yearly:
    """`2026-12-24` → that day; `12-24` → that day of every year."""
    if isinstance(written, Yearly):
        return written
    found = _YEARLY.fullmatch(written) if isinstance(written, str) else None
    try:
        if found is None:
            return parse_date(written)
        return Yearly.of(date(_A_LEAP_YEAR, int(found[1]), int(found[2])))
    except ValueError:
        raise ValueError('a date such as 2026-12-24, or "12-24" for every year') from None


Days = Annotated[
    frozenset[int],
    PlainValidator(parse_days),
    PlainSerializer(format_days, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _DAYS_PATTERN},
                {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": _DAYS_PATTERN}},
            ]
        }
    ),
]
TimeOfDay = Annotated[
    int,
    PlainValidator(parse_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$"}),
]
Zone = Annotated[str, PlainValidator(parse_zone), WithJsonSchema({"type": "string", "minLength": 1})]
LocalTime = Annotated[
    datetime,
    PlainValidator(parse_local),
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?$"}),
]
Instant = Annotated[
    datetime,
    PlainValidator(parse_instant),
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\d"}),
]
Day = Annotated[
    date | Yearly,
    PlainValidator(parse_day),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(?:\d{4}-)?\d\d-\d\d$"}),
]
