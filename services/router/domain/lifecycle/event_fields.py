"""Merging an event's fields into the incident, within bounds (docs/rules.md, rules 14, 16, 17)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.router.domain.draft import customers
from services.router.domain.draft.draft import Draft
from services.router.domain.lifecycle import classify
from shared.events import IncidentEvent

LABELS_KEPT: Final = 64  # as many as one event may carry
LINKS_KEPT: Final = 64
ATTRIBUTE_BYTES_KEPT: Final = 64 * 1024  # of attributes as JSON, as in one event
_MOST_TOLD: Final = 10  # changed attributes that an entry lists
_LONGEST_TOLD: Final = 80


def notes(draft: Draft, event: IncidentEvent) -> None:
    """Record intake's remarks on the event."""
    for note in event.notes:
        draft.say("intake", note)


def merge_fields(draft: Draft, event: IncidentEvent) -> set[str]:
    """Take over the event's fields; returns the names of those that changed."""
    incident = draft.incident
    said: dict[str, Any] = {
        name: value
        for name in ("title", "description", "kind", "source", "severity", "impact", "urgency", "service")
        if (value := getattr(event, name)) is not None and name not in incident.pinned
    }
    if event.tier is not None:
        said["said_tier"] = event.tier
    said |= _merged(draft, event)
    if event.links:
        said["links"] = tuple(dict.fromkeys((*incident.links, *event.links)))[:LINKS_KEPT]
    differing = {name: value for name, value in said.items() if getattr(incident, name) != value}
    if "title" in differing and not incident.opened_as:
        draft.set(opened_as=incident.title)
    if differing:
        draft.set(**differing)
    said_customer = event.customer if "customer" not in incident.pinned else None
    if said_customer is not None and customers.find(draft.context, said_customer).id != incident.customer:
        classify.name_customer(draft, said_customer)
        differing["customer"] = said_customer
    return set(differing)


def _merged(draft: Draft, event: IncidentEvent) -> dict[str, Any]:
    """Labels and attributes, new ones over old ones, kept within the size of one event's."""
    incident, merged = draft.incident, dict[str, Any]()
    if event.labels:
        labels = incident.labels | event.labels
        if len(labels) > LABELS_KEPT:
            labels = event.labels
            draft.say("intake", f"earlier labels were dropped: more than {LABELS_KEPT} in all")
        merged["labels"] = labels
    if event.details_whole:
        merged |= _replaced(draft, event)
    elif event.attributes:
        attributes = incident.attributes | event.attributes
        if attributes != incident.attributes and len(msgspec.json.encode(attributes)) > ATTRIBUTE_BYTES_KEPT:
            attributes = event.attributes
            draft.say(
                "intake", f"earlier attributes were dropped: over {ATTRIBUTE_BYTES_KEPT // 1024} KiB in all"
            )
        merged["attributes"] = attributes
    return merged


def _replaced(draft: Draft, event: IncidentEvent) -> dict[str, Any]:
    """Attributes of a sender that states all of them each time (PagerDuty's `custom_details`).

    One that it named last time and no longer does is gone; what others set under other names stays.
    """
    incident = draft.incident
    others = {name: value for name, value in incident.attributes.items() if name not in incident.details}
    attributes = others | event.attributes
    if len(msgspec.json.encode(attributes)) > ATTRIBUTE_BYTES_KEPT:
        attributes = event.attributes
    if attributes != incident.attributes:
        draft.say("intake", f"details replaced: {difference(incident.attributes, attributes)}")
    draft.set(details=tuple(event.attributes))
    return {"attributes": attributes}


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
