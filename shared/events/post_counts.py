"""What became of posts, as intake counts it: events accepted and ignored, posts refused.

Intake has no database (decision 0005), and whoever asks a router should hear of all its replicas: each says
from time to time, through the log, what it counted since the last time.
"""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.events import IncidentEvent
from shared.events.own_changes import is_own_change, own_change

ACCEPTED: Final = "accepted"
IGNORED: Final = "ignored"
MOST: Final = 500  # counts in one message
REASON_LENGTH: Final = 300
_PREFIX: Final = "posts:"
_COUNTS: Final = "counts"


class Counted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often something became of the posts to an integration: events accepted or ignored, posts refused.

    `outcome`: accepted, ignored, or the last part of the problem's type (`invalid-event`, `unauthorized`, …).
    `reason` and `event` (its place in the post) are those of the last one.
    """

    integration: str
    outcome: str
    count: int
    at: datetime
    reason: str = ""
    event: int | None = None


def as_event(counts: Sequence[Counted], now: datetime) -> IncidentEvent:
    """The event that says so. Sent again it is the same one."""
    name = str(uuid.uuid4())
    attributes = {_COUNTS: msgspec.to_builtins(list(counts))}
    return own_change(name, _PREFIX + name, "What became of posts", now, attributes)


def is_post_counts(event: IncidentEvent) -> bool:
    """Whether this event is such a one."""
    return is_own_change(event, _PREFIX)


def counts_in(event: IncidentEvent) -> Iterator[Counted]:
    """What it says; what cannot be read (of another release) is left out."""
    said: Any = event.attributes.get(_COUNTS)
    for each in said if isinstance(said, list) else ():
        try:
            yield msgspec.convert(each, Counted)
        except msgspec.ValidationError:
            continue
