"""Shifts as an iCalendar file (RFC 5545), for the calendar programs of the people who have them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from icalendar import Calendar, Event

from shared.policy import Bundle
from shared.policy.oncall import Shift

_NAMESPACE: Final = UUID("0b9f5c7e-33c1-5d7c-9d0e-6a1d1f5c2e40")
_ASK_AGAIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Feed:
    """What a calendar shows: the shifts of one schedule, of one user where `user` names one."""

    schedule: str
    user: str
    bundle: Bundle
    changed_at: datetime  # when policy or overrides changed last: the stamp of every event


def calendar_of(feed: Feed, shifts: Iterable[Shift]) -> bytes:
    """The file. Times in UTC; the same shift has the same UID each time; nobody's shifts are left out."""
    calendar = Calendar()
    calendar.add("prodid", "-//Ladder//on call//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _named(feed))
    calendar.add("refresh-interval", _ASK_AGAIN, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", _ASK_AGAIN)
    for shift in shifts:
        if shift.user is not None and feed.user in {"", shift.user}:
            calendar.add_component(_event(feed, shift, shift.user))
    made: bytes = calendar.to_ical()
    return made


def _event(feed: Feed, shift: Shift, user: str) -> Event:
    event = Event()
    began = f"{feed.schedule}/{user}/{shift.begins.isoformat()}"
    event.add("uid", f"{uuid5(_NAMESPACE, began)}@ladder")
    event.add("dtstamp", feed.changed_at)
    event.add("dtstart", shift.begins)
    event.add("dtend", shift.ends)
    event.add("summary", f"{_display(feed, user)} on call: {feed.schedule}")
    event.add("description", _why(shift))
    event.add("transp", "TRANSPARENT")  # being on call does not mean being busy
    return event


def _why(shift: Shift) -> str:
    said = [f"by layer {', '.join(shift.layers)}"] if shift.layers else []
    if shift.overrides:
        said.append("standing in by an override")
    return "; ".join(said)


def _named(feed: Feed) -> str:
    whose = f" ({_display(feed, feed.user)})" if feed.user else ""
    return f"On call: {feed.schedule}{whose}"


def _display(feed: Feed, user: str) -> str:
    known = feed.bundle.users.get(user)
    return known.name if known is not None else user
