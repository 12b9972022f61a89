"""Durations, shares and rates as a bundle writes them: `30s 5m 4h 2d 1w 1h30m`, `50%`, `100/s`.

The parsers raise ValueError whose text says what was expected; what was found is the caller's to add.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

DURATION_PATTERN: Final = r"^(?=\d)(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?$"
PERCENT_PATTERN: Final = r"^\d+(?:\.\d+)?%$"
LONGEST: Final = timedelta(days=3660)
_DURATION: Final = re.compile(r"(?=\d)(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_UNITS: Final = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_EXPECTED: Final = "a duration such as 30s, 5m, 1h30m, 2d or 1w"


def parse_duration(written: Any) -> timedelta:
    """A duration of whole seconds, at most ten years. Days and weeks are 24 and 168 hours here."""
    if isinstance(written, timedelta):
        return written
    found = _DURATION.fullmatch(written) if isinstance(written, str) and len(written) < 64 else None
    if found is None:
        raise ValueError(_EXPECTED)
    seconds = sum(int(count or 0) * each for count, (_, each) in zip(found.groups(), _UNITS, strict=True))
    if seconds > LONGEST.total_seconds():
        raise ValueError("a duration of at most ten years")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """The shortest way to write it: `1h30m`, `1d`, `0s`."""
    left, parts = int(length.total_seconds()), []
    for unit, each in _UNITS:
        count, left = divmod(left, each)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _positive(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("a duration longer than nothing")
    return length


def parse_positive(written: Any) -> timedelta:
    """A duration that is not nothing."""
    return _positive(parse_duration(written))


def parse_percent(written: Any) -> float:
    """`50%` → 50.0."""
    if not isinstance(written, str) or not re.fullmatch(PERCENT_PATTERN[1:-1], written, re.ASCII):
        raise ValueError("a share such as 50%")
    return float(written[:-1])


def format_percent(share: float) -> str:
    return f"{share:g}%"


def _parse_warning(written: Any) -> float:
    share = parse_percent(written)
    if not 0 < share < 100:
        raise ValueError("a share above 0% and below 100%: a warning comes before the promise is broken")
    return share


_SCHEMA: Final = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["30s", "5m", "1h30m", "2d"]}

Duration = Annotated[
    timedelta,
    PlainValidator(parse_positive),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_SCHEMA),
]
DurationOrNone = Annotated[
    timedelta,
    PlainValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_SCHEMA),
]
WarningShare = Annotated[
    float,
    PlainValidator(_parse_warning),
    PlainSerializer(format_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN, "examples": ["50%"]}),
]


@dataclass(frozen=True, slots=True)
class AtShare:
    """A share of the clock of one SLA target: `50% of resolve`."""

    percent: float
    target: str

    def __str__(self) -> str:
        return f"{format_percent(self.percent)} of {self.target}"


SLA_TARGETS: Final = ("acknowledge", "respond", "update", "resolve", "close")
_SHARE: Final = re.compile(rf"(\d+(?:\.\d+)?)% of ({'|'.join(SLA_TARGETS)})", re.ASCII)


def parse_share(written: Any) -> AtShare:
    """`80% of resolve` → AtShare(80.0, "resolve")."""
    if isinstance(written, AtShare):
        return written
    found = _SHARE.fullmatch(written) if isinstance(written, str) else None
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"a share of a clock such as '80% of resolve' (one of {', '.join(SLA_TARGETS)})")
    return AtShare(float(found[1]), found[2])


ShareOfClock = Annotated[
    AtShare,
    PlainValidator(parse_share),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_SHARE.pattern}$", "examples": ["80% of resolve"]}),
]


@dataclass(frozen=True, slots=True)
class Shift:
    """How long one turn of a rotation lasts: whole local calendar days, or an absolute length of hours."""

    days: int = 0
    length: timedelta = timedelta(0)

    def __str__(self) -> str:
        return format_duration(timedelta(days=self.days) + self.length)


_SHIFT_EXPECTED: Final = "whole days or weeks (1d, 1w: local calendar days) or hours and minutes (8h, 90m)"


def parse_shift(written: Any) -> Shift:
    """`1w` → seven local calendar days; `24h` → 24 hours, daylight saving or not."""
    if isinstance(written, Shift):
        return written
    try:
        length = parse_positive(written)
    except ValueError:
        raise ValueError(_SHIFT_EXPECTED) from None
    if isinstance(written, timedelta) or not re.search("[wd]", written):
        if length < timedelta(minutes=1):
            raise ValueError("a shift of a minute or longer")
        return Shift(length=length)
    if re.search("[hms]", written):
        raise ValueError(_SHIFT_EXPECTED)
    return Shift(days=length.days)


def format_shift(shift: Shift) -> str:
    if shift.days:
        return f"{shift.days}d"
    seconds = int(shift.length.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if count)


ShiftLength = Annotated[
    Shift,
    PlainValidator(parse_shift),
    PlainSerializer(format_shift, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["1d", "1w", "8h"]}),
]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in `seconds`: `100/s`, `600/m`, `1000/h`."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count}/{({1: 's', 60: 'm', 3600: 'h'})[self.seconds]}"


_RATE: Final = re.compile(r"([1-9]\d{0,8})/([smh])", re.ASCII)


def parse_rate(written: Any) -> Rate:
    if isinstance(written, Rate):
        return written
    found = _RATE.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError("a rate such as 100/s, 600/m or 1000/h")
    return Rate(int(found[1]), {"s": 1, "m": 60, "h": 3600}[found[2]])


RateLimit = Annotated[
    Rate,
    PlainValidator(parse_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_RATE.pattern}$", "examples": ["100/s"]}),
]
