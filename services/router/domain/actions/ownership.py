"""Who has the incident: acknowledge, unacknowledge, assign (docs/rules.md, rules 3 and 13)."""

from services.router.domain.actions import guards
from services.router.domain.draft.draft import Draft
from services.router.domain.escalation import handoff, unsettled
from services.router.domain.lifecycle import ownership, sender_silence
from services.router.domain.model.decision import Refusal
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import OpenPage
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import ActionTaken
from services.router.domain.sla import by_person


def unless_free(draft: Draft) -> str:
    """Only while no person has it; one that a machine acknowledged can still be taken."""
    taken = draft.incident.assignee
    return guards.unless_it_has_levels(draft) or (
        f"it is taken already, by {draft.directory.display(taken)}" if taken else ""
    )


def acknowledge(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Take the incident; in answer to a point's page or a request to join, only confirm it was seen."""
    incident = draft.incident
    blocked = guards.unless_it_has_levels(draft)
    if blocked:
        return guards.conflict(f"{blocked}; there is nothing to take")
    page = next((each for each in incident.pages if each.page_id == signal.arguments.page), None)
    if page is not None and page.looks and (page.through == "point" or incident.assignee):
        draft.touch()
        unsettled.seen(draft, page)
        draft.answered.append(page.page_id)
        goes_on = "the levels go on" if page.through == "point" else "it grew worse"
        seen = f"{guards.who(draft, signal)} has seen the page; {goes_on}"
        draft.say("seen", seen, Reason("rule 3"))
        return None
    assignee = signal.arguments.assignee or signal.actor.user
    if assignee and assignee not in draft.live.spec.users:
        return guards.invalid(f"assignee {assignee!r} is not a user of the policy in force")
    if incident.assignee:
        return _acknowledge_taken(draft, signal, assignee)
    if assignee:
        ownership.take(draft, assignee, by=draft.actor)
        guards.remark(draft, signal)
    elif incident.status == "triggered":  # levels that are already paused are not paused for longer
        ownership.acknowledge_by_machine(draft, draft.actor)
        guards.remark(draft, signal)
    return None


def _acknowledge_taken(draft: Draft, signal: ActionTaken, assignee: str) -> Refusal | None:
    incident = draft.incident
    if incident.assignee == assignee:  # acknowledging twice changes nothing
        if signal.actor.user and incident.taken_by_person_at is None:
            by_person.confirmed(draft, by=draft.actor)
        sender_silence.answered(draft, assignee, guards.who(draft, signal))
        return None
    if assignee and handoff.was_asked(incident, assignee):
        draft.follow(incident.assignee)
        ownership.take(draft, assignee, by=draft.actor)
        guards.remark(draft, signal)
        return None
    joined = _asked_to_join(incident, signal)
    if joined is not None:
        _join(draft, signal)
        unsettled.seen(draft, joined)
        draft.answered.append(joined.page_id)
        return None
    return guards.conflict(unless_free(draft))


def _asked_to_join(incident: Incident, signal: ActionTaken) -> OpenPage | None:
    """The page that asked them to join."""
    for page in incident.pages:
        theirs = page.user and page.name == signal.actor.user
        if page.joins and (page.page_id == signal.arguments.page or theirs):
            return page
    return None


def _join(draft: Draft, signal: ActionTaken) -> None:
    """Somebody who was asked to join answers: the assignee keeps the incident, they follow it from now on."""
    draft.touch()
    draft.follow(signal.actor.user)
    keeps = draft.directory.display(draft.incident.assignee)
    draft.say("seen", f"{guards.who(draft, signal)} joins; {keeps} keeps it", Reason("rule 3"))
    guards.remark(draft, signal)


def unless_acknowledged(draft: Draft) -> str:
    """Only while a person or a machine has it."""
    untaken = "nobody has taken it" if draft.incident.status == "triggered" else ""
    return guards.unless_it_has_levels(draft) or untaken


def unacknowledge(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Give it back: its level starts again."""
    guards.remark(draft, signal)
    cause = f"{guards.who(draft, signal)} gave it back"
    had_it = draft.incident.assignee
    if had_it and had_it != signal.actor.user:
        cause = f"{guards.who(draft, signal)} took it away from {draft.directory.display(had_it)}"
    ownership.give_back(draft, cause=cause, reason=Reason("rule 3: unacknowledge starts the level again"))
    return None


def assign(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Assign it to oneself, or to somebody else, who is then paged."""
    to = signal.arguments.to or signal.actor.user
    if not to:
        return guards.invalid("assign needs `to`: this key acts for nobody")
    if to not in draft.live.spec.users:
        return guards.invalid(f"`to` is {to!r}, who is not a user of the policy in force")
    if draft.incident.assignee == to:
        return None
    ownership.assign(draft, to, by=draft.actor, reason=Reason("rule 13: assign"))
    guards.remark(draft, signal)
    return None
