"""The incident as its row keeps it: flat JSON that replicas of neighbouring releases can read, too.

What is one part of the incident is several fields there, and stays so: SQL reads some of them, and during a
rolling upgrade rows go back and forth between old and new replicas.
"""

from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from services.router.domain.model.incident import Incident, Record
from services.router.domain.model.parts import (
    Acknowledged,
    Confirmed,
    Doubt,
    Grouped,
    Members,
    Merged,
    PrioritySet,
    Snooze,
    Suppressed,
    Then,
    Waiting,
)


class StoredIncident(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The incident's record, and its parts side by side; a part that is not there has the defaults."""

    acknowledged_at: datetime | None = None
    by_machine: bool = False
    priority_by: str = ""
    priority_then: int = 0
    snoozed_until: datetime | None = None
    snoozed_by: str = ""
    waiting_for: str = ""
    waiting_until: datetime | None = None
    suppressed_by: str = ""
    suppressed_until: datetime | None = None
    suppressed_then: Then | Literal[""] = ""
    parent: str = ""
    merged: bool = False
    members: int = 0
    members_open: int = 0
    joins_untold: int = 0
    joins_told_at: datetime | None = None
    doubted_at: datetime | None = None
    doubt: str = ""
    confirmed_at: datetime | None = None
    rating: int = 0


_record: Final = attrgetter(*Record.__struct_fields__)
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(StoredIncident)


def encode(incident: Incident) -> bytes:
    """The incident as JSON."""
    return _encoder.encode(StoredIncident(*_record(incident), **_side_by_side(incident)))


def _side_by_side(incident: Incident) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if (taken := incident.acknowledged) is not None:
        fields |= {"acknowledged_at": taken.at, "by_machine": taken.by_machine}
    if (by_hand := incident.priority_set) is not None:
        fields |= {"priority_by": by_hand.by, "priority_then": by_hand.rules_said}
    if (snooze := incident.snooze) is not None:
        fields |= {"snoozed_until": snooze.until, "snoozed_by": snooze.by}
    if (waiting := incident.waiting) is not None:
        fields |= {"waiting_for": waiting.party, "waiting_until": waiting.until}
    if (quiet := incident.suppression) is not None:
        fields |= {"suppressed_by": quiet.by, "suppressed_until": quiet.until, "suppressed_then": quiet.then}
    if incident.belongs_to is not None:
        fields |= {"parent": incident.parent, "merged": incident.merged}
    if (group := incident.group) is not None:
        fields |= {"members": group.total, "members_open": group.open}
        fields |= {"joins_untold": group.untold, "joins_told_at": group.told_at}
    if (doubt := incident.doubt) is not None:
        fields |= {"doubted_at": doubt.at, "doubt": doubt.why}
    if (confirmed := incident.confirmed) is not None:
        fields |= {"confirmed_at": confirmed.at, "rating": confirmed.rating}
    return fields


def decode(raw: bytes | str) -> Incident:
    """The incident back from JSON."""
    row = _decoder.decode(raw)
    return Incident(
        *_record(row),
        acknowledged=Acknowledged(row.acknowledged_at, row.by_machine) if row.acknowledged_at else None,
        priority_set=PrioritySet(row.priority_by, row.priority_then) if row.priority_then else None,
        snooze=Snooze(row.snoozed_until, row.snoozed_by) if row.snoozed_until else None,
        waiting=Waiting(row.waiting_for, row.waiting_until) if row.waiting_until else None,
        suppression=_suppression(row),
        belongs_to=(Merged if row.merged else Grouped)(row.parent) if row.parent else None,
        group=_group(row),
        doubt=Doubt(row.doubted_at, row.doubt) if row.doubted_at else None,
        confirmed=Confirmed(row.confirmed_at, row.rating) if row.confirmed_at else None,
    )


def _suppression(row: StoredIncident) -> Suppressed | None:
    if not row.suppressed_by or row.suppressed_until is None:
        return None
    return Suppressed(row.suppressed_by, row.suppressed_until, row.suppressed_then or "page")


def _group(row: StoredIncident) -> Members | None:
    if not (row.members or row.members_open or row.joins_untold or row.joins_told_at):
        return None
    return Members(row.members, row.members_open, row.joins_untold, row.joins_told_at)
