"""An incident as the API shows it and as every message carries it."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from shared.json_object import JsonObject

Severity: TypeAlias = Literal["critical", "error", "warning", "info"]
Status: TypeAlias = Literal["triggered", "acknowledged", "resolved", "closed"]


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to look at; `image` when it is a picture."""

    href: str
    text: str = ""
    image: bool = False


class ClockSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One SLA target of one incident, as of the snapshot."""

    target: str  # acknowledge | respond | update | resolve | close
    state: str  # running | paused | fulfilled | breached | cancelled
    goal_seconds: float
    elapsed_seconds: float
    due_at: datetime | None
    breached: bool  # it was broken at least once, by what is promised now or before
    broken_before: bool = False  # broken under an earlier goal, or in an earlier period of `update`
    breaches: int = 0  # how often in all
    by: str = "anybody"  # whose act keeps it: person | anybody


class Upstream(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open incident of a service that another one depends on: perhaps the cause."""

    id: str
    service: str
    title: str = ""


class CustomerContact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way to reach a customer's people, as the customer's entry names it."""

    name: str
    channel: str
    address: str


class CustomerWord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the customer was told (`event`: as in `Notice`) or said (`confirm`, `refuse`)."""

    at: datetime
    event: str
    text: str = ""


class IncidentSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as the API shows it and as every message carries it."""

    id: str
    integration: str
    dedup_key: str
    title: str
    description: str = ""
    kind: str
    source: str = ""
    severity: Severity | None = None
    labels: dict[str, str] = {}
    attributes: JsonObject = {}
    links: tuple[Link, ...] = ()
    status: Status
    priority: int
    tier: str
    customer: str = ""
    customer_name: str = ""
    service: str = ""
    policy: str
    level: str = ""
    round: int = 1
    assignee: str = ""
    waiting_for: str = ""
    waiting_until: datetime | None = None
    snoozed_until: datetime | None = None
    decision: str = ""  # approve | reject, once somebody with the authority has decided
    decided_by: str = ""
    rating: int = 0  # 1–5, what the customer said on confirming; 0: nothing
    parent: str = ""  # the incident under which it is grouped, or into which it was merged
    members: int = 0  # how many are grouped under it
    members_open: int = 0
    suppressed_by: str = ""  # what stops the notifying; '' for nothing
    suppressed_until: datetime | None = None
    may_follow_from: tuple[Upstream, ...] = ()
    reopened: int = 0
    opened_at: datetime
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    last_event_at: datetime | None = None  # when its sender last said something; None: not known
    next_due_at: datetime | None = None
    clocks: tuple[ClockSnapshot, ...] = ()
    events: int = 1
    version: int = 1
    opened_as: str = ""  # its first title, where it has another one by now
    # For people inside only. Who the customer's people are, where one incident is shown; no secrets, no URLs
    customer_people: tuple[CustomerContact, ...] = ()
    customer_told: CustomerWord | None = None  # what they were told last
    customer_said: CustomerWord | None = None  # what they answered last


CUSTOMERS_OWN: Final = ("customer_people", "customer_told", "customer_said")
"""Fields that nobody outside reads, whatever a template names."""
