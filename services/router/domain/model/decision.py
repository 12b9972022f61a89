"""What `decide` returns: data for the shell to apply, and the reasons to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from services.router.domain.model.incident import Incident
from services.router.domain.model.reason import Reason
from services.router.domain.model.vocabulary import ActionName, EntryKind, RefusalKind
from shared.events import IncidentChanged, IncidentEvent, RelatedChanged
from shared.policy.cel.expressions import ExpressionPlace

Audience: TypeAlias = Literal["members", "suppressed", "matching", "siblings"]


class Entry(msgspec.Struct, frozen=True):
    """One line of an incident's timeline."""

    at: datetime
    kind: EntryKind
    actor: str
    text: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that is not possible now: why, and what is."""

    kind: RefusalKind
    reason: str
    possible: Sequence[ActionName] = ()


@dataclass(frozen=True, slots=True)
class Orphan:
    """An event without an incident, kept 7 days; a resolve is compared with a late trigger (rule 16)."""

    event: IncidentEvent
    reason: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The incident opens or joins a group: to be remembered by rule and values."""

    rule: str
    values: str
    parent: str
    within: timedelta
    title: str = ""


@dataclass(frozen=True, slots=True)
class Explains:
    """Whether this incident is now a cause by a suppression rule; `ended` when it no longer is."""

    rule: str
    ended: datetime | None = None
    opened_at: datetime | None = None
    under: tuple[str, ...] = ()  # the rules by which it could itself be suppressed


@dataclass(frozen=True, slots=True)
class Spread:
    """A message to many incidents, which the shell looks up in bounded steps.

    `audience`: `members` of the incident `of`; those `suppressed` by the rule, silence or maintenance named
    `of`; open ones `matching` the expression `of`; the open `siblings` of an alert group. `message.to` is
    empty.
    """

    audience: Audience
    of: str
    message: RelatedChanged


class Decision(msgspec.Struct, frozen=True):
    """The new state of one incident, why, and what to publish.

    `incident` is None when there is none (an orphan). If its id differs from the given one's, it is a new
    incident and the old one stays as it is. `changed` is False when nothing needs storing.
    """

    incident: Incident | None
    entries: Sequence[Entry] = ()
    message: IncidentChanged | None = None
    refusal: Refusal | None = None
    orphan: Orphan | None = None
    joined: Sequence[Joined] = ()
    explains: Sequence[Explains] = ()
    rotations: Mapping[tuple[str, str], str] = {}  # round_robin: who was asked last, by policy and level
    outgoing: Sequence[RelatedChanged] = ()  # to other incidents, through the outbox
    spreads: Sequence[Spread] = ()  # to many of them, step by step
    failures: Mapping[ExpressionPlace, str] = {}  # expressions that could not be evaluated, and why
    changed: bool = True
