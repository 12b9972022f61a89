"""Records that cannot be read or stored: kept as dead letters, with an incident about them (rule 18)."""

from datetime import datetime
from typing import Final, TypeAlias, assert_never

from services.router.domain.draft.draft import derived_id
from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    RelatedMessage,
    Signal,
    TimerFired,
)
from shared.eventlog import Received, codec
from shared.events import OWN_INTEGRATION, DeadLetter, IncidentEvent, Message

Origin: TypeAlias = tuple[str, int, int]
"""A record's place: topic, partition, offset."""

SERVICE: Final = "router"
_LONGEST_KEY: Final = 1024  # bytes of a key that are shown


def of_unreadable(record: Received, reason: str) -> DeadLetter:
    """The letter for a record that is not what its topic promises."""
    topic, partition, offset = record.partition.topic, record.partition.number, record.offset
    return DeadLetter(
        letter_id=derived_id("dead letter", topic, partition, offset),
        at=record.at,
        service=SERVICE,
        reason=reason[:1000].replace("\0", "\N{REPLACEMENT CHARACTER}"),
        from_topic=topic,
        partition=partition,
        offset=offset,
        record_key=record.key,
        record_headers=dict(record.headers),
        record_value=record.value,
    )


def of_refused(signal: Signal, reason: str, origin: Origin | None) -> DeadLetter:
    """The letter for a signal that the database refuses. Raises ValueError if it did not come in a record."""
    match signal:
        case EventReceived(event):
            return of_message(event, event.received_at, reason, origin)
        case RelatedMessage(message):
            return of_message(message, message.at, reason, origin)
        case DeliveryReported(report):
            return of_message(report, report.at, reason, origin)
        case TimerFired() | ActionTaken():
            raise ValueError(f"{type(signal).__name__}: it came in no record that could be kept")
        case _:
            assert_never(signal)


def of_message(message: Message, at: datetime, reason: str, origin: Origin | None = None) -> DeadLetter:
    """The letter for a message that the database refuses."""
    topic, partition, offset = origin or (message.topic, 0, 0)
    record = codec.encode(message)
    return DeadLetter(
        letter_id=derived_id("dead letter", topic, partition, offset, message.id),
        at=at,
        service=SERVICE,
        reason=reason.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        from_topic=topic,
        partition=partition,
        offset=offset,
        record_key=record.key,
        record_headers=dict(record.headers),
        record_value=record.value,
    )


def key_of(topic: str) -> str:
    """The dedup key of the incident about this topic's letters."""
    return f"dead-letter:{topic}"


def shown_key(letter: DeadLetter) -> str:
    """The record's key as people can read it."""
    return letter.record_key[:_LONGEST_KEY].decode(errors="replace").replace("\0", "")


def event_of(letter: DeadLetter) -> IncidentEvent:
    """The event about a dead letter."""
    return IncidentEvent(
        event_id=letter.letter_id,
        integration=OWN_INTEGRATION,
        dedup_key=key_of(letter.from_topic),
        received_at=letter.at,
        title=f"Ladder set aside a record of {letter.from_topic} that it cannot use",
        description=(
            f"{letter.reason} (partition {letter.partition}, offset {letter.offset}). "
            f"To look at it: `ladder dead-letters show {letter.letter_id}`"
        ),
        severity="critical",
        source=letter.service,
    )
