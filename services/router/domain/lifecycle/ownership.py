"""Ownership: taken, assigned, given back, acknowledged by a machine (docs/rules.md, rules 3 and 13)."""

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import user
from services.router.domain.draft.recipients import Found
from services.router.domain.escalation import chain, handoff
from services.router.domain.lifecycle import late_trigger
from services.router.domain.model.parts import Acknowledged
from services.router.domain.model.reason import Reason
from services.router.domain.sla import by_person, clocks
from shared.events import LOOKING


def take(draft: Draft, user: str, *, by: str) -> None:
    """A person takes it: assignee set, levels paused, clock fulfilled, unsent pages called off (rule 3)."""
    person = by_person.note_acknowledged(draft, by=by)
    late_trigger.over(draft)
    draft.set(
        status="acknowledged", assignee=user, acknowledged=Acknowledged(draft.now, by_machine=not person)
    )
    draft.touch()
    draft.say(
        "taken", f"taken by {draft.directory.display(user)}", Reason("rule 3: taking it rests the levels"), by
    )
    clocks.fulfil(draft, "acknowledge", person=person)
    chain.pause(draft)
    handoff.begin(draft)
    draft.cancel_pages("taken", user)
    draft.change("taken")


def assign(draft: Draft, name: str, *, by: str, reason: Reason) -> None:
    """Somebody assigns it: the assignee is asked to look, whoever had it follows it (rule 13).

    It counts as taken. If no page to the new assignee arrives, the next level joins (rule 7).
    """
    had_it, display = draft.incident.assignee, draft.directory.display
    person = by_person.note_acknowledged(draft, by=by)
    if draft.incident.acknowledged is None:
        draft.set(acknowledged=Acknowledged(draft.now, by_machine=not person))
    late_trigger.over(draft)
    draft.set(status="acknowledged", assignee=name)
    draft.touch()
    instead = f" instead of {display(had_it)}" if had_it else ""
    draft.say("taken", f"assigned to {display(name)}{instead}", reason, by)
    clocks.fulfil(draft, "acknowledge", person=person)
    chain.pause(draft)
    handoff.begin(draft)
    draft.cancel_pages("taken", name)
    draft.pages[:] = [page for page in draft.pages if page.through in LOOKING]  # asked in this very decision
    draft.change("taken")
    if f"user:{name}" != by and not draft.is_muted:
        why = f"it was assigned to you by {_by(draft, by)}"
        draft.forget_step()
        draft.page(Found(user(name), why), through="assignee", why=why, joins=True)
        draft.say("paged", f"{display(name)} is paged: {why}", reason)
    draft.follow(had_it)


def _by(draft: Draft, actor: str) -> str:
    kind, _, name = actor.partition(":")
    return draft.directory.display(name) if kind == "user" else actor


def give_back(draft: Draft, *, cause: str, reason: Reason) -> None:
    """Nobody has it any more: its level is asked again (rule 3)."""
    had_it = draft.incident.assignee
    draft.set(status="triggered", assignee="", duty=None)
    draft.touch()
    draft.say("given_back", cause, reason)
    draft.change("unacknowledged")
    if had_it in draft.live.spec.users and f"user:{had_it}" != draft.actor:
        draft.notify(user(had_it), "inform", text=f"{cause}.", reason="it was assigned to you")
    if draft.stands_still:
        draft.set_chain(due=None, state="climbing")
        return
    chain.restart(draft, cause=cause, reason=reason)


def acknowledge_by_machine(draft: Draft, by: str) -> None:
    """A machine acknowledges: no assignee, and the levels pause for a while (rule 3)."""
    by_person.note_acknowledged(draft, by=by)
    late_trigger.over(draft)
    draft.set(status="acknowledged", acknowledged=Acknowledged(draft.now, by_machine=True))
    draft.touch()
    chain.pause(draft)
    due = draft.incident.chain.due
    until = f" until {due:%H:%M:%S} UTC" if due else ""
    draft.say("taken", f"acknowledged by a machine: the levels rest{until}", Reason("rule 3"), by)
    clocks.fulfil(draft, "acknowledge", person=False)
    draft.cancel_pages("taken", by)
    draft.change("taken")


def tell_who_had_it(draft: Draft, name: str, text: str) -> None:
    """Tell whoever had it that others are asked now, unless they did it themselves or are asked again."""
    asked = any(page.recipient == user(name) for page in draft.pages)
    if name in draft.live.spec.users and f"user:{name}" != draft.actor and not asked:
        draft.notify(user(name), "inform", text=text, reason="it was assigned to you")
