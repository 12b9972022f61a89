"""What the API answers of incidents, beside the incident itself (shared.events.IncidentSnapshot)."""

from datetime import datetime

import msgspec

from shared.events import IncidentSnapshot


class IncidentList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of incidents; `next` is the cursor of the following one, null on the last.

    `partial`: so much was looked at that the page ended before it was full; it goes on at `next`.
    """

    items: list[IncidentSnapshot]
    next: str | None
    partial: bool = False


class TimelineItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `reason` names the rule, its expression, what it saw and what lost."""

    at: datetime
    kind: str
    actor: str
    text: str
    reason: msgspec.Raw | None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    items: list[TimelineItem]
    next: str | None


class PastStep(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    kind: str
    actor: str
    what: str
    because: msgspec.Raw | None


class ComingStep(msgspec.Struct, frozen=True, kw_only=True):
    """What happens then, unless."""

    at: datetime
    what: str
    unless: str


class PolicyName(msgspec.Struct, frozen=True, kw_only=True):
    """The policy that the incident follows, in the bundle that it started with."""

    name: str
    hash: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How it came to this, and what comes next if nobody does anything."""

    past: list[PastStep]
    next: list[ComingStep]
    policy: PolicyName
