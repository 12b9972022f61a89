"""What comes in: the events of senders, heartbeats, and what one incident tells another one."""

from datetime import datetime
from typing import ClassVar, Final, Literal, TypeAlias

from shared.events.incident import Link, Severity
from shared.events.message import INCIDENTS, Message
from shared.json_object import JsonObject

OWN_INTEGRATION: Final = "ladder"  # of incidents about Ladder itself: last_resort is told of each
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
    attributes: JsonObject = {}
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


class RelatedChanged(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What one incident tells another one: an incident never writes another one (grouping, causes, merge).

    It travels through the outbox like everything else, and is taken like an event.
    """

    topic: ClassVar[str] = INCIDENTS
    type: ClassVar[str] = "dev.ladder.incident.related"

    message_id: str
    to: str  # the id of the incident that is told
    incident_id: str  # the one that tells
    relation: str  # joined | left | changed | …: `Relation` in services/router/domain/model/vocabulary.py
    at: datetime
    title: str = ""
    priority: int = 0
    status: str = ""
    values: JsonObject = {}

    @property
    def id(self) -> str:
        return self.message_id

    @property
    def key(self) -> str:
        return self.to
