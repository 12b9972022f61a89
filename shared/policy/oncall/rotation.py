"""Whose turn it is in one rotation: shift arithmetic from plain values, across changes of local time.

A shift of days or weeks hands over at the same local time of day, so one of its days has 23 or 25 hours (or
half an hour more or less: Lord Howe) where the clocks change. A shift of hours is an absolute length.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from shared.policy.calendars.wall_clock import instant, zone_of
from shared.policy.model.people import Layer


@dataclass(frozen=True, slots=True)
class Turn:
    """One person's turn of a rotation; `number` counts from 0 at the layer's start. Times in UTC."""

    number: int
    user: str
    begins: datetime
    ends: datetime


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
    starts, days, length = layer.starts, layer.shift.days, layer.shift.length
    begins, ends = (_handover(starts, zone, days, length, each) for each in (number, number + 1))
    return Turn(number, user, begins, ends)


def _estimate(layer: Layer, zone: str, at: datetime) -> int:
    """The turn's number, at most one off: wall time and turns drift apart by an hour at most."""
    if layer.shift.days:
        wall = at.astimezone(zone_of(zone)).replace(tzinfo=None)
        return max(0, (wall - layer.starts) // timedelta(days=layer.shift.days))
    return max(0, (at - instant(layer.starts, zone)) // layer.shift.length)


@lru_cache(maxsize=8192)
def _handover(starts: datetime, zone: str, days: int, length: timedelta, number: int) -> datetime:
    if days:
        return instant(starts + timedelta(days=days * number), zone)
    return instant(starts, zone) + length * number
