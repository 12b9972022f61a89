"""Heartbeats: when one is late, and which event says so (docs/policy.md, "Heartbeats").

One beat is expected per `every`, counted from the last one, and is late `late_after` beyond that. When it is
late its event is triggered like any other; the next beat resolves it. While it stays late the event is
repeated, at most hourly: a repeat pages nobody by itself, but reopens what somebody resolved although nothing
beats.

A job may say more than that it beats (healthchecks.io: signaling failures, measuring script run time): that
it starts, which arms `late_after` (a run that does not end within it is late), and that it failed, which
triggers the event at once in its own words.
"""

from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, TypedDict, assert_never, get_args

import msgspec
from msgspec.structs import replace

from services.router.domain.draft.draft import derived_id
from services.router.domain.draft.wording import second, span
from shared.events import HEARTBEAT, HeartbeatReceived, HeartbeatSignalled, IncidentEvent, Severity
from shared.events.severity import read_severity
from shared.json_object import JsonObject
from shared.policy import Heartbeat

State: TypeAlias = Literal["waiting", "beating", "late", "failed"]
_OFTENEST: Final = timedelta(hours=1)
_TEXT_KEPT: Final = 4_000  # characters of the last body
_Text: TypeAlias = Literal[
    "title", "description", "kind", "customer", "tier", "service", "source", "waiting_for"
]
_Rank: TypeAlias = Literal["impact", "urgency"]
_TEXTS: Final[tuple[_Text, ...]] = get_args(_Text)
_RANKS: Final[tuple[_Rank, ...]] = get_args(_Rank)


class _Said(TypedDict, total=False):
    """What its event says beside its action, key and time."""

    title: str
    description: str
    kind: str
    customer: str
    tier: str
    service: str
    source: str
    waiting_for: str
    impact: int
    urgency: int
    severity: Severity
    labels: dict[str, str]
    attributes: JsonObject


