"""What its sender's events do to an existing incident (docs/rules.md, rules 3, 9, 14, 16)."""

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import sender
from services.router.domain.lifecycle import (
    classify,
    event_fields,
    late_trigger,
    ownership,
    pauses,
    transitions,
)
from services.router.domain.model.reason import Reason
from services.router.domain.muting import grouping
from shared.events import IncidentEvent


def repeat(draft: Draft, event: IncidentEvent) -> None:
    """The same trigger again: it counts and refreshes, and pages nobody by itself (rule 14)."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    is_late = late_trigger.before_the_resolve(event, draft.incident.source_time) if _has_ended(draft) else ""
    if draft.incident.ended_itself:
        draft.set(ended_itself=False)
    changed = refresh(draft, event)
    text = f"repeated ({draft.incident.events} events)"
    if is_late:
        text += f"; {is_late}"
    if changed:
        text += f"; changed: {', '.join(sorted(changed))}"
        draft.change("changed")
    draft.say("repeated", text, Reason("rule 14: a repeat never pages again by itself"))
    late_trigger.repeated(draft, event)


def _has_ended(draft: Draft) -> bool:
    """Whether its sender said that it ended, so that a trigger's time is compared with that (rule 16)."""
    return draft.incident.ended_itself or draft.incident.late is not None


def update(draft: Draft, event: IncidentEvent) -> None:
    """Change fields; start or end waiting."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    draft.touch()
    changed = refresh(draft, event)
    text = f"changed: {', '.join(sorted(changed))}" if changed else "updated, nothing changed"
    draft.say("updated", text)
    draft.change("changed")


def acknowledge(draft: Draft, event: IncidentEvent) -> None:
    """A machine acknowledges, perhaps with new fields (rule 3)."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    if draft.incident.status == "triggered":
        ownership.acknowledge_by_machine(draft, draft.actor)
    else:
        draft.say("recorded", "acknowledged again by a machine: nothing changes")
    refresh(draft, event)


def note(draft: Draft, event: IncidentEvent) -> None:
    """Record a sender's remark."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    draft.say("note", event.description or event.title or "(empty note)")
    event_fields.notes(draft, event)


def resolve(draft: Draft, event: IncidentEvent) -> None:
    """The sender says that it is over."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    event_fields.notes(draft, event)
    event_fields.merge_fields(draft, event)
    resolved = late_trigger.latest(event, draft.incident.source_time)
    if grouping.keeps_open(draft):
        draft.set(source_time=resolved)
        return
    transitions.resolve(draft, by=draft.actor, text="resolved by its sender", source_time=resolved)


def refresh(draft: Draft, event: IncidentEvent, *, moves: bool = True) -> set[str]:
    """Take over the event's fields and re-evaluate tier, priority, SLA and (`moves`) competence.

    Waiting comes first, so that nobody is paged for an incident that is about to wait. Returns what changed.
    """
    event_fields.notes(draft, event)
    before = draft.incident
    changed = event_fields.merge_fields(draft, event)
    if not draft.is_open:
        return changed
    if event.waiting_for:
        pauses.wait(draft, event.waiting_for, draft.now + pauses.ENDS_AFTER)
    if changed or draft.bundle.restless:
        _classify(draft, changed)
    if "priority" in changed and not event.waiting_for:
        pauses.end(draft, "the priority rose")
    if moves and changed & classify.COMPETENCE:
        classify.competence(draft, before)
    if event.waiting_for == "" and draft.incident.waiting_for:
        pauses.resume(draft, "the sender said so")
    return changed


def _classify(draft: Draft, changed: set[str]) -> None:
    before = draft.incident.priority
    if changed:
        classify.set_tier(draft)
    classify.set_priority(draft)
    classify.choose_sla(draft)
    if draft.incident.priority < before:
        changed.add("priority")
