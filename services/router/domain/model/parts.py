"""The parts of an incident, beside its plain fields and its clocks."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from shared.events import LOOKING

# grace: automation has its chance, or a late trigger is held; held: the level waits for its calendar to open
ChainState: TypeAlias = Literal["climbing", "assignee", "finally", "resting", "grace", "held"]
PageState: TypeAlias = Literal["sent", "reached", "unreachable"]
# rests: a machine acknowledged it; free: somebody has it, or others are asked instead
Heard: TypeAlias = Literal["", "rests", "free"]
Then: TypeAlias = Literal["page", "drop"]


class Chain(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the incident stands on its levels. `level` is an index; past the last one stands `finally`."""

    policy: str
    level: int = 0
    round: int = 1
    since: datetime
    state: ChainState = "climbing"
    due: datetime | None = None
    ends: datetime | None = None  # one_by_one: when the level's own time is over; None: derived from `since`
    lowest: int = 0  # the level it started at: no round goes below it
    entered: tuple[str, ...] = ()  # policies that it has been on
    failed_step_at: datetime | None = None  # the last step taken because pages reached nobody
    unasked: bool = False  # no level has been paged since it opened: the lowest comes next
    by_name: bool = False  # its level was asked for by name, whatever it handles
    turn: int = 0  # one_by_one: how many of the level's people have been asked
    calendar: str = ""  # held: the calendar whose opening it waits for; the next level follows
    grace_due: bool = False  # automation is to have its chance before the first level

    @property
    def waits_at_the_end(self) -> bool:
        """Whether `finally` waits for its calendar to open."""
        return self.state == "finally" and bool(self.calendar)


class OpenPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of the current step, or from a point: who was paged, and whether it arrived."""

    page_id: str
    name: str
    through: str
    level: str = ""
    state: PageState = "sent"
    user: bool = True
    joins: bool = False  # somebody had taken it already and more people were asked
    schedule: str = ""  # the schedule that named the person
    superseded: bool = False  # not sent to some contact because a newer page to them replaces it

    @property
    def looks(self) -> bool:
        """Whether it only asks to look, beside the levels."""
        return self.through in LOOKING


class Paged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody paged since it opened, whatever is asked now; they hear of its end (rule 21).

    `first` and `since` are versions: of the message with their first page, and of the first page after what
    they heard last.
    """

    name: str
    kind: str = "user"
    via: str = ""  # for an address: its channel
    first: int
    since: int
    heard: Heard = ""
    knows: bool = False  # they acted on it or were told, whatever became of their pages


class PointState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one escalation point remembers: since when its condition holds, and when it fired last."""

    true_since: datetime | None = msgspec.field(default=None, name="held_since")
    fired: int = 0
    fired_at: datetime | None = None


class Late(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A trigger from before the last resolve (re)opened it: until then nobody is paged (rule 16).

    `first`: whoever had it and is asked before the levels. `reopens`: it was resolved and counts as reopened.
    """

    until: datetime
    first: str = ""
    reopens: bool = False


class Duty(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The assignee has it as the person on call: at `until` the next one hears of it (rule 20).

    `begins`: when the assignee's shift begins, later for one asked as `next:`. `on_call`: who was on call on
    the schedule when last checked.
    """

    schedule: str
    user: str
    until: datetime
    begins: datetime | None = None
    on_call: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody was asked through a schedule and it is not settled: at `until` the next one is (rule 20).

    `begins`: when the shift of `user`, who was asked, begins. `on_call`: who was on call on the schedule when
    last checked. `heard`: the turns in which somebody was asked or told.
    """

    schedule: str
    user: str
    until: datetime
    begins: datetime | None = None
    on_call: str = ""
    point: bool = False  # asked by an escalation point: it is seen, not taken
    joins: bool = False  # somebody had taken it already and more people were asked
    heard: tuple[str, ...] = ()


class Acknowledged(msgspec.Struct, frozen=True):
    """Since when a person or a machine has had it; kept when it is given back (rule 3)."""

    at: datetime
    by_machine: bool = False


class PrioritySet(msgspec.Struct, frozen=True):
    """A person set the priority: who, as the timeline names them, and the rules' priority at that time."""

    by: str
    rules_said: int


class Grouped(msgspec.Struct, frozen=True):
    """It is one problem with another incident, its parent, while that one is open (rule 11)."""

    under: str


class Merged(msgspec.Struct, frozen=True):
    """It ended under another incident, for good (rule 13)."""

    into: str


class Members(msgspec.Struct, frozen=True):
    """The incidents grouped under this one: how many, and how many of them are open.

    `untold` have joined since whoever has the parent was last told, at `told_at`.
    """

    total: int = 0
    open: int = 0
    untold: int = 0
    told_at: datetime | None = None


class Confirmed(msgspec.Struct, frozen=True):
    """The customer said that it is solved; `rating` is 1–5, or 0 for none (rule 15)."""

    at: datetime
    rating: int = 0


class Doubt(msgspec.Struct, frozen=True):
    """When to ask whether it still stands, and why (rule 22)."""

    at: datetime
    why: str


class Snooze(msgspec.Struct, frozen=True):
    """The levels stand still until then because somebody said so; every clock goes on (rule 9)."""

    until: datetime
    by: str


class Waiting(msgspec.Struct, frozen=True):
    """Customer, vendor, …: while they are waited for the levels stand still, and the clocks that say so."""

    party: str
    until: datetime


class Suppressed(msgspec.Struct, frozen=True):
    """The rule, silence or maintenance that stops notifications (rule 11), by its name.

    `until`: when to check again at the latest. `then`: what becomes of the incident when it is over.
    """

    by: str
    until: datetime
    then: Then


class Approval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody with the authority decided on an overrun or a conflict."""

    decision: Literal["approve", "reject"]
    by: str
    at: datetime
    note: str = ""


class Subscriber(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who asked to hear of this one incident: a user, or (`via`, `address`) anybody."""

    who: str
    via: str = ""


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A decision failed: the incident waits for the next try while `last_resort` is paged."""

    error: str
    since: datetime
    tries: int
    retry_at: datetime
