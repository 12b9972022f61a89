"""Which calendars the windows of a bundle name: each window is told its own when the bundle is made."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from shared.policy.model.people import Calendar, DayWindow

ALWAYS: Final = "always"  # the calendar that exists by itself


def bind(windows: Iterable[DayWindow], calendars: Mapping[str, Calendar]) -> None:
    """Tell windows which calendars they name."""
    for window in windows:
        if window.calendar is not None:
            window.bind(calendars.get(window.calendar))


def bind_calendars(calendars: Mapping[str, Calendar]) -> None:
    """Tell the windows of calendars which others they name. What leads in a circle means nothing."""
    for name, calendar in calendars.items():
        for window in windows_in(calendar):
            if window.calendar is not None and not _leads_to(window.calendar, name, calendars):
                window.bind(calendars.get(window.calendar))


def windows_in(calendar: Calendar) -> Iterator[DayWindow]:
    """Every window of a calendar, those of single days among them."""
    yield from calendar.hours
    for own in calendar.holidays.hours.values():
        yield from own


def circle_of(name: str, calendars: Mapping[str, Calendar]) -> list[str]:
    """The calendars by which this one's hours are its own; empty where they are not."""
    ways, waiting = {name: [name]}, [name]
    for each in waiting:  # it grows while it is read
        for window in windows_in(calendars[each]) if each in calendars else ():
            if window.calendar == name:
                return [*ways[each], name]
            if window.calendar is not None and window.calendar not in ways:
                ways[window.calendar] = [*ways[each], window.calendar]
                waiting.append(window.calendar)
    return []


def _leads_to(start: str, end: str, calendars: Mapping[str, Calendar]) -> bool:
    seen, waiting = {start}, [start]
    for each in waiting:  # it grows while it is read
        if each == end:
            return True
        for window in windows_in(calendars[each]) if each in calendars else ():
            if window.calendar is not None and window.calendar not in seen:
                seen.add(window.calendar)
                waiting.append(window.calendar)
    return False
