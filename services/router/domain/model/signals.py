"""Signals: an event, a due timer, a person's action, a delivery report, another incident's message."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from services.router.domain.model.incident_fields import FieldChanges
from services.router.domain.model.vocabulary import ActionName, UnknownAction
from shared.events import DeliveryReport, IncidentEvent, RelatedChanged
from shared.policy.model.base import HasRole, Role


@dataclass(frozen=True, slots=True)
class EventReceived:
    """A sender said something."""

    event: IncidentEvent

    @property
    def id(self) -> str:
        return self.event.identity


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The incident's next due time has come."""


@dataclass(frozen=True, slots=True)
class DeliveryReported:
    """The notifier says what became of a page."""

    report: DeliveryReport

    @property
    def id(self) -> str:
        return self.report.report_id


@dataclass(frozen=True, slots=True)
class RelatedMessage:
    """A message from another incident: a member of its group, its cause, what it was merged into."""

    message: RelatedChanged

    @property
    def id(self) -> str:
        return self.message.message_id


@dataclass(frozen=True, slots=True)
class Actor(HasRole):
    """Who acts. `user` is empty for a key that acts for nobody; it then appears as `api:NAME`."""

    name: str
    role: Role
    user: str = ""


@dataclass(frozen=True, slots=True)
class ActionArguments:
    """The arguments of an action, which picks those that it needs. The API bounds their length."""

    note: str = ""
    text: str = ""
    level: str = ""
    policy: str = ""
    because: str = ""
    assignee: str = ""
    page: str = ""  # the page that is being answered
    to: str = ""  # assign: a user
    until: datetime | None = None  # snooze, wait
    waiting_for: str = ""  # wait: customer, vendor, …
    changes: FieldChanges = field(default_factory=FieldChanges)  # set
    decision: str = ""  # decide: approve | reject
    into: str = ""  # merge: an incident's id
    rating: int = 0  # confirm: 1–5
    who: str = ""  # subscribe: a user or an address
    via: str = ""  # subscribe: the channel of the address


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """A person (or a key acting for one) does something to the incident."""

    action: ActionName | UnknownAction
    actor: Actor
    arguments: ActionArguments = field(default_factory=ActionArguments)
    id: str = ""  # from Idempotency-Key, otherwise random; the shell's inbox drops a repeat


Signal: TypeAlias = EventReceived | TimerFired | DeliveryReported | ActionTaken | RelatedMessage
