"""The fields that `Draft.set`, `Draft.set_chain` and the action `set` accept, with their types.

Type checkers cannot derive the first two from a struct; a test compares them.
"""

from datetime import datetime
from typing import TypedDict

from services.router.domain.model.clock import Clock
from services.router.domain.model.parts import (
    Acknowledged,
    Approval,
    Asked,
    Chain,
    ChainState,
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
from shared.events import CustomerWord, Link, Severity, Status, Upstream
from shared.json_object import JsonObject


class IncidentFields(TypedDict, total=False):
    """The fields of an incident."""

    id: str
    integration: str
    dedup_key: str
    policy_hash: str
    title: str
    opened_at: datetime
    touched_at: datetime
    decided_at: datetime
    chain: Chain
    opened_as: str
    description: str
    kind: str
    source: str
    severity: Severity | None
    severest: Severity | None
    kinds: tuple[str, ...]
    impact: int
    urgency: int
    labels: dict[str, str]
    attributes: JsonObject
    details: tuple[str, ...]
    links: tuple[Link, ...]
    customer: str
    customer_name: str
    tier: str
    said_tier: str
    service: str
    status: Status
    priority: int
    pinned: tuple[str, ...]
    assignee: str
    explains: tuple[str, ...]
    may_follow_from: tuple[Upstream, ...]
    ended_itself: bool
    duty: Duty | None
    unsettled: tuple[Asked, ...]
    approval: Approval | None
    customer_told: CustomerWord | None
    customer_said: CustomerWord | None
    subscribers: tuple[Subscriber, ...]
    told: tuple[str, ...]
    avoided: bool
    handed_up: int
    solved_at: str
    reopened: int
    person_took_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    asked_at: datetime | None
    sla: str
    clocks: tuple[Clock, ...]
    clocks_from: datetime | None
    answered_at: datetime | None
    told_at: datetime | None
    person_answered_at: datetime | None
    person_told_at: datetime | None
    confirm_asked: int
    points: dict[str, PointState]
    pages: tuple[OpenPage, ...]
    paged: tuple[Paged, ...] | None
    pages_made: int
    followers: tuple[str, ...]
    source_time: datetime | None
    late: Late | None
    previous: str
    last_event_at: datetime | None
    quiet_from: datetime | None
    still_asked: bool
    said_to_stand: bool
    alert_group: str
    alert_group_cut: bool
    stuck: Stuck | None
    events: int
    version: int
    next_due_at: datetime | None
    acknowledged: Acknowledged | None
    priority_set: PrioritySet | None
    snooze: Snooze | None
    waiting: Waiting | None
    suppression: Suppressed | None
    belongs_to: Grouped | Merged | None
    group: Members | None
    doubt: Doubt | None
    confirmed: Confirmed | None


class ChainFields(TypedDict, total=False):
    """The fields of its chain."""

    policy: str
    level: int
    round: int
    since: datetime
    state: ChainState
    due: datetime | None
    ends: datetime | None
    lowest: int
    entered: tuple[str, ...]
    failed_step_at: datetime | None
    unasked: bool
    by_name: bool
    turn: int
    calendar: str
    grace_due: bool


class FieldChanges(TypedDict, total=False):
    """What a person or an escalation point sets; of `attributes` only those named, and null removes one."""

    priority: int
    kind: str
    service: str  # '' for none
    customer: str  # an id, a name or an address; '' for none
    attributes: JsonObject