class HeartbeatState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one heartbeat."""

    name: str
    every: timedelta
    late_after: timedelta
    since: datetime  # since when the policy in force names it
    due_at: datetime  # late from then on; when it is already late, repeated then
    beat_at: datetime | None = None
    late_at: datetime | None = None
    by: str = ""  # the integration whose key came with the last beat
    failed_at: datetime | None = None  # when it last reported a failure
    failing: bool = False  # that failure is why it is late
    started_at: datetime | None = None  # of the current run
    run: str = ""  # the id that the current run gave itself
    took: timedelta | None = None  # how long the last run took that reported both ends
    said: str = ""  # the beginning of the last body

    def expected_from(self) -> datetime:
        """From when on the overdue beat may have come: as early before its time as late after it."""
        if self.late_at is not None:
            return self.late_at
        return max(
            self.due_at - 2 * self.late_after, *(at for at in _last(self) if at is not None), self.since
        )

    @property
    def period(self) -> timedelta:
        """The time from a beat until the next one is late."""
        return self.every + self.late_after

    @property
    def state(self) -> State:
        if self.late_at is not None:
            return "failed" if self.failing else "late"
        return "waiting" if self.beat_at is None else "beating"


class Deaf(msgspec.Struct, frozen=True):
    """Until when senders may not have been heard. `now_too`: still so; `let_in_at`: of the last canary."""

    until: datetime
    let_in_at: datetime | None = None
    now_too: bool = False


def on_signal(
    watched: HeartbeatState, heard: HeartbeatReceived, heartbeat: Heartbeat | None, now: datetime
) -> tuple[HeartbeatState, IncidentEvent | None]:
    """The state after a beat or signal, and the event that follows; an older one changes nothing.

    `heartbeat`: what the policy in force says of it; without that nothing is triggered.
    """
    if not isinstance(heard, HeartbeatSignalled):
        return on_beat(watched, heard.at, heard.by, now, run=heard.run, text=heard.text)
    match heard.signal:
        case "start":
            return began(watched, min(heard.at, now), heard.run, heard.text), None
        case "fail":
            return failed(watched, heard, heartbeat, now)
        case "log":
            return remarked(watched, heard, now)
        case _:
            assert_never(heard.signal)


def began(watched: HeartbeatState, at: datetime, run: str, text: str) -> HeartbeatState:
    """A run starts: unless it ends within `late_after` it is late, however long `every` is."""
    if any(known is not None and at <= known for known in _last(watched)):
        return watched
    after = replace(watched, started_at=at, run=run, said=text[:_TEXT_KEPT] or watched.said)
    return after if watched.late_at is not None else _armed(after)


def on_beat(
    watched: HeartbeatState, at: datetime, by: str, now: datetime, *, run: str = "", text: str = ""
) -> tuple[HeartbeatState, IncidentEvent | None]:
    """Record a beat; returns the event that resolves its lateness, if it was late and no longer is.

    An old beat that arrives after a newer one changes nothing.
    """
    at = min(at, now)
    if watched.beat_at is not None and at <= watched.beat_at:
        return watched, None
    if watched.failed_at is not None and at < watched.failed_at:
        return watched, None
    due_at = at + watched.period
    after = replace(_ended(watched, at, run), beat_at=at, by=by, said=text[:_TEXT_KEPT])
    if watched.late_at is None:
        return _armed(replace(after, due_at=max(due_at, watched.due_at))), None
    if due_at <= now:  # so old that the next one is late as well
        return after, None
    again = _armed(replace(after, due_at=due_at, late_at=None, failing=False))
    whose = f", sent by {by}" if by else ""
    return again, _event(watched, "resolve", now, notes=(f"it beats again{whose}: {second(at)}",))


def failed(
    watched: HeartbeatState, heard: HeartbeatReceived, heartbeat: Heartbeat | None, now: datetime
) -> tuple[HeartbeatState, IncidentEvent | None]:
    """It reports a failure: its event at once, in its own words; the next beat resolves it."""
    at = min(heard.at, now)
    if watched.failed_at is not None and at <= watched.failed_at:
        return watched, None
    if watched.beat_at is not None and at < watched.beat_at:
        return watched, None
    after = replace(
        _ended(watched, at, heard.run, fails=True),
        failed_at=at,
        failing=True,
        late_at=watched.late_at or now,
        by=heard.by,
        said=heard.text[:_TEXT_KEPT],
        due_at=max(at + watched.period, now),
    )
    if heartbeat is None:
        return after, None
    status = f" with exit status {heard.exit_status}" if heard.exit_status is not None else ""
    took = f" after {span(after.took)}" if after.took is not None else ""
    said: _Said = {"description": "", **_said(heartbeat), "title": f"{watched.name} failed{status}"}
    if heard.text:
        said["description"] = heard.text
    whose = f", sent by {heard.by}" if heard.by else ""
    note = f"it says itself that it failed{status}{took}{whose}: {second(at)}"
    return after, _event(watched, "trigger", now, notes=(note, *_odd(heartbeat)), said=said, at=at)


def remarked(
    watched: HeartbeatState, heard: HeartbeatReceived, now: datetime
) -> tuple[HeartbeatState, IncidentEvent | None]:
    """Keep a remark; while it is late or failed, the remark is also a note on the incident."""
    after = replace(watched, said=heard.text[:_TEXT_KEPT])
    if watched.late_at is None or not heard.text:
        return after, None
    note = f"sent by {heard.by}" if heard.by else "a remark"
    return after, _event(watched, "note", now, notes=(note,), said={"description": heard.text}, at=heard.at)


def _last(watched: HeartbeatState) -> tuple[datetime | None, datetime | None, datetime | None]:
    return watched.started_at, watched.beat_at, watched.failed_at


def _armed(watched: HeartbeatState) -> HeartbeatState:
    """While a run is under way it is late at most `late_after` from the run's start."""
    if watched.started_at is None:
        return watched
    return replace(watched, due_at=min(watched.due_at, watched.started_at + watched.late_after))


def _ended(watched: HeartbeatState, at: datetime, run: str, *, fails: bool = False) -> HeartbeatState:
    """End the current run if this is its end; an end that names another run leaves it alone."""
    started = watched.started_at
    if started is None:
        return replace(watched, took=None)
    if at < started:
        return watched
    if run == watched.run:
        return replace(watched, took=at - started, started_at=None, run="")
    return replace(watched, took=None, started_at=None, run="") if fails or not run else watched


