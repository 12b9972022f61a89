"""What a format is: pure functions from a body to events, and the words of its answers."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from services.intake.formats.sanitize import Unreadable
from shared.events import IncidentEvent
from shared.http.problems import Fault, Problem

_EVENTS: Final = uuid.UUID("8d1f6a0e-52c4-5c1b-9b53-2f8a4e6f7d10")  # the namespace of senders' own ids
KEY_LENGTH: Final = 255
TITLE_LENGTH: Final = 1024
DESCRIPTION_LENGTH: Final = 16 * 1024
NAME_LENGTH: Final = 255  # of kinds, services, customers, …: short enough for any index
LABELS: Final = 64
LINKS: Final = 64
LABEL_LENGTH: Final = 4096  # a whole event stays far below what a record takes
LINK_TEXT_LENGTH: Final = 255
MOST_FAULTS: Final = 100  # that one refusal names


def fresh_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Post:
    """One HTTP post, as far as a format needs to know it."""

    integration: str
    received_at: datetime
    idempotency_key: str = ""
    lines: bool = False  # newline-delimited JSON
    content_type: str = ""  # as it was sent
    about: Mapping[str, str] | None = None  # a CloudEvent's attributes that came in headers
    headers: Mapping[str, str] = field(default_factory=dict)  # for mappings: lower-case, without any key
    fresh_id: Callable[[], str] = fresh_id  # randomness comes from outside

    def event_id(self, *index: int) -> str:
        """Derived from the sender's own id where it sent one (and the place in its batch), otherwise random.

        Bodies are never hashed: the same trigger, sent again after a resolve, has to page again.
        """
        if not self.idempotency_key:
            return self.fresh_id()
        return self.named_id(self.idempotency_key, *index)

    def named_id(self, *parts: str | int) -> str:
        """An id derived from the sender's own name for the event: same name, same event."""
        return str(uuid.uuid5(_EVENTS, msgspec.json.encode([self.integration, *parts]).decode()))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body says: its events and, for an integration's `map`, the JSON object behind each of them.

    `body` is the whole body where it holds more than the objects; None: each object is a body of its own.
    """

    events: Sequence[IncidentEvent]
    objects: Sequence[Mapping[str, Any]]
    batch: bool = False
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a whole body is refused."""

    faults: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as this format's clients expect it."""

    body: bytes
    media_type: bytes = b"application/json"
    status: int = 202


class Format(Protocol):
    """One module per format, registered by the `kind` of integrations."""

    @property
    def kind(self) -> str:
        """The kind of integration that it serves."""

    @property
    def longest_body(self) -> int:
        """In bytes, once decompressed."""

    @property
    def loose(self) -> bool:
        """Whether its events are complete only after the integration's `map` and `set`."""

    @property
    def throttled(self) -> int:
        """The status that tells its clients to try again later."""

    def read(self, body: bytes, post: Post) -> Reading | Refused:
        """The events of a body, or everything that is wrong with it."""

    def credential(self, body: bytes) -> str | Unreadable:
        """The key that the body itself carries; empty where the format has none."""

    def accepted(self, events: Sequence[IncidentEvent]) -> Answer:
        """The answer once the log has acknowledged the events."""

    def refused(self, problem: Problem) -> tuple[int, Answer]:
        """Status and body of a refusal."""


def with_notes(event: IncidentEvent, notes: Sequence[str]) -> IncidentEvent:
    """The event with more notes on how it was read."""
    return msgspec.structs.replace(event, notes=(*event.notes, *notes)) if notes else event
