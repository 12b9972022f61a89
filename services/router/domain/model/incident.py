"""The incident as it is stored: one frozen record that decisions replace, never change.

Times are aware UTC; durations are seconds. The record is kept as JSON in its row (`encode`, `decode`); a new
field needs a default, so that the last release's rows still read.
"""

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from shared.events import LOOKING, ClockSnapshot, IncidentSnapshot, Link, Severity, Status, Upstream
from shared.policy import Whose
from shared.policy.calendars.open_hours import Calendars, named

ClockState: TypeAlias = Literal["running", "paused", "fulfilled", "cancelled"]
# grace: automation has its chance, or a late trigger is held; held: the level waits for its calendar to open
ChainState: TypeAlias = Literal["climbing", "assignee", "finally", "resting", "grace", "held"]
PageState: TypeAlias = Literal["sent", "reached", "unreachable"]
# rests: a machine acknowledged it; free: somebody has it, or others are asked instead
Heard: TypeAlias = Literal["", "rests", "free"]
LIVE: Final[frozenset[ClockState]] = frozenset({"running", "paused"})
TOLERANCE: Final = 0.001  # seconds: a timer that fires a rounding error early has still fired
OPEN: Final[frozenset[Status]] = frozenset({"triggered", "acknowledged"})
MUTED: Final = frozenset({"grouped", "suppressed"})  # of the reasons to stand still: nobody is told


