"""What Ladder's services tell each other through the log of events, as change events of Ladder's own.

A router of an older release writes such an event down and tells nobody about it.
"""

from datetime import datetime

from shared.events import OWN_INTEGRATION, IncidentEvent
from shared.json_object import JsonObject


def own_change(
    event_id: str, dedup_key: str, title: str, now: datetime, attributes: JsonObject | None = None
) -> IncidentEvent:
    """Such an event. Its key begins with what tells its kind."""
    return IncidentEvent(
        event_id=event_id,
        integration=OWN_INTEGRATION,
        dedup_key=dedup_key,
        action="change",
        received_at=now,
        title=title,
        severity="info",
        source="intake",
        attributes=dict(attributes or {}),
    )


def is_own_change(event: IncidentEvent, prefix: str) -> bool:
    """Whether the event is one whose key begins so."""
    return (
        event.integration == OWN_INTEGRATION
        and event.action == "change"
        and event.dedup_key.startswith(prefix)
    )
