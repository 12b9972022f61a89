"""What comes out of `decide`: data for the shell to apply, and the reasons to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from services.router.domain.incident import Incident
from shared.events import IncidentChanged, IncidentEvent

if TYPE_CHECKING:
    from services.router.domain.compiled import CompiledPolicy


class Reason(msgspec.Struct, frozen=True):
    """Why: the rule (a path in the bundle, or a number), its expression, what it saw, what lost and why."""

    rule: str
    expression: str = ""
    values: Mapping[str, Any] = {}
    instead_of: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """As the API shows it; empty parts are left out."""
        parts: dict[str, Any] = {"rule": self.rule}
        if self.expression:
            parts["expression"] = self.expression
        if self.values:
            parts["values"] = dict(self.values)
        if self.instead_of:
            parts["instead_of"] = list(self.instead_of)
        return parts


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

    live: "CompiledPolicy"  # the policy in force now: people, schedules, customers, subscriptions
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
