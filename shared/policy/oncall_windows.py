"""When a window is open, and until when: `{days: mon-fri, from: "20:00", to: "08:00", timezone: …}`.

`days` names the day on which a window starts. One that ends at or before the time at which it starts goes
over midnight. Its times are wall-clock times by the rules of shared.policy.oncall_turns; where the clocks
skip the whole of it, it does not happen that day.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from shared.policy.oncall_turns import instant, zone_of
from shared.policy.people import Window

_DAY: Final = 1440
_FURTHEST: Final = 9  # days looked at either way: every window that ever opens does so within a week


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in which the window is open, or closed throughout. Times in UTC."""

    is_open: bool
    begins: datetime
    ends: datetime


def spell_at(window: Window, zone: str, at: datetime) -> Spell:
    """Whether the window is open at this moment (aware), since when and until when.

    `zone` is where the window lives when it names no zone of its own. Where more than nine days are alike
    the spell is cut there; ask again then.
    """
    zone = window.timezone or zone
    here = at.astimezone(zone_of(zone)).toordinal()
    spans = [span for day in (here - 1, here) if (span := _on(window, zone, day)) is not None]
    for begins, ends in spans:
        if begins <= at < ends:
            return Spell(
                True, _back(window, zone, begins, here - 1), _forth(window, zone, ends, here - 1)
            )  # fmt: skip
    return _closed(window, zone, at, here)


def _on(window: Window, zone: str, day: int) -> tuple[datetime, datetime] | None:
    """The window that starts on this day (an ordinal), unless it does not start then or is skipped."""
    if (day + 6) % 7 not in window.days:  # ordinal 1 was a Monday
        return None
    begins, ends = _span(window.from_, window.to, zone, day)
    return (begins, ends) if begins < ends else None


@lru_cache(maxsize=8192)
def _span(start: int, end: int, zone: str, day: int) -> tuple[datetime, datetime]:
    midnight = datetime.combine(date.fromordinal(day), time())
    length = end if end > start else end + _DAY
    return instant(midnight + timedelta(minutes=start), zone), instant(
        midnight + timedelta(minutes=length), zone
    )


def _back(window: Window, zone: str, begins: datetime, day: int) -> datetime:
    """Where windows that touch began."""
    for earlier in range(day, day - _FURTHEST, -1):
        span = _on(window, zone, earlier)
        if span is not None and span[1] >= begins:
            begins = min(begins, span[0])
    return begins


def _forth(window: Window, zone: str, ends: datetime, day: int) -> datetime:
    """Where windows that touch end."""
    for later in range(day, day + _FURTHEST):
        span = _on(window, zone, later)
        if span is not None and span[0] <= ends:
            ends = max(ends, span[1])
    return ends


def _closed(window: Window, zone: str, at: datetime, here: int) -> Spell:
    ahead = (span for day in range(here - 1, here + _FURTHEST) if (span := _on(window, zone, day)))
    behind = (span for day in range(here + 1, here - _FURTHEST, -1) if (span := _on(window, zone, day)))
    ends = next((begins for begins, _ in ahead if begins > at), at + timedelta(days=_FURTHEST))
    begins = next((over for _, over in behind if over <= at), at - timedelta(days=_FURTHEST))
    return Spell(False, begins.astimezone(UTC), ends.astimezone(UTC))
