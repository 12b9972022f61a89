"""A stalled loop of this router: an incident about Ladder itself, so that `last_resort` hears of it."""

import socket
from datetime import datetime
from typing import Final

from services.router.batch.inbound import InboundSignal, own_event
from services.router.domain.draft.draft import derived_id
from shared.events import OWN_INTEGRATION, IncidentEvent

_HOST: Final = socket.gethostname()


def telling(loop: str, why: str, now: datetime) -> InboundSignal:
    """The event that opens it with this reason, or resolves it when there is none."""
    event = IncidentEvent(
        event_id=derived_id("ailing", _HOST, loop, now.isoformat()),
        integration=OWN_INTEGRATION,
        dedup_key=f"loop:{loop}:{_HOST}",
        action="trigger" if why else "resolve",
        received_at=now,
        title=f"Ladder's loop {loop!r} on {_HOST} does not come on" if why else None,
        description=f"It is tried again until it does; nothing is lost meanwhile. {why}" if why else None,
        severity="critical" if why else None,
        source=_HOST,
    )
    return own_event(event)
