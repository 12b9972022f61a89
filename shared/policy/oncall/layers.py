"""Whom one layer names at a moment: its rotation, from `starts` until `ends`, where its windows are open.

With `count: open` a turn that falls wholly into closed time is not used up: whoever would have had it has the
next one. How many such turns there were is counted gap by gap, a year at a time, and kept.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from shared.policy.calendars.open_hours import BusinessHours, window_hours
from shared.policy.calendars.wall_clock import instant
from shared.policy.model.people import Layer
from shared.policy.oncall.rotation import nth_turn, turn_at

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_YEARS_COUNTED: Final = 50  # after a layer's start; later every turn is used up


@dataclass(frozen=True, slots=True)
class LayerShift:
    """A stretch of time in which a layer names one person (None: nobody). Times in UTC.

    `number` counts the turns that are used up, from 0 at the layer's start.
    """

    user: str | None
    begins: datetime
    ends: datetime
    number: int = 0


def layer_at(layer: Layer, zone: str, at: datetime) -> LayerShift:
    """Whom it names at this moment (aware), since when and until when. `zone` is the schedule's.

    Where nothing changes for more than a year the stretch is cut; ask again then.
    """
    turn, over = turn_at(layer, zone, at), ends_at(layer, zone)
    if turn is None:
        return LayerShift(None, EARLIEST, instant(layer.starts, zone))
    if over is not None and at >= over:
        return LayerShift(None, over, datetime(at.astimezone(UTC).year + 2, 1, 1, tzinfo=UTC))
    begins, ends = turn.begins, turn.ends if over is None else min(turn.ends, over)
    if layer.only is None:
        return LayerShift(turn.user, begins, ends, turn.number)
    spell = window_hours(layer.only, zone).spell(at)
    if not spell.is_open:
        return LayerShift(None, spell.begins, spell.ends if over is None else min(spell.ends, over))
    begins, ends = max(begins, spell.begins), min(ends, spell.ends)
    if layer.count == "all":
        return LayerShift(turn.user, begins, ends, turn.number)
    used = turn.number - _left_out(layer, zone).before(at)
    return LayerShift(layer.rotation[used % len(layer.rotation)], begins, ends, used)


def ends_at(layer: Layer, zone: str) -> datetime | None:
    """When the whole layer ends, in UTC; None: never."""
    return None if layer.ends is None else instant(layer.ends, zone)


@dataclass(frozen=True, slots=True)
class _Year:
    """One year's openings, how many turns were left out before each; since when it is closed at its end."""

    opens: Sequence[datetime]
    left_out: Sequence[int]
    before: int
    closed_since: datetime

    @property
    def total(self) -> int:
        return self.left_out[-1] if self.left_out else self.before


class _LeftOut:
    """How many turns of one layer fell wholly into closed time."""

    def __init__(self, layer: Layer, zone: str, hours: BusinessHours) -> None:
        self._layer: Final = layer
        self._zone: Final = zone
        self._hours: Final = hours
        self._first: Final = nth_turn(layer, zone, 0).begins
        self._years: Final[dict[int, _Year]] = {}

    def before(self, at: datetime) -> int:
        """So many before this moment, at which the layer's windows are open."""
        year = self._of(min(at.astimezone(UTC).year, self._first.year + _YEARS_COUNTED))
        index = bisect_right(year.opens, at) - 1
        return year.left_out[index] if index >= 0 else year.before

    def _of(self, number: int) -> _Year:
        first = self._first.year
        known = next((each for each in range(number, first - 1, -1) if each in self._years), first - 1)
        year = self._years.get(known) or _Year((), (), 0, self._first)
        for each in range(known + 1, number + 1):
            year = self._years[each] = self._counted(each, year)
        return year

    def _counted(self, number: int, last: _Year) -> _Year:
        opens, left_out, closed_since, count = list[datetime](), list[int](), last.closed_since, last.total
        for begins, ends in self._hours.openings(number):
            if begins > closed_since:
                count += self._within(closed_since, begins)
            opens.append(begins)
            left_out.append(count)
            closed_since = max(closed_since, ends)
        return _Year(opens, left_out, last.total, closed_since)

    def _within(self, begins: datetime, ends: datetime) -> int:
        """How many turns lie wholly between these moments."""
        first, last = (turn_at(self._layer, self._zone, at) for at in (begins, ends))
        assert first is not None
        assert last is not None
        return max(0, last.number - first.number - (first.begins < begins))


@lru_cache(maxsize=1024)
def _left_out(layer: Layer, zone: str) -> _LeftOut:
    assert layer.only is not None
    return _LeftOut(layer, zone, window_hours(layer.only, zone))
