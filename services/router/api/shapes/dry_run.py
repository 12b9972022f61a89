"""What `POST /v1/policy/try` and `ladder try-map` answer with."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from services.router.domain.dry_run import Tried
from shared.events import IncidentEvent
from shared.json_object import JsonObject

_NONE: Final[Mapping[str, str]] = {}
_MADE: Final = ("event_id", "received_at", "integration")  # by intake, for each post anew


class TriedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that would be decided at once. `because` names the rule, what it saw and what lost."""

    kind: str
    what: str
    because: JsonObject | None


class TriedPage(msgspec.Struct, frozen=True, kw_only=True):
    """Who would be asked to take it, why, and when; their own rules then say by which contact."""

    at: datetime
    who: str
    name: str
    level: str
    because: str
    act_by: datetime | None


class TriedNext(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen then, unless."""

    at: datetime
    what: str
    unless: str


class TriedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """The row of `routes` that matches, by its place; what was asked before it did not."""

    rule: str
    when: str
    policy: str
    not_these: list[str]


class TriedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event that comes out, and what would become of it.

    `event` are the fields that it has. The rest is null or empty where no incident would open or change.
    """

    event: JsonObject
    what: str
    priority: int | None
    tier: str
    customer: str
    service: str
    kind: str
    policy: str
    level: str
    route: TriedRoute | None
    first_paged: list[TriedPage]
    decided: list[TriedStep]
    next: list[TriedNext]
    stands: str  # the id of an open incident of the same key: the event would be a repeat of it


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of a post. Nothing of it is stored or sent.

    `ignored`: how many the integration's `ignore` drops; `not_decided`: how many events more there are.
    """

    integration: str
    at: datetime
    ignored: int
    not_decided: int
    events: list[TriedEvent]


def trial(
    integration: str,
    at: datetime,
    found: Sequence[Tried],
    *,
    events: int,
    ignored: int = 0,
    standing: Mapping[str, str] = _NONE,
) -> Trial:
    """The answer. `events`: how many there are in all; `standing`: the ids of open incidents, by key."""
    return Trial(
        integration=integration,
        at=at,
        ignored=ignored,
        not_decided=events - len(found),
        events=[_event(each, standing.get(each.event.dedup_key, "")) for each in found],
    )


def _event(tried: Tried, stands: str) -> TriedEvent:
    incident, route = tried.incident, tried.route
    return TriedEvent(
        event=said(tried.event),
        what=tried.what,
        priority=incident.priority if incident else None,
        tier=incident.tier if incident else "",
        customer=incident.customer if incident else "",
        service=incident.service if incident else "",
        kind=incident.kind if incident else "",
        policy=incident.policy if incident else "",
        level=incident.level if incident else "",
        route=TriedRoute(
            rule=route.rule,
            when=route.expression or "true",
            policy=incident.policy,
            not_these=list(route.instead_of),
        )
        if route is not None and incident is not None
        else None,
        first_paged=[
            TriedPage(
                at=first.at,
                who=f"{first.page.recipient.kind}:{first.name}"
                if first.page.recipient.kind == "address"
                else f"{first.page.recipient.kind}:{first.page.recipient.name}",
                name=first.name,
                level=first.page.level,
                because=first.page.reason,
                act_by=first.page.act_by,
            )
            for first in tried.first
        ],
        decided=[
            TriedStep(
                kind=entry.kind,
                what=entry.text,
                because=entry.reason.as_json() if entry.reason is not None else None,
            )
            for entry in tried.entries
        ],
        next=[TriedNext(at=step.at, what=step.what, unless=step.unless) for step in tried.coming],
        stands=stands,
    )


def said(event: IncidentEvent) -> JsonObject:
    """The event as it came out of the mapping, without what is made for each post anew."""
    plain: JsonObject = {"action": event.action, **msgspec.to_builtins(event)}
    made = event.dedup_key == event.event_id
    return {
        name: value
        for name, value in plain.items()
        if name not in _MADE and not (made and name == "dedup_key") and name != "unmapped"
    }
