"""What a person or an escalation point sets on an incident, and what follows from it (rules 13, 14).

Everything that depends on the fields is re-evaluated: tier, priority, SLA, competence; points follow at the
end of the decision.
"""

from collections.abc import Mapping
from typing import Any, Final

from services.router.domain.draft.draft import Draft
from services.router.domain.lifecycle import classify, pauses
from services.router.domain.model.incident_fields import FieldChanges
from services.router.domain.model.parts import PrioritySet
from services.router.domain.model.reason import Reason
from shared.json_object import JsonObject

FIELDS: Final = ("priority", "kind", "service", "customer", "attributes")
_PINNED: Final = ("kind", "service", "customer")


def change(draft: Draft, changes: FieldChanges, *, reason: Reason, by_person: bool) -> set[str]:
    """Set the fields; returns the names of those that changed.

    Only the attributes that are named change; null removes one. No later event overwrites what a person has
    set, except attributes: they are facts.
    """
    before = draft.incident
    changed = _apply_changes(draft, changes, by_person=by_person)
    if changed:
        draft.say("set", _told(draft, changed), reason)
        classify.set_tier(draft)
        if not (by_person and "priority" in changes):
            classify.set_priority(draft)
    if "priority" in changes:
        _set_priority(draft, changes["priority"], reason, by_person=by_person)
    if draft.incident.priority != before.priority:
        changed.add("priority")
    if changed:
        classify.choose_sla(draft)
        draft.change("changed")
    if draft.incident.priority < before.priority:
        pauses.end(draft, "the priority rose")
    if changed & classify.COMPETENCE:
        classify.competence(draft, before)
    return changed


def _apply_changes(draft: Draft, changes: FieldChanges, *, by_person: bool) -> set[str]:
    changed = set[str]()
    if "kind" in changes and changes["kind"] != draft.incident.kind:
        draft.set(kind=changes["kind"])
        changed.add("kind")
    if "service" in changes and changes["service"] != draft.incident.service:
        draft.set(service=changes["service"])
        changed.add("service")
    said = changes.get("customer")
    if said is not None:
        was = draft.incident.customer
        classify.name_customer(draft, said)
        if draft.incident.customer != was:
            draft.set(said_tier="")  # it came with the other customer
            changed.add("customer")
    merged = merged_attributes(draft.incident.attributes, changes.get("attributes") or {})
    if merged != draft.incident.attributes:
        draft.set(attributes=merged)
        changed.add("attributes")
    if by_person:
        pinned = tuple(
            dict.fromkeys((*draft.incident.pinned, *(name for name in _PINNED if name in changes)))
        )
        draft.set(pinned=pinned)
    return changed


def merged_attributes(known: Mapping[str, Any], named: Mapping[str, Any]) -> JsonObject:
    """The attributes with the named ones replaced; null removes one."""
    return {
        name: value for name, value in {**known, **named}.items() if value is not None or name not in named
    }


def _told(draft: Draft, changed: set[str]) -> str:
    incident = draft.incident
    shown = {"kind": incident.kind, "service": incident.service or "none", "customer": incident.customer_name}
    return "set: " + ", ".join(f"{name} {shown.get(name, '')}".rstrip() for name in FIELDS if name in changed)


def _set_priority(draft: Draft, wanted: int, reason: Reason, *, by_person: bool) -> None:
    """It falls only by a person; the priority by the rules at that moment is kept (rule 14)."""
    before = draft.incident.priority
    if by_person:
        draft.set(priority=wanted, priority_set=PrioritySet(draft.actor, classify.computed(draft)[0]))
    elif wanted < before:
        draft.set(priority=wanted)
    else:
        text = f"the priority stays {before}: it falls only by a person" if wanted > before else ""
        if text:
            draft.say("priority", text, reason)
        return
    if wanted != before:
        verb = "rises" if wanted < before else "falls"
        draft.say("priority", f"priority {verb} from {before} to {wanted}", reason)
        draft.change("priority")
