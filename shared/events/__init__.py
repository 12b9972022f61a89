"""The messages on the log, each with its topic, its key and its CloudEvents type.

A change adds a field with a default, or is a new type; consumers are deployed first. Times are aware UTC;
durations are seconds. Attributes stand as they were sent: whole numbers stay whole.
"""

from datetime import datetime
from typing import Any, ClassVar, Final, Literal, TypeAlias

import msgspec

INCIDENTS: Final = "ladder.incidents"
ESCALATIONS: Final = "ladder.escalations"
DELIVERIES: Final = "ladder.deliveries"
POLICY: Final = "ladder.policy"
DEAD_LETTER: Final = "ladder.dead-letter"
OWN_INTEGRATION: Final = "ladder"  # of incidents about Ladder itself: last_resort is told of each
REPLAYED: Final = "ladder_replayed"  # header of a record that comes again on purpose: its dead letter's id
MAX_BYTES: Final = 3 * 1024 * 1024  # of a record, as Kafka counts it
OVERHEAD_BYTES: Final = 1024  # of a batch around one record, which Kafka's limit includes
LARGEST_RECORD: Final = MAX_BYTES - OVERHEAD_BYTES  # key, value and headers: what both logs take
LOOKING: Final = frozenset({"point", "worse"})  # `through` of pages that ask to look, beside the levels
BY_SILENCE: Final = "silence"  # `through` of a page that asks whether it still stands
HEARTBEAT: Final = "heartbeat"  # the integration of incidents of late heartbeats; their key is its name

EventAction: TypeAlias = Literal[
    "trigger",
    "acknowledge",
    "resolve",
    "update",
    "note",
    "change",
    "unacknowledge",  # this one and those below: what a sender asks for on behalf of people
    "snooze",
    "escalate",
    "assign",
]
Severity: TypeAlias = Literal["critical", "error", "warning", "info"]
Status: TypeAlias = Literal["triggered", "acknowledged", "resolved", "closed"]


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every message can say of itself."""

    topic: ClassVar[str]
    type: ClassVar[str]

    @property
    def id(self) -> str:
        """The CloudEvents id: the same message sent twice carries the same one."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The record key: messages with one key keep their order."""
        raise NotImplementedError


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to look at; `image` when it is a picture."""

    href: str
    text: str = ""
    image: bool = False


class IncidentEvent(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a sender said, whatever format it came in. None means: not said.

    Everything in it has been bounded and cleaned by intake, so that the database can never refuse it.
    """

    topic: ClassVar[str] = INCIDENTS
    type: ClassVar[str] = "dev.ladder.event"

    event_id: str
    integration: str
    dedup_key: str
    action: EventAction = "trigger"
    received_at: datetime
    title: str | None = None
    description: str | None = None
    kind: str | None = None
    severity: Severity | None = None
    impact: int | None = None
    urgency: int | None = None
    customer: str | None = None
    tier: str | None = None
    service: str | None = None
    source: str | None = None
    attributes: dict[str, Any] = {}
    details_whole: bool = False  # these attributes replace those of the event before that said so, too
    labels: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    occurred_at: datetime | None = None
    waiting_for: str | None = None  # '' ends the waiting
    until: datetime | None = None  # snooze
    to: str | None = None  # assign: who; escalate: a policy or level, None for the next level
    notes: tuple[str, ...] = ()  # what intake mapped, cut or replaced, in words
    # Expressions of the integration's `map` that failed, and why, by their places: `title`, `[1].map.title`.
    unmapped: dict[str, str] = {}
    said: str = ""  # hash of what was sent, where the sender named the event itself
    alert_group: str = ""  # the group of alerts that it was sent with (Alertmanager's groupKey)
    left_out: int = 0  # how many alerts of that group its sender left out of the same post
    alert_group_over: bool = False  # every alert of that post is resolved; of one event of the post only

    @property
    def id(self) -> str:
        return self.event_id

    @property
    def identity(self) -> str:
        """What a repeat has in common with the first one: a sender's own id twice can mean two events."""
        return f"{self.event_id}/{self.said}" if self.said else self.event_id

    @property
    def key(self) -> str:
        return f"{self.integration}:{self.dedup_key}"


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
    attributes: dict[str, Any] = {}
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


