"""The messages on the log, each with its topic, its key and its CloudEvents type.

A change adds a field with a default, or is a new type; consumers are deployed first. Times are aware UTC;
durations are seconds. Attributes stand as they were sent: whole numbers stay whole.
"""

from typing import Final

from shared.events.dead_letter import DeadLetter
from shared.events.incident import (
    CUSTOMERS_OWN,
    ClockSnapshot,
    CustomerContact,
    CustomerWord,
    IncidentSnapshot,
    Link,
    Severity,
    Status,
    Upstream,
)
from shared.events.message import (
    DEAD_LETTER,
    DELIVERIES,
    ESCALATIONS,
    INCIDENTS,
    LARGEST_RECORD,
    MAX_BYTES,
    OVERHEAD_BYTES,
    POLICY,
    REPLAYED,
    Message,
)
from shared.events.notifications import (
    AN_ADDRESS,
    BY_SILENCE,
    LOOKING,
    ONE_INCIDENT,
    UNSUBSCRIBE,
    Announced,
    ClockEvent,
    Contact,
    DeliveryReport,
    IncidentChanged,
    Notice,
    Page,
    Recipient,
    Settled,
)
from shared.events.policy import PolicyPublished
from shared.events.signals import (
    HEARTBEAT,
    OWN_INTEGRATION,
    EventAction,
    HeartbeatReceived,
    HeartbeatSignalled,
    IncidentEvent,
    RelatedChanged,
)

__all__ = [
    "AN_ADDRESS",
    "BY_SILENCE",
    "CUSTOMERS_OWN",
    "DEAD_LETTER",
    "DELIVERIES",
    "ESCALATIONS",
    "HEARTBEAT",
    "INCIDENTS",
    "LARGEST_RECORD",
    "LOOKING",
    "MAX_BYTES",
    "MESSAGES",
    "ONE_INCIDENT",
    "OVERHEAD_BYTES",
    "OWN_INTEGRATION",
    "POLICY",
    "REPLAYED",
    "UNSUBSCRIBE",
    "Announced",
    "ClockEvent",
    "ClockSnapshot",
    "Contact",
    "CustomerContact",
    "CustomerWord",
    "DeadLetter",
    "DeliveryReport",
    "EventAction",
    "HeartbeatReceived",
    "HeartbeatSignalled",
    "IncidentChanged",
    "IncidentEvent",
    "IncidentSnapshot",
    "Link",
    "Message",
    "Notice",
    "Page",
    "PolicyPublished",
    "Recipient",
    "RelatedChanged",
    "Settled",
    "Severity",
    "Status",
    "Upstream",
]

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
