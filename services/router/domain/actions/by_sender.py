"""What a sender asks for on people's behalf: give back, snooze, escalate, assign (Opsgenie's alert API).

It does what the action of that name does, as a responder without a name. A refusal goes to the timeline with
its reason, because nobody is waiting for a 409 any more.
"""

from services.router.domain import actions
from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import sender
from services.router.domain.model.signals import ActionArguments, ActionTaken, Actor
from services.router.domain.model.vocabulary import action_named
from shared.events import IncidentEvent


def obey(draft: Draft, event: IncidentEvent) -> None:
    """Do what the event asks for, or record why not."""
    by = sender(event)
    draft.set(events=draft.incident.events + 1)
    said = len(draft.entries)
    action, actor = action_named(event.action), Actor(by, "responder")
    wanted = ActionTaken(action, actor, _arguments(draft, event), event.identity)
    refusal = actions.act(draft, wanted)
    draft.actor = by
    for note in event.notes:
        draft.say("intake", note)
    if refusal is not None:
        draft.say("recorded", f"{event.action} was asked for and not done: {refusal.reason}")
    elif len(draft.entries) == said:
        draft.say("recorded", f"{event.action} was asked for: nothing changes")


def _arguments(draft: Draft, event: IncidentEvent) -> ActionArguments:
    to = event.to or ""
    match event.action:
        case "snooze":
            return ActionArguments(until=event.until)
        case "assign":
            return ActionArguments(to=_user(draft, to))
        case "escalate" if to in draft.bundle.policies:
            return ActionArguments(policy=to)
        case "escalate" if draft.policy.index_of(to) is not None:
            return ActionArguments(level=to)
        case "escalate" if to:
            return ActionArguments(note=f"to {to}, which is no policy or level here: to the next level")
        case _:
            return ActionArguments()


def _user(draft: Draft, called: str) -> str:
    """A user's id by name or mail address; an unknown name is returned as it is and refused later."""
    users = draft.live.spec.users
    if called in users:
        return called
    wanted = called.casefold()
    for name, user in users.items():
        for contact in user.contacts.values():
            if contact.channel == "email" and contact.address.casefold() == wanted:
                return name
    return called
