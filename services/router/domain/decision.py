"""What comes out of `decide`: data for the shell to apply, and the reasons to show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.router.domain.compiled import CompiledPolicy
from services.router.domain.incident import Incident
from services.router.domain.reason import Reason
from shared.events import IncidentChanged, IncidentEvent


class Entry(msgspec.Struct, frozen=True):
    """One line of an incident's timeline."""

    at: datetime
    kind: str
    actor: str
    text: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that is not possible now: why, and what is."""

    kind: str  # `forbidden` → 403, `conflict` → 409, `invalid` → 422
    reason: str
    possible: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Orphan:
    """An event that meets no incident, kept 7 days; a resolve is held against a late trigger (rule 16)."""

    event: IncidentEvent
    reason: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a decision needs from outside its incident."""

    live: CompiledPolicy  # the policy in force now: people, schedules, customers, subscriptions
    remembered_resolve: datetime | None = None  # source time of an orphaned resolve of the same key


class Decision(msgspec.Struct, frozen=True):
    """The new state of one incident, why, and what to publish.

    `incident` is None when there is none (an orphan). When its id differs from the one that was given in, it
    is a new incident and the old one stays as it is. `changed` is False when nothing needs storing.
    """

    incident: Incident | None
    entries: Sequence[Entry] = ()
    message: IncidentChanged | None = None
    refusal: Refusal | None = None
    orphan: Orphan | None = None
    changed: bool = True
