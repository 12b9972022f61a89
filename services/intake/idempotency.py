"""Senders' own ids: the same id with other content is refused, where that is known.

A process remembers the last 50,000 ids it accepted. Another process, or this one later, does not know them:
then the event is accepted, and the content's hash, which travels with it, tells the router that it is a
different one. Either way nothing is accepted and then dropped.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from cachetools import LRUCache
from msgspec.structs import replace

from shared.events import IncidentEvent
from shared.http.problems import Fault, Problem

_KEPT: Final = 50_000
_MOST_FAULTS: Final = 100
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_HASH_BYTES: Final = 8
_json: Final = msgspec.json.Encoder()


def hash_of(event: IncidentEvent) -> str:
    """The hash of what the sender said: the same body has the same one, whenever it is received."""
    plain = _json.encode(replace(event, received_at=_ANY_TIME))
    return hashlib.blake2b(plain, digest_size=_HASH_BYTES).hexdigest()


class AcceptedIds:
    """The ids that this process has accepted, each with the hash of its content."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._known: LRUCache[str, str] = LRUCache(kept)

    def with_hashes(
        self, events: Sequence[IncidentEvent], read: Sequence[IncidentEvent], field: str
    ) -> list[IncidentEvent]:
        """The events with the hashes of their content; `read` are the same events without what a policy adds.

        Raises Problem 422 if an id was used before, or twice in this post, with other content.
        `field`: where the sender wrote the id, for the fault.
        """
        hashed = [replace(event, said=hash_of(sent)) for event, sent in zip(events, read, strict=True)]
        faults = list(self._faults(hashed, field))
        if faults:
            raise Problem(
                422,
                "idempotency-key-reused",
                "This id came before with another content; nothing was accepted",
                faults=faults[:_MOST_FAULTS],
            )
        return hashed

    def remember(self, accepted: Sequence[IncidentEvent]) -> None:
        """These were accepted."""
        for event in accepted:
            self._known[event.event_id] = event.said

    def _faults(self, events: Sequence[IncidentEvent], field: str) -> Iterator[Fault]:
        here: dict[str, str] = {}
        for index, event in enumerate(events):
            known = here.setdefault(event.event_id, self._known.get(event.event_id, event.said))
            if known != event.said:
                where = field if len(events) == 1 else f"/{index}: {field}"
                yield Fault(where, "use a new one for each event: the same again is the same event")
