"""What opens on a day: windows, calendars with their exceptions, and the calendars that windows name.

Everything is made of *plans*, which say for a local date what opens on it and when that closes: layers,
suppressions, maintenance, quiet hours and calendars alike. `days`, holidays and days with hours of their own
go by the date on which a window starts, in the window's zone: the night that began the evening before goes
on into a holiday. Times of day are those of shared.policy.calendars.wall_clock.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, TypeAlias

from shared.policy.calendars.wall_clock import instant
from shared.policy.model.calendar_names import ALWAYS
from shared.policy.model.people import Calendar, DayWindow, Holidays, Window
from shared.policy.model.windows import Yearly

Opening: TypeAlias = tuple[datetime, datetime]
_EVERY_DAY: Final = frozenset(range(7))
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """One window: minutes after midnight, on days of the week (Monday is 0), in a zone."""

    days: frozenset[int]
    begins: int
    ends: int
    zone: str

    def on(self, day: date) -> Iterator[Opening]:
        """From when until when (UTC) it is open, having started on this day.

        One that ends at or before the time at which it starts ends on the next day. Where the clocks skip the
        whole of it, it does not happen.
        """
        if day.weekday() not in self.days:
            return
        midnight = datetime.combine(day, time.min)
        last = midnight + _DAY if self.ends <= self.begins else midnight
        opens = instant(midnight + timedelta(minutes=self.begins), self.zone)
        closes = instant(last + timedelta(minutes=self.ends), self.zone)
        if opens < closes:
            yield opens, closes


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows and calendars together; of a calendar also its exceptions."""

    parts: "tuple[Span | Plan, ...]"
    exceptions: "Exceptions | None" = None

    def on(self, day: date) -> Iterator[Opening]:
        """What opens on this day, as it comes."""
        for part in self.parts if self.exceptions is None else self.exceptions.on(day, self.parts):
            yield from part.on(day)


@dataclass(frozen=True, slots=True)
class Exceptions:
    """A calendar's holidays, and the days that have hours of their own."""

    country: str | None
    subdivision: str | None
    add: frozenset[date | Yearly]
    remove: frozenset[date | Yearly]
    hours: tuple[tuple[date | Yearly, tuple[Span | Plan, ...]], ...]

    def on(self, day: date, ordinary: Sequence[Span | Plan]) -> Sequence[Span | Plan]:
        """What counts on this day, where `ordinary` does on others.

        A day with hours of its own has those; a date comes before a yearly one. Otherwise a holiday has none.
        """
        if self.hours:
            own = _by_day(self.hours)
            special = own.get(day, own.get(Yearly.of(day)))
            if special is not None:
                return special
        return () if self._is_free(day) else ordinary

    def _is_free(self, day: date) -> bool:
        for each in (day, Yearly.of(day)):
            if each in self.add:
                return True
            if each in self.remove:
                return False
        return self.country is not None and day in _public(self.country, self.subdivision)


@lru_cache(maxsize=512)
def _by_day(
    hours: tuple[tuple[date | Yearly, tuple[Span | Plan, ...]], ...],
) -> Mapping[date | Yearly, tuple[Span | Plan, ...]]:
    return dict(hours)


@lru_cache(maxsize=512)
def _public(country: str, subdivision: str | None) -> Any:
    import holidays  # noqa: PLC0415 - only bundles with public holidays need it

    return holidays.country_holidays(country, subdiv=subdivision)


_ALWAYS_OPEN: Final = Span(_EVERY_DAY, 0, 1440, "UTC")


def plan_of(windows: Iterable[DayWindow], zone: str) -> Plan:
    """Of windows that live in this zone where they name none. A calendar that is not known never opens."""
    return Plan(tuple(part for window in windows for part in _parts(window, zone)))


def plan_of_calendar(calendar: Calendar) -> Plan:
    """Of a calendar, with its exceptions."""
    return Plan(plan_of(calendar.hours, calendar.timezone).parts, _exceptions(calendar))


def _parts(window: DayWindow, zone: str) -> Iterator[Span | Plan]:
    if window.calendar is None:
        days = window.days if isinstance(window, Window) else _EVERY_DAY
        yield Span(days, window.from_, window.to, window.timezone or zone)
    elif window.calendar == ALWAYS:
        yield _ALWAYS_OPEN
    elif window.means is not None:
        yield plan_of_calendar(window.means)


def _exceptions(calendar: Calendar) -> Exceptions | None:
    of = calendar.holidays
    if of == Holidays():
        return None
    hours = tuple((day, plan_of(own, calendar.timezone).parts) for day, own in of.hours.items())
    return Exceptions(of.country, of.subdivision, frozenset(of.add), frozenset(of.remove), hours)


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
