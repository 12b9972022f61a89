"""Inbound signals with their address, read from records.

The address says which incident a signal is for; repeats are recognised by the id.
"""

import uuid
from dataclasses import dataclass
from typing import Final, TypeAlias

from services.router.batch import dead_letters
from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    RelatedMessage,
    Signal,
    TimerFired,
)
from shared.eventlog import Received, codec
from shared.eventlog.dead_letters import fit_into_record
from shared.events import INCIDENTS, DeadLetter, DeliveryReport, IncidentEvent, RelatedChanged

Key: TypeAlias = tuple[str, str]
"""Integration and dedup key."""

_KINDS: Final = {
    EventReceived: "event",
    TimerFired: "timer",
    DeliveryReported: "report",
    ActionTaken: "action",
    RelatedMessage: "related",
}


@dataclass(frozen=True, slots=True)
class InboundSignal:
    """One signal. `address` is an incident's id, or a key: then it is for the newest incident of that key.

    `dead_letter` is the unreadable record that the signal reports, published with it. `origin` names the
    record it came in (topic, partition, offset), in case the database refuses it.
    """

    signal: Signal
    address: str | Key
    id: str = ""  # by which a repeat is recognised; '' when there is none
    dead_letter: DeadLetter | None = None
    origin: dead_letters.Origin | None = None

    @property
    def kind(self) -> str:
        """One word: event, timer, report, action, related."""
        return _KINDS[type(self.signal)]


def read(record: Received) -> InboundSignal:
    """The signal in a record; for an unreadable one, the event that reports its dead letter."""
    origin = (record.partition.topic, record.partition.number, record.offset)
    try:
        if record.partition.topic == INCIDENTS:
            return _of_incident(record, origin)
        report = codec.decode(DeliveryReport, record.value, record.headers)
        incident_id = str(uuid.UUID(report.incident_id))
        return InboundSignal(DeliveryReported(report), incident_id, report.report_id, origin=origin)
    except ValueError as err:
        return telling_of(dead_letters.of_unreadable(record, str(err)))


def own_event(event: IncidentEvent) -> InboundSignal:
    """An event that Ladder itself has made."""
    return InboundSignal(EventReceived(event), (event.integration, event.dedup_key), event.event_id)


def telling_of(letter: DeadLetter) -> InboundSignal:
    """The event that reports a dead letter, with as much of the record as the log takes."""
    letter = fit_into_record(letter)
    event = dead_letters.event_of(letter)
    address = (event.integration, event.dedup_key)
    return InboundSignal(EventReceived(event), address, letter.letter_id, dead_letter=letter)


def refused(inbound: InboundSignal, reason: str) -> InboundSignal:
    """The report of a signal that the database refuses. Raises ValueError if it did not come in a record."""
    return telling_of(dead_letters.of_refused(inbound.signal, reason, inbound.origin))


def _of_incident(record: Received, origin: dead_letters.Origin) -> InboundSignal:
    if record.headers.get("ce_type") == RelatedChanged.type.encode():
        message = codec.decode(RelatedChanged, record.value, record.headers)
        address = str(uuid.UUID(message.to))
        return InboundSignal(RelatedMessage(message), address, message.message_id, origin=origin)
    event = codec.decode(IncidentEvent, record.value, record.headers)
    address_key = (event.integration, event.dedup_key)
    return InboundSignal(EventReceived(event), address_key, event.identity, origin=origin)
