"""Heartbeats: when one is late, and what is said of it (POLICY.md, `heartbeats`).

One is expected `every` so often, counted from the last one, and late `late_after` beyond that. Late, its
event is triggered through the ordinary way; the next beat resolves it. While it stays late the event is
repeated every so often, at most hourly: a repeat pages nobody by itself, but reopens what somebody resolved
although nothing beats.
"""

from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import msgspec

from services.router.domain.draft import derived_id
from services.router.domain.steps import span
from shared.events import HEARTBEAT, IncidentEvent
from shared.policy import Heartbeat
from shared.severity import read_severity

State: TypeAlias = Literal["waiting", "beating", "late"]
_OFTENEST: Final = timedelta(hours=1)
_TEXTS: Final = ("title", "description", "kind", "customer", "tier", "service", "source", "waiting_for")
_RANKS: Final = ("impact", "urgency")


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """One heartbeat as it stands."""

    name: str
    every: timedelta
    late_after: timedelta
    since: datetime  # when the policy in force began to name it
    due_at: datetime  # late from then on; when it is late: repeated then
    beat_at: datetime | None = None
    late_at: datetime | None = None
    by: str = ""  # the integration whose key the last beat came with

    @property
    def period(self) -> timedelta:
        """From a beat until the next one is late."""
        return self.every + self.late_after

    @property
    def state(self) -> State:
        if self.late_at is not None:
            return "late"
        return "waiting" if self.beat_at is None else "beating"


def beaten(watched: Watched, at: datetime, by: str, now: datetime) -> tuple[Watched, IncidentEvent | None]:
    """It beat then; the event that resolves what its lateness opened, if it was late and is no longer.

    An old beat that arrives after a newer one changes nothing.
    """
    at = min(at, now)
    if watched.beat_at is not None and at <= watched.beat_at:
        return watched, None
    due_at = at + watched.period
    if watched.late_at is None:
        due = max(due_at, watched.due_at)
        return msgspec.structs.replace(watched, beat_at=at, by=by, due_at=due), None
    if due_at <= now:  # so old that the next one is late as well
        return msgspec.structs.replace(watched, beat_at=at, by=by), None
    again = msgspec.structs.replace(watched, beat_at=at, by=by, due_at=due_at, late_at=None)
    whose = f", sent by {by}" if by else ""
    return again, _event(watched, "resolve", now, note=f"it beats again{whose}: {at:%Y-%m-%d %H:%M:%S} UTC")


def missed(watched: Watched, heartbeat: Heartbeat, now: datetime) -> tuple[Watched, IncidentEvent]:
    """Its time has passed: the event to trigger, and when it is repeated unless a beat comes."""
    late = msgspec.structs.replace(
        watched, late_at=watched.late_at or now, due_at=now + max(watched.every, _OFTENEST)
    )
    last = (
        f"the last beat was at {watched.beat_at:%Y-%m-%d %H:%M:%S} UTC"
        if watched.beat_at is not None
        else f"none has come since it is in the policy ({watched.since:%Y-%m-%d %H:%M} UTC)"
    )
    note = (
        f"no beat: {last}; one is expected every {span(watched.every)}, late after {span(watched.late_after)}"
    )
    return late, _event(watched, "trigger", now, note=note, said=_said(heartbeat))


def dropped(watched: Watched, now: datetime) -> IncidentEvent | None:
    """The policy names it no longer: nothing is expected of it, so what its lateness opened is over."""
    if watched.late_at is None:
        return None
    return _event(watched, "resolve", now, note="the policy in force does not name this heartbeat any longer")


def _event(
    watched: Watched,
    action: Literal["trigger", "resolve"],
    now: datetime,
    *,
    note: str,
    said: dict[str, Any] | None = None,
) -> IncidentEvent:
    return IncidentEvent(
        event_id=derived_id(HEARTBEAT, watched.name, action, now.isoformat()),
        integration=HEARTBEAT,
        dedup_key=watched.name,
        action=action,
        received_at=now,
        notes=(note, *(said or {}).pop("notes", ())),
        **(said or {}),
    )


def _said(heartbeat: Heartbeat) -> dict[str, Any]:
    """What the policy says of the event. Its action, key and time are the heartbeat's own."""
    given = heartbeat.event
    said: dict[str, Any] = {name: str(given[name]) for name in _TEXTS if given.get(name) is not None}
    said |= {name: given[name] for name in _RANKS if given.get(name) in (1, 2, 3)}
    said["severity"], odd = read_severity(str(given.get("severity") or "error"))
    if odd:
        said["notes"] = (odd,)
    inner: dict[str, dict[str, Any]] = {"labels": {}, "attributes": {}}
    for name, value in given.items():
        base, _, key = name.partition(".")
        if base == "labels" and key:
            inner["labels"][key] = str(value)
        elif base == "attributes" and key:
            inner["attributes"][key] = value
    return said | inner
