"""What goes out: whom to page and whom to tell when an incident changes, and what became of each delivery."""

from datetime import datetime
from typing import ClassVar, Final, Literal

import msgspec

from shared.events.incident import IncidentSnapshot
from shared.events.message import DELIVERIES, ESCALATIONS, Message

LOOKING: Final = frozenset({"point", "worse"})  # `through` of pages that ask to look, beside the levels
BY_SILENCE: Final = "silence"  # `through` of a page that asks whether it still stands


ONE_INCIDENT: Final = "incident"  # `subscription` of who subscribed to this one incident
UNSUBSCRIBE: Final = "unsubscribe"  # the purpose of the signed links by which they leave
AN_ADDRESS: Final = "address"  # `subscription` of an address that the policy names; which one, only it knows


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One address of somebody: the channel (`email`, `webhook`, …), the address, its secret if it has one."""

    name: str
    channel: str
    address: str
    secret: str = ""


class Recipient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody to tell. Users and teams carry no contacts: the notifier takes theirs from the live policy.

    Customers and bare addresses carry theirs in the message, so that one added by API is reachable.
    """

    kind: Literal["user", "team", "customer", "address", "call"]
    name: str  # of the user, team, customer or of the bundle's `calls`; the address itself
    contacts: tuple[Contact, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person asked to take an incident. Each repeat of `finally` is a new page with a new id."""

    page_id: str
    recipient: Recipient
    level: str
    round: int = 1
    reason: str  # why this person, in a sentence
    # level | point | finally | last_resort | assignee | handoff | worse | silence: who may not wait
    through: str = "level"
    by_schedule: bool = False
    loud: bool = True
    since: datetime
    act_by: datetime | None = None
    otherwise: str = ""  # what happens next when nobody acts, in a sentence
    again: bool = False  # the same recipient was paged for it before, in this opening
    # the recipient's quiet hours whose `unless` is true, by their place in the policy: they delay nothing
    breaks_quiet: tuple[int, ...] = ()
    targets: tuple[
        str, ...
    ] = ()  # of a point at a share of a clock: whose clock, as in `IncidentSnapshot.clocks`


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody told, not asked: `event` is one of the outgoing webhook's types except `page`."""

    notice_id: str
    event: str
    recipient: Recipient
    text: str = ""
    reason: str = ""
    stakeholder: bool = False  # by a subscription: sees nothing internal
    template: str = ""
    digest_seconds: float = 0
    until: datetime | None = None  # not worth sending after that
    # only for whom a page of this version or a later one has reached (rule 21); 0: whatever reached them
    paged_since: int = 0
    # of `at_risk`, `breached` and points at a share of a clock: whose clocks, as in `IncidentSnapshot.clocks`
    targets: tuple[str, ...] = ()
    breaks_quiet: tuple[int, ...] = ()  # as of a page
    # by which subscription they hear it and can leave it: the target that means them, or ONE_INCIDENT
    subscription: str = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From now on no page of this incident that has not started may start."""

    why: str  # taken | resolved | …: `CalledOff` in services/router/domain/model/vocabulary.py
    by: str = ""
    told: bool = False  # whoever was paged hears of it by the notices of the same message


class ClockEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to one SLA clock: `event` is activate, pause, resume, fulfil, warn or breach."""

    target: str  # acknowledge | respond | update | resolve | close
    event: str
    sla: str = ""


class IncidentChanged(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What one decision changed about one incident, whom to page, whom to tell, and whether pages are off."""

    topic: ClassVar[str] = ESCALATIONS
    type: ClassVar[str] = "dev.ladder.incident.changed"

    message_id: str
    at: datetime
    caused_at: datetime | None = None  # when intake received the event behind it: start of the page's latency
    changes: tuple[str, ...] = ()  # opened, escalated, taken, resolved, …: the decision in single words
    why: tuple[str, ...] = ()  # the decision in sentences, as the timeline has them; internal
    actor: str = ""
    incident: IncidentSnapshot
    settled: Settled | None = None  # applies before the pages of the same message
    pages: tuple[Page, ...] = ()
    notices: tuple[Notice, ...] = ()
    clock_events: tuple[ClockEvent, ...] = ()  # in the order in which they happened
    answered: tuple[
        str, ...
    ] = ()  # pages that were seen without being taken: they are not sent by further ways

    @property
    def id(self) -> str:
        return self.message_id

    @property
    def key(self) -> str:
        return self.incident.id


class Announced(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Something to tell people that is about no single incident, such as a silence that is about to end."""

    topic: ClassVar[str] = ESCALATIONS
    type: ClassVar[str] = "dev.ladder.announced"

    message_id: str
    at: datetime
    event: str  # one of the outgoing webhook's types: maintenance, handoff; or `replies.ANSWERED`
    title: str
    text: str = ""
    reason: str = ""
    recipients: tuple[Recipient, ...] = ()
    stakeholder: bool = False  # they are outside, and read nothing internal
    subscription: str = ""  # as of a notice

    @property
    def id(self) -> str:
        return self.message_id

    @property
    def key(self) -> str:
        return self.message_id


class DeliveryReport(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one delivery. `page` says what is now known of the whole page (all its contacts)."""

    topic: ClassVar[str] = DELIVERIES
    type: ClassVar[str] = "dev.ladder.delivery.reported"

    report_id: str
    incident_id: str
    page_id: str = ""  # empty for a notice
    notice_id: str = ""
    delivery_id: str = ""
    recipient: str
    event: str = ""  # of a notice: what it was
    channel: str = ""
    contact: str = ""
    outcome: Literal["sent", "delivered", "failed", "cancelled"]
    page: Literal["", "reached", "unreachable"] = ""
    superseded_by: str = ""  # with `cancelled`: the newer page to the same contact that stands for it
    reason: str = ""
    attempts: int = 1
    at: datetime
    sends: tuple[str, ...] = ()  # of the canary's page: the channels that this notifier can send

    @property
    def id(self) -> str:
        return self.report_id

    @property
    def key(self) -> str:
        return self.incident_id
