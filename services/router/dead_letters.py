"""Records that nobody can read or store: kept whole as dead letters, an incident tells of them (rule 18)."""

import uuid
from typing import Final

from services.router.arrivals import Arrival
from services.router.domain.draft import derived_id
from services.router.domain.signals import DeliveryReported, EventReceived, RelatedTold
from shared import codec
from shared.eventlog import Received
from shared.events import (
    INCIDENTS,
    OWN_INTEGRATION,
    DeadLetter,
    DeliveryReport,
    IncidentEvent,
    RelatedChanged,
)

_SERVICE: Final = "router"


def read(record: Received) -> Arrival:
    """The signal in a record; for one that cannot be read, the event that tells of the dead letter."""
    origin = (record.partition.topic, record.partition.number, record.offset)
    try:
        if record.partition.topic == INCIDENTS:
            return _read_incident(record, origin)
        report = codec.decode(DeliveryReport, record.value, record.headers)
        incident_id = str(uuid.UUID(report.incident_id))
        return Arrival(DeliveryReported(report), incident_id, report.report_id, origin=origin)
    except ValueError as err:
        return of_unreadable(record, str(err))


def _read_incident(record: Received, origin: tuple[str, int, int]) -> Arrival:
    if record.headers.get("ce_type") == RelatedChanged.type.encode():
        told = codec.decode(RelatedChanged, record.value, record.headers)
        return Arrival(RelatedTold(told), str(uuid.UUID(told.to)), told.message_id, origin=origin)
    event = codec.decode(IncidentEvent, record.value, record.headers)
    return Arrival(EventReceived(event), (event.integration, event.dedup_key), event.event_id, origin=origin)


def of_unreadable(record: Received, reason: str) -> Arrival:
    """A record that is not what its topic promises."""
    topic, partition, offset = record.partition.topic, record.partition.number, record.offset
    letter = DeadLetter(
        letter_id=derived_id("dead letter", topic, partition, offset),
        at=record.at,
        service=_SERVICE,
        reason=reason[:1000].replace("\0", "\N{REPLACEMENT CHARACTER}"),
        from_topic=topic,
        partition=partition,
        offset=offset,
        record_key=record.key,
        record_headers=dict(record.headers),
        record_value=record.value,
    )
    return _telling(letter)


def of_refused(arrival: Arrival, reason: str) -> Arrival:
    """A signal whose values the database refuses."""
    signal = arrival.signal
    topic, partition, offset = arrival.origin or ("", 0, 0)
    message: IncidentEvent | DeliveryReport | RelatedChanged
    if isinstance(signal, EventReceived):
        message, at = signal.event, signal.event.received_at
    elif isinstance(signal, RelatedTold):
        message, at = signal.message, signal.message.at
    else:
        assert isinstance(signal, DeliveryReported)
        message, at = signal.report, signal.report.at
    record = codec.encode(message)
    letter = DeadLetter(
        letter_id=derived_id("dead letter", topic or message.topic, partition, offset, message.id),
        at=at,
        service=_SERVICE,
        reason=reason.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        from_topic=topic or message.topic,
        partition=partition,
        offset=offset,
        record_key=record.key,
        record_headers=dict(record.headers),
        record_value=record.value,
    )
    return _telling(letter)


def _telling(letter: DeadLetter) -> Arrival:
    event = IncidentEvent(
        event_id=letter.letter_id,
        integration=OWN_INTEGRATION,
        dedup_key=f"dead-letter:{letter.from_topic}",
        received_at=letter.at,
        title=f"Ladder set aside a record of {letter.from_topic} that it cannot use",
        description=f"{letter.reason} (partition {letter.partition}, offset {letter.offset})",
        severity="critical",
        source=_SERVICE,
    )
    return Arrival(
        EventReceived(event), (event.integration, event.dedup_key), letter.letter_id, letter=letter
    )
