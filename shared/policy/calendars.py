"""Business hours: when a calendar is open, how much open time lies between two moments, when it has passed.

A window opens and closes at times of the wall clock: a time that the clocks skip means the moment they are
changed, one that comes twice means the first time. Windows that overlap count once; one whose `to` is not
later than its `from` ends on the next day. A holiday closes the windows that start on it: the night shift
that began the evening before goes on.

All of it stands in tables, one a year of UTC, made when a moment of that year is first asked about; after
that an answer costs two binary searches, however far apart the moments are. Moments are aware; results are
in UTC and exact to the microsecond.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from shared.policy.names import ALWAYS
from shared.policy.people import Calendar, Holidays, Window

YEARS_AHEAD: Final = 10  # a calendar that does not open in so many years is never open again
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_SECOND: Final = 1_000_000
_DAY: Final = timedelta(days=1)
_LAST_YEAR: Final = 9990  # beyond it, moments cannot be added to


def _ticks(at: datetime) -> int:
    return (at - _EPOCH) // _TICK


def _moment(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ticks)


class AlwaysOpen:
    """The calendar `always`."""

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at this moment."""
        del at
        return True

    def elapsed(self, start: datetime, end: datetime) -> float:
        """Seconds of open time from `start` to `end`; 0 when `end` is not later."""
        return max(0.0, (end - start).total_seconds())

    def after(self, start: datetime, seconds: float) -> datetime | None:
        """The first moment at which so many seconds of open time have passed since `start`."""
        try:
            return start + timedelta(seconds=seconds)
        except OverflowError:
            return None

    def next_open(self, at: datetime) -> datetime | None:
        """`at` itself where it is open, otherwise when it opens next; None: never again."""
        return at

    def next_close(self, at: datetime) -> datetime | None:
        """When it closes next; `at` itself where it is closed; None: never."""
        del at
        return None


@dataclass(frozen=True, slots=True)
class _Year:
    """When it is open in one year: stretches in ticks, merged; `before`: what was open before each."""

    starts: Sequence[int]
    ends: Sequence[int]
    before: Sequence[int]
    total: int

    def until(self, ticks: int) -> int:
        """How much of the year's open time lies before this moment of it."""
        index = bisect_right(self.starts, ticks) - 1
        if index < 0:
            return 0
        return self.before[index] + min(ticks, self.ends[index]) - self.starts[index]

    def when(self, opened: int) -> int:
        """The first moment before which so much open time (more than 0, at most `total`) lies."""
        index = bisect_left(self.before, opened) - 1
        return self.starts[index] + opened - self.before[index]


