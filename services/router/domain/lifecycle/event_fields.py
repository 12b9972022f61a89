"""Merging an event's fields into the incident, within bounds (docs/rules.md, rules 14, 16, 17)."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from services.router.domain.draft import customers
from services.router.domain.draft.draft import Draft
from services.router.domain.lifecycle import classify
from services.router.domain.model.incident import Incident
from services.router.domain.model.incident_fields import IncidentFields
from shared.events import IncidentEvent
from shared.json_object import JsonObject

LABELS_KEPT: Final = 64  # as many as one event may carry
LINKS_KEPT: Final = 64
ATTRIBUTE_BYTES_KEPT: Final = 64 * 1024  # of attributes as JSON, as in one event
_MOST_TOLD: Final = 10  # changed attributes that an entry lists
_LONGEST_TOLD: Final = 80
# Fields that are called the same in an event and mean the same.
_TAKEN_OVER: Final[
    tuple[Literal["title", "description", "kind", "source", "severity", "impact", "urgency", "service"], ...]
] = ("title", "description", "kind", "source", "severity", "impact", "urgency", "service")


def notes(draft: Draft, event: IncidentEvent) -> None:
    """Record intake's remarks on the event."""
    for note in event.notes:
        draft.say("intake", note)


def merge_fields(draft: Draft, event: IncidentEvent) -> set[str]:
    """Take over the event's fields; returns the names of those that changed."""
    incident = draft.incident
    differing = _differing(incident, event)
    labels, attributes = _labels(draft, event), _attributes(draft, event)
    if labels != incident.labels:
        differing["labels"] = labels
    if attributes != incident.attributes:
        differing["attributes"] = attributes
    if "title" in differing and not incident.opened_as:
        draft.set(opened_as=incident.title)
    if differing:
        draft.set(**differing)
    changed = set[str](differing)
    said_customer = event.customer if "customer" not in incident.pinned else None
    if said_customer is not None and customers.find(draft.context, said_customer).id != incident.customer:
        classify.name_customer(draft, said_customer)
        changed.add("customer")
    return changed


def _differing(incident: Incident, event: IncidentEvent) -> IncidentFields:
    """The fields that the event says and that are not so yet, except what a person has set."""
    differing: IncidentFields = {}
    for name in _TAKEN_OVER:
        value = getattr(event, name)
        if value is not None and name not in incident.pinned and value != getattr(incident, name):
            differing[name] = value
    if event.tier is not None and event.tier != incident.said_tier:
        differing["said_tier"] = event.tier
    if event.links:
        links = tuple(dict.fromkeys((*incident.links, *event.links)))[:LINKS_KEPT]
        if links != incident.links:
            differing["links"] = links
    return differing


def _labels(draft: Draft, event: IncidentEvent) -> dict[str, str]:
    """Labels, new ones over old ones, no more than one event may carry."""
    if not event.labels:
        return draft.incident.labels
    labels = draft.incident.labels | event.labels
    if len(labels) > LABELS_KEPT:
        draft.say("intake", f"earlier labels were dropped: more than {LABELS_KEPT} in all")
        return event.labels
    return labels


def _attributes(draft: Draft, event: IncidentEvent) -> JsonObject:
    """Attributes, new ones over old ones, kept within the size of one event's."""
    if event.details_whole:
        return _replaced(draft, event)
    known = draft.incident.attributes
    if not event.attributes:
        return known
    attributes = known | event.attributes
    if attributes != known and too_large(attributes):
        draft.say(
            "intake", f"earlier attributes were dropped: over {ATTRIBUTE_BYTES_KEPT // 1024} KiB in all"
        )
        return event.attributes
    return attributes


def _replaced(draft: Draft, event: IncidentEvent) -> JsonObject:
    """Attributes of a sender that states all of them each time (PagerDuty's `custom_details`).

    One that it named last time and no longer does is gone; what others set under other names stays.
    """
    incident = draft.incident
    others = {name: value for name, value in incident.attributes.items() if name not in incident.details}
    attributes = others | event.attributes
    if too_large(attributes):
        attributes = event.attributes
    if attributes != incident.attributes:
        draft.say("intake", f"details replaced: {difference(incident.attributes, attributes)}")
    draft.set(details=tuple(event.attributes))
    return attributes


def too_large(attributes: JsonObject) -> bool:
    """Whether they take more room than one event's may."""
    return len(msgspec.json.encode(attributes)) > ATTRIBUTE_BYTES_KEPT


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The changes in words: `host db-1 → db-2, new: disk full, gone: region eu`. Never long."""
    told = [
        f"{_short(name)} {_short(before[name])} → {_short(value)}"
        if name in before
        else f"new: {_short(name)} {_short(value)}"
        for name, value in after.items()
        if name not in before or before[name] != value
    ]
    told += [f"gone: {_short(name)} {_short(value)}" for name, value in before.items() if name not in after]
    more = f", and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return ", ".join(told[:_MOST_TOLD]) + more


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_TOLD else text[: _LONGEST_TOLD - 1] + "…"
