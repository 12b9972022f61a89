"""The incident: one frozen value that decisions replace, never change.

Times are aware UTC; durations are seconds. Its row keeps it as JSON (`stored`); a new field needs a default,
so that rows of the last release can still be read.
"""

from datetime import datetime
from typing import Final

import msgspec

from services.router.domain.model.clock import Clock
from services.router.domain.model.parts import (
    Acknowledged,
    Approval,
    Asked,
    Chain,
    Confirmed,
    Doubt,
    Duty,
    Grouped,
    Late,
    Members,
    Merged,
    OpenPage,
    Paged,
    PointState,
    PrioritySet,
    Snooze,
    Stuck,
    Subscriber,
    Suppressed,
    Waiting,
)
from services.router.domain.model.vocabulary import StandsStill
from shared.events import CustomerWord, Link, Severity, Status, Upstream
from shared.json_object import JsonObject

OPEN: Final[frozenset[Status]] = frozenset({"triggered", "acknowledged"})
# The standstills in which nobody is told.
MUTED: Final[frozenset[StandsStill]] = frozenset({"grouped", "suppressed"})


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of an incident that its row keeps as they are.

    Not `kw_only`: they are copied by position, which is five times as fast.
    """

    id: str
    integration: str
    dedup_key: str
    policy_hash: str
    title: str
    opened_at: datetime
    touched_at: datetime  # the last sign of life from a person or a sender
    decided_at: datetime  # the `now` of the last decision: time never runs backwards
    chain: Chain
    opened_as: str = ""  # its first title, if it has another one by now
    description: str = ""
    kind: str = "incident"
    source: str = ""
    severity: Severity | None = None
    severest: Severity | None = None  # the worst since it differed from the one it opened with
    kinds: tuple[str, ...] = ()  # every kind it has had, once there are several
    impact: int = 0
    urgency: int = 0
    labels: dict[str, str] = {}
    attributes: JsonObject = {}
    details: tuple[str, ...] = ()  # attribute names from the last event that stated all of them
    links: tuple[Link, ...] = ()
    customer: str = ""
    customer_name: str = ""
    tier: str = ""
    said_tier: str = ""  # the tier that an event itself carried
    service: str = ""
    status: Status = "triggered"
    priority: int = 3
    pinned: tuple[str, ...] = ()  # fields set by a person: no event changes them
    assignee: str = ""
    explains: tuple[str, ...] = ()  # suppression rules by which it is the cause of others
    may_follow_from: tuple[Upstream, ...] = ()  # open incidents of services that its own depends on
    ended_itself: bool = False  # its sender says that it ended, but incidents grouped under it are open
    duty: Duty | None = None
    unsettled: tuple[Asked, ...] = ()  # what was asked through schedules and is not settled
    approval: Approval | None = None
    customer_told: CustomerWord | None = None  # what the customer was told last
    customer_said: CustomerWord | None = None  # what the customer answered last
    subscribers: tuple[Subscriber, ...] = ()
    told: tuple[str, ...] = ()  # subscriptions of the policy that heard of it: they hear its end
    avoided: bool = False  # solved while automation had its chance: nobody was paged
    handed_up: int = 0  # how often it went to another level or policy
    solved_at: str = ""  # the name of the level that solved it
    reopened: int = 0
    person_took_at: datetime | None = None  # when a person first took it since it opened
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    asked_at: datetime | None = None  # when the assignee was asked whether it was forgotten
    sla: str = ""  # the name of the SLA that applies, as in `clocks`
    clocks: tuple[Clock, ...] = ()
    clocks_from: datetime | None = None  # when its clocks began, if not at the opening (rule 11)
    answered_at: datetime | None = None  # when the customer got the first update
    told_at: datetime | None = None  # when stakeholders got the last update
    person_answered_at: datetime | None = None  # the same, by a person
    person_told_at: datetime | None = None
    confirm_asked: int = 0  # times the customer was asked to confirm since it was last resolved
    points: dict[str, PointState] = {}
    pages: tuple[OpenPage, ...] = ()
    paged: tuple[Paged, ...] | None = None  # since it opened; None (the last release): those in `pages`
    pages_made: int = 0
    followers: tuple[str, ...] = ()
    source_time: datetime | None = None  # of the key's last resolve, as compared; None: it carried none
    late: Late | None = None
    previous: str = ""  # the previous incident of the same key
    last_event_at: datetime | None = None  # when its sender last spoke; None in rows of an earlier release
    quiet_from: datetime | None = None  # when what kept it still or closed ended: a silence counts from there
    still_asked: bool = False  # whether somebody was asked in this silence if it still stands
    said_to_stand: bool = False  # by a person, in this silence
    alert_group: str = ""  # the group that its sender sends it with
    alert_group_cut: bool = False  # its sender left alerts of that group out
    stuck: Stuck | None = None
    events: int = 1
    version: int = 1
    next_due_at: datetime | None = None


class Incident(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One problem, from its first event to its close: its record, and the parts that it has or lacks."""

    acknowledged: Acknowledged | None = None
    priority_set: PrioritySet | None = None
    snooze: Snooze | None = None
    waiting: Waiting | None = None
    suppression: Suppressed | None = None
    belongs_to: Grouped | Merged | None = None
    group: Members | None = None
    doubt: Doubt | None = None
    confirmed: Confirmed | None = None

    @property
    def is_open(self) -> bool:
        """Triggered or acknowledged: somebody still has to solve it."""
        return self.status in OPEN

    @property
    def is_muted(self) -> bool:
        """Suppressed, or grouped under another: everything is recorded, nobody is told (rule 11)."""
        return self.stands_still in MUTED

    @property
    def stands_still(self) -> StandsStill:
        """Why the levels stand still although nothing is solved, in one word; '' when they move."""
        if self.belongs_to is not None:
            return "grouped"
        if self.suppression is not None:
            return "suppressed"
        if self.snooze is not None:
            return "snoozed"
        if self.waiting is not None:
            return "waiting"
        return "held" if self.late is not None else ""

    @property
    def suppressed_by(self) -> str:
        """The rule, silence or maintenance that stops notifications; '' when none does."""
        return self.suppression.by if self.suppression is not None else ""

    @property
    def waiting_for(self) -> str:
        """The party that is waited for; '' when there is none."""
        return self.waiting.party if self.waiting is not None else ""

    @property
    def taken_by_person_at(self) -> datetime | None:
        """When a person took it since it opened; the first releases did not tell machines apart."""
        return self.person_took_at or (None if self.by_machine else self.acknowledged_at)

    @property
    def acknowledged_at(self) -> datetime | None:
        """When a person or a machine last took it since it opened."""
        return self.acknowledged.at if self.acknowledged is not None else None

    @property
    def by_machine(self) -> bool:
        """Whether that was a machine."""
        return self.acknowledged is not None and self.acknowledged.by_machine

    @property
    def parent(self) -> str:
        """The incident that this one is grouped under or was merged into; '' when there is none."""
        match self.belongs_to:
            case Grouped(parent) | Merged(parent):
                return parent
            case None:
                return ""

    @property
    def merged(self) -> bool:
        """Whether it ended under its parent, for good."""
        return isinstance(self.belongs_to, Merged)

    @property
    def members(self) -> int:
        """How many are grouped under this one."""
        return self.group.total if self.group is not None else 0

    @property
    def members_open(self) -> int:
        """How many of them are open."""
        return self.group.open if self.group is not None else 0

    @property
    def promised_by(self) -> str:
        """The SLA that applies; rows of the last release have it on their clocks only."""
        return self.sla or next((clock.sla for clock in self.clocks if clock.state != "cancelled"), "")

    @property
    def key(self) -> tuple[str, str]:
        return self.integration, self.dedup_key
