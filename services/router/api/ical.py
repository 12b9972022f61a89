"""Shifts as an iCalendar file (RFC 5545), for people's calendar programs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from icalendar import Calendar, Event

from shared.policy import Bundle
from shared.policy.oncall.schedules import Shift

_NAMESPACE: Final = UUID("0b9f5c7e-33c1-5d7c-9d0e-6a1d1f5c2e40")
_ASK_AGAIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Feed:
    """The contents of a calendar: the shifts of one schedule, of one user if `user` names one."""

    schedule: str
    user: str
    bundle: Bundle
    changed_at: datetime  # when policy or overrides last changed: the timestamp of every event


def of_feed(feed: Feed, shifts: Iterable[Shift]) -> Iterator[Shift]:
    """The shifts that the calendar shows, without those of nobody."""
    return (shift for shift in shifts if shift.user is not None and feed.user in {"", shift.user})


def calendar_of(feed: Feed, events: Iterable[bytes]) -> bytes:
    """The file with these events, each made by `event`."""
    calendar = Calendar()
    calendar.add("prodid", "-//Ladder//on call//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _named(feed))
    calendar.add("refresh-interval", _ASK_AGAIN, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", _ASK_AGAIN)
    head, end, rest = calendar.to_ical().partition(b"END:VCALENDAR")
    return b"".join((head, *events, end, rest))


def event(feed: Feed, shift: Shift) -> bytes:
    """One shift as an event. Times in UTC; the same shift always has the same UID."""
    event, user = Event(), shift.user or ""
    began = f"{feed.schedule}/{user}/{shift.begins.isoformat()}"
    event.add("uid", f"{uuid5(_NAMESPACE, began)}@ladder")
    event.add("dtstamp", feed.changed_at)
    event.add("dtstart", shift.begins)
    event.add("dtend", shift.ends)
    event.add("summary", f"{feed.bundle.display(user)} on call: {feed.schedule}")
    event.add("description", _why(shift))
    event.add("transp", "TRANSPARENT")  # being on call does not mean being busy
    made: bytes = event.to_ical()
    return made


def _why(shift: Shift) -> str:
    said = [f"by layer {', '.join(shift.layers)}"] if shift.layers else []
    if shift.overrides:
        said.append("standing in by an override")
    said += shift.passed
    return "; ".join(said)


def _named(feed: Feed) -> str:
    whose = f" ({feed.bundle.display(feed.user)})" if feed.user else ""
    return f"On call: {feed.schedule}{whose}"