class Interval(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of wall time in which a clock ran; `ended` is None while it runs."""

    started: datetime
    ended: datetime | None = None


class Clock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One SLA target: what was promised, and the stretches in which its time ran."""

    target: str
    goal: float
    state: ClockState = "running"
    breached: bool = False  # what is promised now was not kept
    intervals: tuple[Interval, ...] = ()
    thresholds: tuple[float, ...] = ()  # shares of the goal already acted on or recorded (0.8, 1.0)
    warn_at: tuple[float, ...] = ()
    pause_while: tuple[str, ...] = ()
    sla: str = ""
    calendar: str = "always"
    breaches: int = (
        0  # how often a promise of this target was broken: this one, an earlier one, a period of `update`
    )
    took: float | None = None  # seconds that had counted when it was fulfilled or cancelled
    by: Whose = "anybody"  # whose act keeps it
    reminded: int = 0  # `update`: how many of its periods have passed in silence

    @property
    def times_broken(self) -> int:
        """How often it was broken in all; the first releases kept no count."""
        return max(self.breaches, int(self.breached))

    def is_used_up(self, passed: float) -> bool:
        """Whether the goal is reached when so many seconds have counted."""
        return passed + TOLERANCE >= self.goal

    def elapsed(self, now: datetime, calendars: Calendars) -> float:
        """Seconds of its calendar's time that counted up to now."""
        if self.took is not None:
            return self.took
        hours, seconds = named(calendars, self.calendar), 0.0
        for part in self.intervals:
            seconds += hours.elapsed(part.started, part.ended or now)
        return seconds

    def reaches(self, share: float, calendars: Calendars) -> datetime | None:
        """When this share of the goal is used up if nothing changes; in the past when it is used up already.

        None unless the clock runs, and when its calendar does not open for so long in the next 10 years.
        """
        if self.state != "running":
            return None
        hours, left = named(calendars, self.calendar), self.goal * share
        for part in self.intervals:
            passed = hours.elapsed(part.started, part.ended) if part.ended is not None else left
            if passed >= left:
                return hours.after(part.started, left)
            left -= passed
        return None


class Chain(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where on its ladder the incident stands. `level` is an index; past the last one stands `finally`."""

    policy: str
    level: int = 0
    round: int = 1
    since: datetime
    state: ChainState = "climbing"
    due: datetime | None = None
    ends: datetime | None = None  # one_by_one: when the level's own time is over; None: `since` tells
    lowest: int = 0  # the level it started at: no round goes below it
    entered: tuple[str, ...] = ()  # policies that it has been through
    failed_step_at: datetime | None = None  # the last step taken because pages reached nobody
    unasked: bool = False  # no level has been paged in this opening: what follows is the lowest one
    by_name: bool = False  # its level was asked for by name, whatever it handles
    turn: int = 0  # one_by_one: how many of the level's people have been asked
    calendar: str = ""  # held: the calendar whose opening it waits for; then follows the next level
    grace_due: bool = False  # automation is to have its chance before the first level

    @property
    def waits_at_the_end(self) -> bool:
        """Whether `finally` waits for its calendar to open."""
        return self.state == "finally" and bool(self.calendar)


class OpenPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page that was asked for at the current step, or by a point: who was paged, and whether it arrived."""

    page_id: str
    name: str
    through: str
    level: str = ""
    state: PageState = "sent"
    user: bool = True
    joins: bool = False  # somebody had taken it already, more people were asked
    schedule: str = ""  # the schedule that named the person
    superseded: bool = False  # it was not sent by some contact: a newer page to them stands for it

    @property
    def looks(self) -> bool:
        """Whether it only asks to look, beside the levels."""
        return self.through in LOOKING


class Paged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who was paged in this opening, whatever is asked now; they hear of its end (rule 21).

    `first` and `since` are versions: of the message with their first page, and of the first page after what
    they heard last.
    """

    name: str
    kind: str = "user"
    via: str = ""  # of an address: its channel
    first: int
    since: int
    heard: Heard = ""
    knows: bool = False  # they acted on it or were told of it: whatever became of their pages


class PointState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one escalation point remembers: since when its condition holds, and when it fired last."""

    held_since: datetime | None = None
    fired: int = 0
    fired_at: datetime | None = None


class Late(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A trigger from before the last resolve opened or reopened it: until then nobody is paged (rule 16).

    `first`: whoever had it and is asked before the levels. `reopens`: it was resolved and counts as reopened.
    """

    until: datetime
    first: str = ""
    reopens: bool = False


class Duty(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The assignee has the incident as whoever is on call: at `until` the next one hears of it (rule 20).

    `begins`: when the assignee's shift begins, later for one who was asked as `next:`. `on_call`: who had
    the schedule when it was asked last.
    """

    schedule: str
    user: str
    until: datetime
    begins: datetime | None = None
    on_call: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody was asked through a schedule and it is not settled: at `until` whoever follows is (rule 20).

    `begins`: when the shift of `user`, who was asked, begins. `on_call`: who had the schedule when it was
    asked last. `heard`: the turns in which somebody was asked or told.
    """

    schedule: str
    user: str
    until: datetime
    begins: datetime | None = None
    on_call: str = ""
    point: bool = False  # by an escalation point: it is seen, not taken
    joins: bool = False  # somebody had taken it already, more people were asked
    heard: tuple[str, ...] = ()


class Approval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody with the authority decided about an overrun or a conflict."""

    decision: Literal["approve", "reject"]
    by: str
    at: datetime
    note: str = ""


class Subscriber(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who asked to hear of this one incident: a user, or (`via`, `address`) anybody."""

    who: str
    via: str = ""


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """An error inside a decision: the incident waits for the next try while `last_resort` is paged."""

    error: str
    since: datetime
    tries: int
    retry_at: datetime


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One problem, from its first event to its close."""

    id: str
    integration: str
    dedup_key: str
    policy_hash: str
    title: str
    opened_as: str = ""  # its first title, where it has another one by now
    description: str = ""
    kind: str = "incident"
    source: str = ""
    severity: Severity | None = None
    severest: Severity | None = None  # the worst since it differs from what it opened with
    kinds: tuple[str, ...] = ()  # those that it has been of, once there are several
    impact: int = 0
    urgency: int = 0
    labels: dict[str, str] = {}
    attributes: dict[str, Any] = {}
    details: tuple[str, ...] = ()  # of the attributes: what the last event that said all of them named
    links: tuple[Link, ...] = ()
    customer: str = ""
    customer_name: str = ""
    tier: str = ""
    said_tier: str = ""  # the tier that an event itself carried
    service: str = ""
    status: Status = "triggered"
    priority: int = 3
    priority_by: str = ""  # the person who set it, as the timeline names them
    priority_then: int = 0  # what the rules made of it when they did; 0: nobody has set it
    pinned: tuple[str, ...] = ()  # fields that a person has set: no event changes them
    assignee: str = ""
    waiting_for: str = ""
    waiting_until: datetime | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str = ""
    suppressed_by: str = ""  # the rule, silence or maintenance that stops the notifying, as it is called
    suppressed_until: datetime | None = None  # when it is asked again at the latest
    suppressed_then: str = ""  # page | drop: what becomes of it when the suppression is over
    explains: tuple[str, ...] = ()  # suppression rules by which it is the cause of others
    may_follow_from: tuple[Upstream, ...] = ()  # open incidents of what its service depends on
    parent: str = ""  # the incident that this one is grouped under, or was merged into
    members: int = 0  # how many are grouped under this one
    members_open: int = 0
    merged: bool = False  # into `parent`, for good
    ended_itself: bool = False  # its sender says that it is over; incidents grouped under it still stand
    joins_untold: int = 0  # how many joined since whoever took it heard of that
    joins_told_at: datetime | None = None
    duty: Duty | None = None
    unsettled: tuple[Asked, ...] = ()  # what was asked through schedules, and is not settled
    approval: Approval | None = None
    rating: int = 0  # 1–5, what the customer said on confirming; 0: nothing
    confirmed_at: datetime | None = None
    subscribers: tuple[Subscriber, ...] = ()
    told: tuple[str, ...] = ()  # the policy's subscriptions that heard of it: they hear its end
    avoided: bool = False  # solved while automation had its chance: nobody was paged
    handed_up: int = 0  # how often it went to another level or policy in all
    solved_at: str = ""  # the name of the level that solved it
    reopened: int = 0
    opened_at: datetime
    acknowledged_at: datetime | None = None
    by_machine: bool = False  # that acknowledgement was a machine's
    person_took_at: datetime | None = None  # when a person first took it in this opening
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    touched_at: datetime  # the last sign of life from a person or a sender
    asked_at: datetime | None = None  # when the assignee was asked whether it was forgotten
    decided_at: datetime  # the `now` of the last decision: time never runs backwards
    chain: Chain
    sla: str = ""  # the one that applies; its name, as in `clocks`
    clocks: tuple[Clock, ...] = ()
    clocks_from: datetime | None = None  # when its clocks began, if not at the opening (rule 11)
    answered_at: datetime | None = None  # when the customer had the first update
    told_at: datetime | None = None  # when stakeholders had the last update
    person_answered_at: datetime | None = None  # the same, by a person
    person_told_at: datetime | None = None
    confirm_asked: int = 0  # how often the customer was asked to confirm, since it was last resolved
    points: dict[str, PointState] = {}
    pages: tuple[OpenPage, ...] = ()
    paged: tuple[Paged, ...] | None = None  # in this opening; None: as far as `pages` tell (the last release)
    pages_made: int = 0
    followers: tuple[str, ...] = ()
    source_time: datetime | None = None  # of the key's last resolve, as it counts; None: it carried none
    late: Late | None = None
    previous: str = ""  # the incident of the same key before this one
    last_event_at: datetime | None = None  # when its sender last spoke; None in rows of an earlier release
    quiet_from: datetime | None = None  # when what kept it still or closed ended: a silence counts from there
    still_asked: bool = False  # whether it still stands was asked in this silence
    said_to_stand: bool = False  # in this silence, by a person
    alert_group: str = ""  # the group that its sender sends it with
    alert_group_cut: bool = False  # its sender has left alerts of that group out
    doubted_at: datetime | None = None  # then it is asked whether it still stands, for this reason:
    doubt: str = ""
    stuck: Stuck | None = None
    events: int = 1
    version: int = 1
    next_due_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Triggered or acknowledged: somebody still has to solve it."""
        return self.status in OPEN

    @property
    def is_muted(self) -> bool:
        """Suppressed, or grouped under another: everything is recorded, nobody is told (rule 11)."""
        return self.stands_still in MUTED

    @property
    def stands_still(self) -> str:
        """Why the levels stand still although nobody has solved it, in one word; '' when they climb."""
        if self.parent:
            return "grouped"
        if self.suppressed_by:
            return "suppressed"
        if self.snoozed_until is not None:
            return "snoozed"
        if self.waiting_for:
            return "waiting"
        return "held" if self.late is not None else ""

    @property
    def taken_by_person_at(self) -> datetime | None:
        """When a person took it in this opening; the first releases did not tell machines apart."""
        return self.person_took_at or (None if self.by_machine else self.acknowledged_at)

    @property
    def promised_by(self) -> str:
        """The SLA that applies; rows of the last release have it on their clocks only."""
        return self.sla or next((clock.sla for clock in self.clocks if clock.state != "cancelled"), "")

    @property
    def key(self) -> tuple[str, str]:
        return self.integration, self.dedup_key


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Incident)


def encode(incident: Incident) -> bytes:
    """The record as JSON."""
    return _encoder.encode(incident)


def decode(raw: bytes | str) -> Incident:
    """The record back from JSON."""
    return _decoder.decode(raw)


def _clock_snapshot(clock: Clock, now: datetime, calendars: Calendars) -> ClockSnapshot:
    elapsed = clock.elapsed(now, calendars)
    broken = clock.breached and (clock.state not in LIVE or clock.is_used_up(elapsed))
    return ClockSnapshot(
        target=clock.target,
        state="breached" if broken and clock.state in LIVE else clock.state,
        goal_seconds=clock.goal,
        elapsed_seconds=round(elapsed, 3),
        due_at=clock.reaches(1.0, calendars),
        breached=clock.breached or clock.breaches > 0,
        broken_before=clock.times_broken > broken,
        breaches=clock.times_broken,
        by=clock.by,
    )


def snapshot(incident: Incident, level_name: str, now: datetime, calendars: Calendars) -> IncidentSnapshot:
    """The incident as the API and every message show it; `calendars` of the policy it started with."""
    return IncidentSnapshot(
        id=incident.id,
        integration=incident.integration,
        dedup_key=incident.dedup_key,
        title=incident.title,
        description=incident.description,
        kind=incident.kind,
        source=incident.source,
        severity=incident.severity,
        labels=incident.labels,
        attributes=incident.attributes,
        links=incident.links,
        status=incident.status,
        priority=incident.priority,
        tier=incident.tier,
        customer=incident.customer,
        customer_name=incident.customer_name,
        service=incident.service,
        policy=incident.chain.policy,
        level=level_name,
        round=incident.chain.round,
        assignee=incident.assignee,
        waiting_for=incident.waiting_for,
        waiting_until=incident.waiting_until,
        snoozed_until=incident.snoozed_until,
        decision=incident.approval.decision if incident.approval is not None else "",
        decided_by=incident.approval.by if incident.approval is not None else "",
        rating=incident.rating,
        parent=incident.parent,
        members=incident.members,
        members_open=incident.members_open,
        suppressed_by=incident.suppressed_by,
        suppressed_until=incident.suppressed_until,
        may_follow_from=incident.may_follow_from,
        reopened=incident.reopened,
        opened_at=incident.opened_at,
        acknowledged_at=incident.acknowledged_at,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
        last_event_at=incident.last_event_at,
        next_due_at=incident.next_due_at,
        clocks=tuple(_clock_snapshot(clock, now, calendars) for clock in incident.clocks),
        events=incident.events,
        version=incident.version,
        opened_as=incident.opened_as,
    )
