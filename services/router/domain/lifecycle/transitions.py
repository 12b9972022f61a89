"""Resolving and closing: the status, and what ends with it (docs/rules.md, rules 6, 8, 15, 21)."""

from datetime import datetime

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import user
from services.router.domain.escalation import chain, grace, paged_people
from services.router.domain.lifecycle import late_trigger
from services.router.domain.model.reason import Reason
from services.router.domain.sla import clocks


def resolve(draft: Draft, *, by: str, text: str, source_time: datetime | None, person: bool = False) -> None:
    """Resolve it, by a person or not: clocks fulfilled, pages called off, those asked are told."""
    draft.by_person = draft.by_person or person
    avoided, held = grace.is_enough(draft.incident, draft.policy), draft.incident.late
    draft.set(
        status="resolved",
        resolved_at=draft.now,
        avoided=avoided,
        solved_at=chain.solved_at(draft),
        waiting=None,
        snooze=None,
        source_time=source_time,
        late=None,
    )
    draft.touch()
    draft.say("resolved", text, None, by)
    if held is not None:
        late_trigger.solved(draft, held)
    if avoided:
        grace.tell_avoided(draft)
    clocks.resolved(draft, person=person)
    draft.set_chain(due=None, state="resting")
    draft.cancel_pages("resolved", by)
    draft.change("resolved")
    if held is not None:
        return  # nobody heard that it came back
    for name in dict.fromkeys([draft.incident.assignee, *draft.incident.followers]):
        if name in {"", by.removeprefix("user:")} or paged_people.has(draft, name):
            continue  # they hear of it with everybody else who was paged
        if name in draft.live.spec.users:
            told = draft.sentence("resolved")
            draft.notify(user(name), "resolved", text=told, reason="you have it or follow it")


def close(draft: Draft, *, why: str, reason: Reason) -> None:
    """Close it: nothing is due any more."""
    draft.set(status="closed", closed_at=draft.now)
    draft.set_chain(due=None, state="resting")
    draft.say("closed", f"closed: {why}", reason)
    clocks.closed(draft)
    draft.change("closed")