class Settled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From now on no page of this incident that has not started may start."""

    why: str  # taken | resolved | waiting | snoozed | closed | …
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

    @property
    def id(self) -> str:
        return self.message_id

    @property
    def key(self) -> str:
        return self.incident.id


class RelatedChanged(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What one incident tells another one: an incident never writes another one (grouping, causes, merge).

    It travels through the outbox like everything else, and is taken like an event.
    """

    topic: ClassVar[str] = INCIDENTS
    type: ClassVar[str] = "dev.ladder.incident.related"

    message_id: str
    to: str  # the id of the incident that is told
    incident_id: str  # the one that tells
    relation: (
        str  # joined | left | changed | ended | cause_ended | merged | …: services/router/domain says which
    )
    at: datetime
    title: str = ""
    priority: int = 0
    status: str = ""
    values: dict[str, Any] = {}

    @property
    def id(self) -> str:
        return self.message_id

    @property
    def key(self) -> str:
        return self.to


class HeartbeatReceived(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A heartbeat of the policy beat. On the partition of its own incident."""

    topic: ClassVar[str] = INCIDENTS
    type: ClassVar[str] = "dev.ladder.heartbeat"

    beat_id: str
    name: str
    at: datetime  # when intake received it
    by: str = ""  # the integration whose key it came with
    run: str = ""  # which run it is of, where several overlap (`rid`)
    text: str = ""  # the body
    exit_status: int | None = None

    @property
    def id(self) -> str:
        return self.beat_id

    @property
    def key(self) -> str:
        return f"{HEARTBEAT}:{self.name}"


class HeartbeatSignalled(HeartbeatReceived, frozen=True, kw_only=True, omit_defaults=True):
    """What a heartbeat says beside that it beats: it begins, it failed, or a remark (healthchecks.io)."""

    type: ClassVar[str] = "dev.ladder.heartbeat.signal"

    signal: Literal["start", "fail", "log"]


class Announced(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Something to tell people that is about no single incident, such as a silence that is about to end."""

    topic: ClassVar[str] = ESCALATIONS
    type: ClassVar[str] = "dev.ladder.announced"

    message_id: str
    at: datetime
    event: str  # one of the outgoing webhook's types: maintenance, handoff
    title: str
    text: str = ""
    reason: str = ""
    recipients: tuple[Recipient, ...] = ()

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


class PolicyPublished(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The policy bundle in force, checked, as JSON; of a compacted topic: the newest revision is the policy.

    How it travels, whole or compressed, is settled by `shared.policy.publishing.wire_format`.
    """

    topic: ClassVar[str] = POLICY
    type: ClassVar[str] = "dev.ladder.policy.published"

    hash: str
    revision: int  # grows with every switch; a lower one never replaces a higher one
    at: datetime
    bundle: msgspec.Raw

    @property
    def id(self) -> str:
        return f"{self.revision}-{self.hash}"

    @property
    def key(self) -> str:
        return "bundle"


class DeadLetter(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A record that could not be read or applied, with the reason it was set aside.

    It holds as much of the record as the log takes: whole where `record_value` has `true_size` bytes
    (`shared.eventlog.dead_letters.fitted`).
    """

    topic: ClassVar[str] = DEAD_LETTER
    type: ClassVar[str] = "dev.ladder.dead-letter"

    letter_id: str
    at: datetime
    service: str
    reason: str
    from_topic: str
    partition: int
    offset: int
    record_key: bytes
    record_headers: dict[str, bytes] = {}
    record_value: bytes
    true_size: int = 0  # of the record's whole value, in bytes
    sha256: str = ""  # of the record's whole value, in hex

    @property
    def id(self) -> str:
        return self.letter_id

    @property
    def key(self) -> str:
        return f"{self.from_topic}:{self.partition}:{self.offset}"


MESSAGES: Final[tuple[type[Message], ...]] = (
    IncidentEvent,
    HeartbeatReceived,
    HeartbeatSignalled,
    RelatedChanged,
    IncidentChanged,
    Announced,
    DeliveryReport,
    PolicyPublished,
    DeadLetter,
)
