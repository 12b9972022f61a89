"""When something is open (a calendar, windows), and how much open time lies between two moments.

What opens on a day is said by the plans of openings.py; openings that overlap count once. It stands in
tables, one a year of UTC, made when a moment of that year is first asked about; after that an answer costs
two binary searches, however far apart the moments are. Moments are aware; results are in UTC and exact to
the microsecond.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

from shared.policy.calendars.openings import Plan, plan_of, plan_of_calendar
from shared.policy.model.calendar_names import ALWAYS
from shared.policy.model.people import Calendar, DayWindow

YEARS_AHEAD: Final = 10  # a calendar that does not open for this long counts as never open again
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_SECOND: Final = 1_000_000
_DAY: Final = timedelta(days=1)
_FIRST_YEAR: Final = 10  # before it and beyond the last, moments cannot be added to
_LAST_YEAR: Final = 9990
_YEARS_KEPT: Final = 64  # of each; about 10 kB a year and window of every day


def _ticks(at: datetime) -> int:
    return (at - _EPOCH) // _TICK


def _moment(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ticks)


@lru_cache(maxsize=2048)  # goals and shares of them: few, and asked for in every decision
def _span(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


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
        """The first moment at which this many seconds of open time have passed since `start`."""
        try:
            return start + _span(seconds)
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


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in which it is open, or closed, throughout. Times in UTC."""

    is_open: bool
    begins: datetime
    ends: datetime


class BusinessHours:
    """What a plan opens and closes."""

    def __init__(self, plan: Plan) -> None:
        self._plan: Final = plan
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
        """The first moment at which this many seconds of open time have passed since `start`.

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

    def spell(self, at: datetime) -> Spell:
        """Whether it is open at this moment, since when and until when.

        A spell that reaches further than the years beside this one is cut at their ends; ask again then.
        """
        number, ticks = _year_of(at), _ticks(at)
        year = self._of(number)
        index = bisect_right(year.starts, ticks) - 1
        if index >= 0 and ticks < year.ends[index]:
            return self._open_spell(number, year.starts[index], year.ends[index])
        begins = year.ends[index] if index >= 0 else self._last_end(number - 1)
        following = index + 1 < len(year.starts)
        ends = year.starts[index + 1] if following else self._first_start(number + 1)
        return Spell(False, _moment(begins), _moment(ends))

    def _open_spell(self, number: int, begins: int, ends: int) -> Spell:
        if begins == _ticks(_new_year(number)):
            last = self._of(number - 1)
            begins = last.starts[-1] if last.ends and last.ends[-1] == begins else begins
        if ends == _ticks(_new_year(number + 1)):
            following = self._of(number + 1)
            ends = following.ends[0] if following.starts and following.starts[0] == ends else ends
        return Spell(True, _moment(begins), _moment(ends))

    def _last_end(self, number: int) -> int:
        ends = self._of(number).ends
        return ends[-1] if ends else _ticks(_new_year(number))

    def _first_start(self, number: int) -> int:
        starts = self._of(number).starts
        return starts[0] if starts else _ticks(_new_year(number + 1))

    def openings(self, number: int) -> Iterator[tuple[datetime, datetime]]:
        """From when until when it is open, in one year of UTC; cut at the year's ends."""
        year = self._of(number)
        return ((_moment(start), _moment(end)) for start, end in zip(year.starts, year.ends, strict=True))

    def _at(self, at: datetime) -> tuple[_Year, int]:
        return self._of(_year_of(at)), _ticks(at)

    def _ahead(self, at: datetime) -> range:
        first = _year_of(at)
        return range(first, min(first + YEARS_AHEAD, _LAST_YEAR) + 1)

    def _of(self, number: int) -> _Year:
        year = self._years.get(number)
        if year is None:
            if len(self._years) >= _YEARS_KEPT:
                self._years.clear()
            year = self._years[number] = self._made(number)
        return year

    def _made(self, number: int) -> _Year:
        begin, end = _ticks(_new_year(number)), _ticks(_new_year(number + 1))
        starts, ends, before, total = array("q"), array("q"), array("q"), 0
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

    def _openings(self, number: int) -> Iterator[tuple[int, int]]:
        """Every opening that may reach into the year, in ticks, as it comes."""
        for day in _days(date(number, 1, 1) - 3 * _DAY, date(number + 1, 1, 1) + 2 * _DAY):
            for opens, closes in self._plan.on(day):
                yield _ticks(opens), _ticks(closes)


Hours: TypeAlias = AlwaysOpen | BusinessHours
Calendars: TypeAlias = Mapping[str, Hours]
ALWAYS_OPEN: Final = AlwaysOpen()


def hours_of(calendar: Calendar) -> BusinessHours:
    """The hours of a calendar, with its tables, shared by all policies that have the same one."""
    return _hours_by(plan_of_calendar(calendar))


@lru_cache(maxsize=2048)
def window_hours(windows: tuple[DayWindow, ...], timezone: str) -> BusinessHours:
    """Windows as hours; `timezone` where a window names none."""
    return _hours_by(plan_of(windows, timezone))


@lru_cache(maxsize=2048)
def _hours_by(plan: Plan) -> BusinessHours:
    return BusinessHours(plan)


def calendars_of(calendars: Mapping[str, Calendar]) -> Calendars:
    """The hours of a bundle's calendars by name, `always` among them."""
    return {ALWAYS: ALWAYS_OPEN, **{name: hours_of(calendar) for name, calendar in calendars.items()}}


def named(calendars: Calendars, name: str) -> Hours:
    """The hours of this name. A calendar that is known no more counts as open: promises get no laxer."""
    return calendars.get(name, ALWAYS_OPEN)


def _new_year(number: int) -> datetime:
    return datetime(number, 1, 1, tzinfo=UTC)


def _year_of(at: datetime) -> int:
    return max(_FIRST_YEAR, min((at if at.tzinfo is UTC else at.astimezone(UTC)).year, _LAST_YEAR))


def _days(first: date, last: date) -> Iterable[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