class BusinessHours:
    """Windows that come again each week, except on holidays."""

    def __init__(self, timezone: str, windows: Sequence[Window], holidays: Holidays | None = None) -> None:
        self._windows = [(window, ZoneInfo(window.timezone or timezone)) for window in windows]
        self._free: Final = _FreeDays(holidays) if holidays is not None else None
        self._years: dict[int, _Year] = {}

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at this moment."""
        year, ticks = self._at(at)
        index = bisect_right(year.starts, ticks) - 1
        return index >= 0 and ticks < year.ends[index]

    def elapsed(self, start: datetime, end: datetime) -> float:
        """Seconds of open time from `start` to `end`; 0 when `end` is not later."""
        if end <= start:
            return 0.0
        first, last = _year_of(start), _year_of(end)
        opened = self._of(last).until(_ticks(end)) - self._of(first).until(_ticks(start))
        opened += sum(self._of(year).total for year in range(first, last))
        return opened / _SECOND

    def after(self, start: datetime, seconds: float) -> datetime | None:
        """The first moment at which so many seconds of open time have passed since `start`.

        `start` itself for none; None when that is more than it opens in the next 10 years.
        """
        wanted = round(seconds * _SECOND)
        if wanted <= 0:
            return start
        year, first = self._at(start)
        wanted += year.until(first)
        for number in self._ahead(start):
            year = self._of(number)
            if wanted <= year.total:
                return _moment(year.when(wanted))
            wanted -= year.total
        return None

    def next_open(self, at: datetime) -> datetime | None:
        """`at` itself where it is open, otherwise when it opens next; None: not in the next 10 years."""
        if self.is_open(at):
            return at
        ticks = _ticks(at)
        for number in self._ahead(at):
            starts = self._of(number).starts
            index = bisect_right(starts, ticks)
            if index < len(starts):
                return _moment(starts[index])
        return None

    def next_close(self, at: datetime) -> datetime | None:
        """When it closes next; `at` itself where it is closed; None: not in the next 10 years."""
        if not self.is_open(at):
            return at
        ticks = _ticks(at)
        for number in self._ahead(at):
            year = self._of(number)
            index = bisect_right(year.starts, ticks) - 1
            if index < 0 or ticks >= year.ends[index]:
                return _moment(ticks)  # the year before ended open, this one begins closed
            ticks = year.ends[index]
            if ticks < _ticks(_new_year(number + 1)):
                return _moment(ticks)
        return None

    def _at(self, at: datetime) -> tuple[_Year, int]:
        return self._of(_year_of(at)), _ticks(at)

    def _ahead(self, at: datetime) -> range:
        first = _year_of(at)
        return range(first, min(first + YEARS_AHEAD, _LAST_YEAR) + 1)

    def _of(self, number: int) -> _Year:
        year = self._years.get(number)
        if year is None:
            year = self._years[number] = self._made(number)
        return year

    def _made(self, number: int) -> _Year:
        begin, end = _ticks(_new_year(number)), _ticks(_new_year(number + 1))
        starts, ends, before, total = list[int](), list[int](), list[int](), 0
        for opens, closes in sorted(self._openings(number)):
            start, stop = max(opens, begin), min(closes, end)
            if ends and start <= ends[-1]:
                start = ends[-1]
            if stop <= start:
                continue
            if ends and start == ends[-1]:
                ends[-1] = stop
            else:
                starts.append(start)
                ends.append(stop)
                before.append(total)
            total += stop - start
        return _Year(starts, ends, before, total)

    def _openings(self, number: int) -> Iterable[tuple[int, int]]:
        """Every window that may reach into the year, in ticks, as it comes."""
        for window, zone in self._windows:
            night = window.to <= window.from_
            for day in _days(date(number, 1, 1) - 3 * _DAY, date(number + 1, 1, 1) + 2 * _DAY):
                if day.weekday() in window.days and (self._free is None or day not in self._free):
                    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - of the wall clock
                    closes = midnight + _DAY if night else midnight
                    yield (
                        _instant(midnight + timedelta(minutes=window.from_), zone),
                        _instant(closes + timedelta(minutes=window.to), zone),
                    )


Hours: TypeAlias = AlwaysOpen | BusinessHours
Calendars: TypeAlias = Mapping[str, Hours]
ALWAYS_OPEN: Final = AlwaysOpen()


@lru_cache(maxsize=512)
def hours_of(calendar: Calendar) -> BusinessHours:
    """The hours of a calendar, with its tables, shared by all policies that have the same one."""
    return BusinessHours(calendar.timezone, calendar.hours, calendar.holidays)


@lru_cache(maxsize=512)
def window_hours(window: Window, timezone: str) -> BusinessHours:
    """One window as hours; `timezone` where the window names none."""
    return BusinessHours(timezone, (window,))


def calendars_of(calendars: Mapping[str, Calendar]) -> Calendars:
    """The hours of a bundle's calendars by name, `always` among them."""
    return {ALWAYS: ALWAYS_OPEN, **{name: hours_of(calendar) for name, calendar in calendars.items()}}


def named(calendars: Calendars, name: str) -> Hours:
    """The hours of this name. A calendar that is known no more counts as open: promises get no laxer."""
    return calendars.get(name, ALWAYS_OPEN)


def unknown_holidays(holidays: Holidays) -> tuple[str, str, Iterable[str]] | None:
    """What nobody knows of these: `country` or `subdivision`, what was said, what is known."""
    import holidays as library  # noqa: PLC0415 - only bundles with public holidays need it

    if holidays.country is None:
        return None if holidays.subdivision is None else ("country", "", ())
    known = library.list_supported_countries(include_aliases=True)
    if holidays.country not in known:
        return "country", holidays.country, known
    if holidays.subdivision is not None and holidays.subdivision not in known[holidays.country]:
        return "subdivision", holidays.subdivision, known[holidays.country]
    return None


class _FreeDays:
    """Public holidays, with days added and taken away."""

    def __init__(self, spec: Holidays) -> None:
        self._added: Final = frozenset(spec.add)
        self._removed: Final = frozenset(spec.remove)
        self._public: Any = None
        if spec.country is not None:
            import holidays  # noqa: PLC0415 - only bundles with public holidays need it

            self._public = holidays.country_holidays(spec.country, subdiv=spec.subdivision)

    def __contains__(self, day: date) -> bool:
        if day in self._added:
            return True
        return self._public is not None and day not in self._removed and day in self._public


def _new_year(number: int) -> datetime:
    return datetime(number, 1, 1, tzinfo=UTC)


def _year_of(at: datetime) -> int:
    return min((at if at.tzinfo is UTC else at.astimezone(UTC)).year, _LAST_YEAR)


def _days(first: date, last: date) -> Iterable[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _instant(wall: datetime, zone: ZoneInfo) -> int:
    """When the wall clock first shows this time or a later one, in ticks."""
    early, late = wall.replace(tzinfo=zone), wall.replace(tzinfo=zone, fold=1)
    before, after = early.utcoffset(), late.utcoffset()
    assert before is not None
    assert after is not None
    if before >= after:  # an ordinary time, or one that comes twice
        return _ticks(early)
    return _change(_ticks(late), _ticks(early), before, zone)


def _change(low: int, high: int, before: timedelta, zone: ZoneInfo) -> int:
    """The moment, to the second, at which the zone's offset is no longer `before`."""
    while high - low > _SECOND:
        middle = (low + high) // 2 // _SECOND * _SECOND
        if _moment(middle).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
