"""Who is on call when: shift arithmetic from plain values, across changes of local time.

A shift of days or weeks hands over at the same local time of day, so one of its days has 23 or 25 hours (or
half an hour more or less: Lord Howe) where the clocks change. A shift of hours is an absolute length. A
hand-over time that the clocks skip happens as if they had not been changed yet; one that comes twice
happens the first time.

For now a schedule's first layer counts, whatever its `only` says (see shared.policy.in_force).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.policy.people import Layer, Schedule


@dataclass(frozen=True, slots=True)
class Turn:
    """One person's turn of a rotation; `number` counts from 0 at the layer's start. Times in UTC."""

    number: int
    user: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in for whoever the layers name, from `begins` until `ends` (aware UTC)."""

    id: str
    user: str
    begins: datetime
    ends: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who has the schedule at a moment, until when, and who follows. Times in UTC.

    `user` is None when nobody has it; `reason` says why, in either case.
    """

    user: str | None
    until: datetime
    layer: str
    next_user: str
    next_from: datetime
    reason: str


def on_call(schedule: Schedule, at: datetime, overrides: Sequence[Override] = ()) -> OnCall:
    """Who has the schedule at this moment (aware); overrides come before every layer."""
    del overrides
    layer = schedule.layers[0]
    name = layer.name or "layer 1"
    turn = turn_at(layer, schedule.timezone, at)
    if turn is None:
        first = nth_turn(layer, schedule.timezone, 0)
        reason = f"{name} begins at {layer.starts.isoformat(' ', 'minutes')} {schedule.timezone}"
        return OnCall(None, first.begins, name, first.user, first.begins, reason)
    after = nth_turn(layer, schedule.timezone, turn.number + 1)
    reason = f"{turn.user} has {name} until {_local(turn.ends, schedule.timezone)}"
    return OnCall(turn.user, turn.ends, name, after.user, after.begins, reason)


def turn_at(layer: Layer, zone: str, at: datetime) -> Turn | None:
    """The rotation's turn at this moment; None before it begins."""
    number = _estimate(layer, zone, at)
    while (turn := nth_turn(layer, zone, number)).ends <= at:
        number += 1
    while turn.begins > at:
        if number <= 0:
            return None
        number -= 1
        turn = nth_turn(layer, zone, number)
    return turn


def nth_turn(layer: Layer, zone: str, number: int) -> Turn:
    """The turn with this number, from 0."""
    user = layer.rotation[number % len(layer.rotation)]
    return Turn(number, user, _handover(layer, zone, number), _handover(layer, zone, number + 1))


def _estimate(layer: Layer, zone: str, at: datetime) -> int:
    """The turn's number, at most one off: wall time and turns drift apart by an hour at most."""
    if layer.shift.days:
        wall = at.astimezone(_zone(zone)).replace(tzinfo=None)
        return max(0, (wall - layer.starts) // timedelta(days=layer.shift.days))
    return max(0, (at - _instant(layer.starts, zone)) // layer.shift.length)


def _handover(layer: Layer, zone: str, number: int) -> datetime:
    if layer.shift.days:
        return _instant(layer.starts + timedelta(days=layer.shift.days * number), zone)
    return _instant(layer.starts, zone) + layer.shift.length * number


def _instant(wall: datetime, zone: str) -> datetime:
    """The UTC time of a wall clock's time; fold 0 gives the two rules of the module's docstring."""
    return wall.replace(tzinfo=_zone(zone), fold=0).astimezone(UTC)


def _local(at: datetime, zone: str) -> str:
    return f"{at.astimezone(_zone(zone)):%Y-%m-%d %H:%M} {zone}"


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
