"""The incident as its row keeps it: flat JSON that replicas of the releases around this one read, too.

What is a part of the incident is several fields there, and so it stays: SQL reads some of them, and while a
release is rolled out rows go to and fro between old and new replicas.
"""

from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from services.router.domain.model.incident import Incident, Record
from services.router.domain.model.parts import Snooze, Suppressed, Then, Waiting


class StoredIncident(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The incident's record, and its parts side by side; a part that is not there has the defaults."""

    waiting_for: str = ""
    waiting_until: datetime | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str = ""
    suppressed_by: str = ""
    suppressed_until: datetime | None = None
    suppressed_then: Then | Literal[""] = ""


_record: Final = attrgetter(*Record.__struct_fields__)
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(StoredIncident)


def encode(incident: Incident) -> bytes:
    """The incident as JSON."""
    parts: dict[str, Any] = {}
    if (snooze := incident.snooze) is not None:
        parts |= {"snoozed_until": snooze.until, "snoozed_by": snooze.by}
    if (waiting := incident.waiting) is not None:
        parts |= {"waiting_for": waiting.party, "waiting_until": waiting.until}
    if (by := incident.suppression) is not None:
        parts |= {"suppressed_by": by.by, "suppressed_until": by.until, "suppressed_then": by.then}
    return _encoder.encode(StoredIncident(*_record(incident), **parts))


def decode(raw: bytes | str) -> Incident:
    """The incident back from JSON."""
    stored = _decoder.decode(raw)
    return Incident(
        *_record(stored),
        snooze=Snooze(stored.snoozed_until, stored.snoozed_by) if stored.snoozed_until else None,
        waiting=Waiting(stored.waiting_for, stored.waiting_until) if stored.waiting_until else None,
        suppression=_suppressed(stored),
    )


def _suppressed(stored: StoredIncident) -> Suppressed | None:
    if not stored.suppressed_by or stored.suppressed_until is None:
        return None
    return Suppressed(stored.suppressed_by, stored.suppressed_until, stored.suppressed_then or "page")
