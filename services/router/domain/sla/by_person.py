"""Whether a person or a machine acted: SLAs and reports tell them apart (docs/rules.md, rule 8).

A machine is anything that acts for nobody: a sender, an API key without `acts_as`, an escalation point.
"""

from services.router.domain.draft.draft import Draft
from services.router.domain.model.reason import Reason
from services.router.domain.sla import clocks


def is_person(by: str) -> bool:
    """Whether this actor is a person."""
    return by.startswith("user:")


def note_acknowledged(draft: Draft, *, by: str) -> bool:
    """Note who takes it, and when a person first did; returns whether this one is a person."""
    person = is_person(by)
    if person and draft.incident.taken_by_person_at is None:
        draft.set(person_took_at=draft.now)
    elif draft.incident.person_took_at is None:
        draft.set(person_took_at=draft.incident.taken_by_person_at)  # a machine may take it on top of that
    return person


def confirmed(draft: Draft, *, by: str) -> None:
    """A person who had it by a machine's word confirms it: now a person has taken it."""
    note_acknowledged(draft, by=by)
    draft.touch()
    name = draft.directory.display(draft.incident.assignee)
    draft.say("seen", f"{name} has it already, and now says so too", Reason("rule 3"), by)
    clocks.fulfil(draft, "acknowledge")