def missed(
    watched: HeartbeatState, heartbeat: Heartbeat, now: datetime, deaf: Deaf | None = None
) -> tuple[HeartbeatState, IncidentEvent]:
    """Its time has passed: the event to trigger, and when to repeat it unless a beat comes.

    It also pages when Ladder itself may have been unreachable at that time, and says so.
    """
    late = replace(
        watched,
        late_at=watched.late_at or now,
        failing=False,
        due_at=now + max(watched.every, _OFTENEST),
    )
    said = _said(heartbeat)
    if not _failed_last(watched):  # an earlier run's failure is not why this one is missed
        said = {"description": "", **said, **_unheard(watched, heartbeat, deaf)}
    started = watched.started_at
    if started is not None and started + watched.late_after <= now:
        note = f"no end: it began at {second(started)}, and takes longer than {span(watched.late_after)}"
        return late, _event(watched, "trigger", now, notes=(note, *_odd(heartbeat)), said=said)
    last = (
        f"the last beat was at {second(watched.beat_at)}"
        if watched.beat_at is not None
        else f"none has come since it is in the policy ({watched.since:%Y-%m-%d %H:%M} UTC)"
    )
    note = (
        f"no beat: {last}; one is expected every {span(watched.every)}, late after {span(watched.late_after)}"
    )
    return late, _event(watched, "trigger", now, notes=(note, *_odd(heartbeat)), said=said)


def _failed_last(watched: HeartbeatState) -> bool:
    """Whether the last thing heard of it was a failure."""
    if watched.failed_at is None:
        return False
    return watched.beat_at is None or watched.beat_at <= watched.failed_at


def _unheard(watched: HeartbeatState, heartbeat: Heartbeat, deaf: Deaf | None) -> _Said:
    """What to add for whoever is paged when it may have beaten while Ladder was unreachable."""
    if deaf is None or deaf.until <= watched.expected_from():
        return {}
    if deaf.now_too:
        since = f"since {second(deaf.let_in_at)}" if deaf.let_in_at is not None else "yet"
        why = f"nothing of Ladder's own has come in through intake {since}"
    else:
        why = f"Ladder itself may not have been reached before {second(deaf.until)}"
    given = str(heartbeat.event.get("description") or "")
    return {"description": f"{given}\n\n{watched.name} may have beaten unheard: {why}.".strip()}


def dropped(watched: HeartbeatState, now: datetime) -> IncidentEvent | None:
    """The policy no longer names it: nothing is expected, so its lateness is resolved."""
    if watched.late_at is None:
        return None
    note = "the policy in force does not name this heartbeat any longer"
    return _event(watched, "resolve", now, notes=(note,))


def _event(
    watched: HeartbeatState,
    action: Literal["trigger", "resolve", "note"],
    now: datetime,
    *,
    notes: tuple[str, ...],
    said: _Said | None = None,
    at: datetime | None = None,
) -> IncidentEvent:
    """One of its events. `at`: the time of the signal, where several may come at once."""
    own = () if at is None else (at.isoformat(),)
    return IncidentEvent(
        event_id=derived_id(HEARTBEAT, watched.name, action, now.isoformat(), *own),
        integration=HEARTBEAT,
        dedup_key=watched.name,
        action=action,
        received_at=now,
        notes=notes,
        **(said or {}),
    )


def _said(heartbeat: Heartbeat) -> _Said:
    """What the policy says of the event; its action, key and time are the heartbeat's own."""
    given = heartbeat.event
    labels, attributes = dict[str, str](), JsonObject()
    for name, value in given.items():
        base, _, key = name.partition(".")
        if base == "labels" and key:
            labels[key] = str(value)
        elif base == "attributes" and key:
            attributes[key] = value
    said: _Said = {"severity": _severity(heartbeat)[0], "labels": labels, "attributes": attributes}
    for text in _TEXTS:
        if given.get(text) is not None:
            said[text] = str(given[text])
    for rank in _RANKS:
        if given.get(rank) in (1, 2, 3):
            said[rank] = given[rank]
    return said


def _severity(heartbeat: Heartbeat) -> tuple[Severity, str]:
    """The severity that the policy gives it, and what to note about that ('' for nothing)."""
    return read_severity(str(heartbeat.event.get("severity") or "error"))


def _odd(heartbeat: Heartbeat) -> tuple[str, ...]:
    _, odd = _severity(heartbeat)
    return (odd,) if odd else ()
