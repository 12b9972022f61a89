"""Who is on call, from a schedule and a time: shifts tile the time from a layer's start on.

Days and weeks are local calendar days: the handover stays at the same wall time across daylight saving (a
wall time that a change skips is the instant the clocks jump past it; one that comes twice is the first).
Hours are absolute. One layer is in force, the first one; windows and further layers come later.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.policy.people import Layer, Schedule


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is on call until when, by which layer, and who follows. `user` is '' when nobody is: see `reason`."""

    user: str
    until: datetime | None = None
    layer: str = ""
    next_user: str = ""
    next_from: datetime | None = None
    reason: str = ""


def on_call(schedule: Schedule, at: datetime) -> OnCall:
    """Who is on call at an instant (aware); instants in the answer are UTC."""
    layer = schedule.layers[0]
    zone = ZoneInfo(schedule.timezone)
    name = layer.name or "layer 1"
    first = _instant(layer.starts, zone)
    if at < first:
        return OnCall(
            "", first, name, layer.rotation[0], first, f"the rotation starts at {first.isoformat()}"
        )
    number = _shift_number(layer, zone, at)
    until = _starts(layer, zone, number + 1)
    people = layer.rotation
    return OnCall(people[number % len(people)], until, name, people[(number + 1) % len(people)], until)


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _starts(layer: Layer, zone: ZoneInfo, number: int) -> datetime:
    """When the shift of this number starts (0: the first)."""
    if layer.shift.days:
        return _instant(layer.starts + timedelta(days=layer.shift.days * number), zone)
    return _instant(layer.starts, zone) + layer.shift.length * number


def _shift_number(layer: Layer, zone: ZoneInfo, at: datetime) -> int:
    if layer.shift.days:
        local = at.astimezone(zone).replace(tzinfo=None)
        number = (local - layer.starts) // timedelta(days=layer.shift.days)
    else:
        number = (at - _instant(layer.starts, zone)) // layer.shift.length
    number = max(number, 0)
    while number and at < _starts(layer, zone, number):
        number -= 1
    while at >= _starts(layer, zone, number + 1):
        number += 1
    return number
