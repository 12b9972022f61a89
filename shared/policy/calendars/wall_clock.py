"""What a local time means: the one rule for times that the clocks skip or show twice.

A time that does not exist is the first one after the gap: the moment at which the clocks are changed. A time
that comes twice is the first of the two. Shifts, windows, calendars, holidays, the periods of reports, the
stamps of a replay and what somebody types at a terminal all go by it. It never turns two times round: of two
local times the later one is never the earlier moment.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_SECOND: Final = timedelta(seconds=1)


def instant(wall: datetime, zone: str | tzinfo) -> datetime:
    """When that zone's wall clock first shows this time (naive) or a later one. In UTC."""
    there = zone_of(zone) if isinstance(zone, str) else zone
    early, late = wall.replace(tzinfo=there, fold=0), wall.replace(tzinfo=there, fold=1)
    before, after = early.utcoffset(), late.utcoffset()
    assert before is not None
    assert after is not None
    if before >= after:  # an ordinary time, or one that comes twice
        return early.astimezone(UTC)
    return _change(late.astimezone(UTC), early.astimezone(UTC), before, there)


def _change(low: datetime, high: datetime, before: timedelta, zone: tzinfo) -> datetime:
    """The moment, to the second, at which the zone's offset is no longer `before`."""
    while high - low > _SECOND:
        middle = low + (high - low) // 2 // _SECOND * _SECOND
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def local(at: datetime, zone: str) -> str:
    """A time as people of that zone read it."""
    return f"{at.astimezone(zone_of(zone)):%Y-%m-%d %H:%M} {zone}"


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone by its IANA name."""
    return ZoneInfo(name)
