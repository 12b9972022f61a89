"""Records that nobody can read or store: kept whole as dead letters, an incident tells of them (rule 18)."""

import uuid
from datetime import datetime
from typing import Final, assert_never

from services.router.batch.inbound import InboundSignal
from services.router.domain.draft.draft import derived_id
from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    RelatedMessage,
    TimerFired,
)
from shared.eventlog import Received, codec
from shared.eventlog.dead_letters import fitted
from shared.events import (
    INCIDENTS,
    OWN_INTEGRATION,
    DeadLetter,
    DeliveryReport,
    IncidentEvent,
    Message,
    RelatedChanged,
)

SERVICE: Final = "router"
_LONGEST_KEY: Final = 1024  # of what is shown of a key, in bytes


def read(record: Received) -> InboundSignal:
    """The signal in a record; for one that cannot be read, the event that tells of the dead letter."""
    origin = (record.partition.topic, record.partition.number, record.offset)
    try:
        if record.partition.topic == INCIDENTS:
            return _read_incident(record, origin)
        report = codec.decode(DeliveryReport, record.value, record.headers)
        incident_id = str(uuid.UUID(report.incident_id))
        return InboundSignal(DeliveryReported(report), incident_id, report.report_id, origin=origin)
    except ValueError as err:
        return of_unreadable(record, str(err))


def _read_incident(record: Received, origin: tuple[str, int, int]) -> InboundSignal:
    if record.headers.get("ce_type") == RelatedChanged.type.encode():
        told = codec.decode(RelatedChanged, record.value, record.headers)
        return InboundSignal(RelatedMessage(told), str(uuid.UUID(told.to)), told.message_id, origin=origin)
    event = codec.decode(IncidentEvent, record.value, record.headers)
    return InboundSignal(
        EventReceived(event), (event.integration, event.dedup_key), event.identity, origin=origin
    )


def of_unreadable(record: Received, reason: str) -> InboundSignal:
    """A record that is not what its topic promises."""
    topic, partition, offset = record.partition.topic, record.partition.number, record.offset
    letter = DeadLetter(
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
    return _telling(letter)


def of_refused(inbound: InboundSignal, reason: str) -> InboundSignal:
    """A signal whose values the database refuses."""
    match inbound.signal:
        case EventReceived(event):
            return of_message(event, event.received_at, reason, inbound.origin)
        case RelatedMessage(told):
            return of_message(told, told.at, reason, inbound.origin)
        case DeliveryReported(report):
            return of_message(report, report.at, reason, inbound.origin)
        case TimerFired() | ActionTaken():
            raise ValueError(f"{inbound.kind}: it came in no record that could be kept")
        case _:
            assert_never(inbound.signal)


def of_message(
    message: Message, at: datetime, reason: str, origin: tuple[str, int, int] | None = None
) -> InboundSignal:
    """A message whose values the database refuses. `origin`: topic, partition and offset of its record."""
    topic, partition, offset = origin or (message.topic, 0, 0)
    record = codec.encode(message)
    letter = DeadLetter(
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
    return _telling(letter)


def key_of(topic: str) -> str:
    """The dedup key of the incident about this topic's letters."""
    return f"dead-letter:{topic}"


def shown_key(letter: DeadLetter) -> str:
    """The record's key as people read it."""
    return letter.record_key[:_LONGEST_KEY].decode(errors="replace").replace("\0", "")


def event_of(letter: DeadLetter) -> IncidentEvent:
    """The event that tells of it."""
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


def _telling(whole: DeadLetter) -> InboundSignal:
    letter = fitted(whole)
    event = event_of(letter)
    return InboundSignal(
        EventReceived(event), (event.integration, event.dedup_key), letter.letter_id, dead_letter=letter
    )
