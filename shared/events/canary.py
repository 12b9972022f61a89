"""The canary: an incident of Ladder's own that goes through all three services, every minute.

Intake lets it in, the router decides about it, the notifier sends its page to nobody and reports that it went
out, the router resolves it, and the notifier, hearing that, pings `LADDER_DEADMAN_URL`. Whatever stands
still on that way, the ping stays away and somebody outside notices.

Every intake process lets in the same one: it is named after its moment, so repeats are recognised, and one
comes through a minute however many replicas there are.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.events import IncidentEvent
from shared.events.own_changes import is_own_change, own_change

_NAMESPACE: Final = uuid.UUID("a2f0c5d1-8f7e-5b57-9d0f-0f6f5c9f9b4e")
_PREFIX: Final = "canary:"

ID: Final = str(uuid.uuid5(_NAMESPACE, "the canary"))
"""Of every canary on the way from the router to the notifier and back: one key, and easy to leave out."""
KEY: Final = ID.encode()
CHANNEL: Final = "canary"
BY_URL: Final = ":url"
"""Behind a channel's name in `DeliveryReport.sends`: only addresses that are URLs can be sent."""
TOO_OLD: Final = timedelta(minutes=2)  # one that resolved so long ago says nothing about the present


def moment_of(now: datetime, every: timedelta) -> datetime:
    """The moment after which the canary of this time is named: the same for every process."""
    seconds = int(every.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


def event(moment: datetime, now: datetime) -> IncidentEvent:
    """The canary of a moment as it enters. Its key changes, so that it takes each partition in turn."""
    name = f"{_PREFIX}{moment:%Y-%m-%dT%H:%M:%SZ}"
    return own_change(str(uuid.uuid5(_NAMESPACE, name)), name, "Ladder's canary", now)


def is_canary(event: IncidentEvent) -> bool:
    """Whether this event is one."""
    return is_own_change(event, _PREFIX)
