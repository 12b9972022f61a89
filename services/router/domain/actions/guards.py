"""What the actions share: who acts, how refusals are made, and what an incident's state forbids."""

from services.router.domain.draft.draft import Draft
from services.router.domain.model.decision import Refusal
from services.router.domain.model.signals import ActionTaken


def conflict(why: str) -> Refusal:
    """A refusal: the incident's state does not allow it."""
    return Refusal("conflict", why)


def invalid(why: str) -> Refusal:
    """A refusal: the arguments are wrong."""
    return Refusal("invalid", why)


def forbidden(why: str) -> Refusal:
    """A refusal: this person may not do it."""
    return Refusal("forbidden", why)


def who(draft: Draft, signal: ActionTaken) -> str:
    """The actor as a sentence names them."""
    return draft.directory.display(signal.actor.user) if signal.actor.user else signal.actor.name


def remark(draft: Draft, signal: ActionTaken) -> None:
    """Add the action's note to the timeline."""
    if signal.arguments.note:
        draft.say("note", signal.arguments.note)


def because(signal: ActionTaken) -> str:
    """The action's note as the end of a sentence; '' when there is none."""
    return f": {signal.arguments.note}" if signal.arguments.note else ""


# --- why the state forbids an action; '' when it does not --------------------------------------------------


def unless_open(draft: Draft) -> str:
    """Only while it is unresolved."""
    return "" if draft.is_open else f"it is {draft.incident.status} already"


def unless_it_has_levels(draft: Draft) -> str:
    """Only while it is open and has levels of its own; a grouped incident is worked on at its parent."""
    incident = draft.incident
    if incident.is_open and incident.parent:
        how = "merged into" if incident.merged else "grouped under"
        return f"it is {how} incident {incident.parent}: do it there"
    return unless_open(draft)


def unless_resolved(draft: Draft) -> str:
    """Only between resolved and closed."""
    status = draft.incident.status
    if status == "closed":
        return "it is closed for good: the same problem opens a new incident that links back"
    return "" if status == "resolved" else f"it is {status}, not resolved"


def unless_remembered(draft: Draft) -> str:
    """Only until it is closed."""
    return "it is closed for good" if draft.incident.status == "closed" else ""


def never(draft: Draft) -> str:
    """Always possible."""
    del draft
    return ""
