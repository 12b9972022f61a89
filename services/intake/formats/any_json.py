"""Any JSON (`kind: json`): an object, or an array of them; the integration's `map` says what it means.

The names in a mapping are the object's own (`ticket.id`), and `body` is all of it. By itself a body
means nothing: title, key and everything else come from `map` and `set`.
"""

from dataclasses import dataclass
from typing import Any

from services.intake.formats.answers import OwnWords
from services.intake.formats.contract import MOST_FAULTS, Post, Reading, Refused
from services.intake.formats.native import BATCH
from services.intake.formats.sanitize import Unreadable, read_json
from shared.events import IncidentEvent
from shared.http.problems import Fault


@dataclass(frozen=True, slots=True)
class MappedJson(OwnWords):
    """`kind: json`."""

    kind: str = "json"
    longest_body: int = 1024 * 1024
    loose: bool = True
    throttled: int = 429

    def read(self, body: bytes, post: Post) -> Reading | Refused:
        read = read_json(body)
        if isinstance(read, Unreadable):
            return Refused([Fault("body", read.reason)])
        batch = isinstance(read.value, list)
        members: list[Any] = read.value if batch else [read.value]
        if len(members) > BATCH:
            return Refused([Fault("body", f"more than {BATCH} objects in one batch")])
        wrong = [
            Fault(f"/{index}" if batch else "body", "expected an object")
            for index, member in enumerate(members)
            if not isinstance(member, dict)
        ]
        if wrong:
            return Refused(wrong[:MOST_FAULTS])
        ids = [post.event_id(*([index] if batch else [])) for index in range(len(members))]
        events = [
            IncidentEvent(
                event_id=event_id,
                integration=post.integration,
                dedup_key=event_id,
                received_at=post.received_at,
                notes=read.repaired,
            )
            for event_id in ids
        ]
        return Reading(events, members, batch)
