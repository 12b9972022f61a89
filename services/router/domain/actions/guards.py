"""What the actions share: who asks, what a refusal says, and what the state of an incident forbids."""

from services.router.domain.draft.draft import Draft
from services.router.domain.model.decision import Refusal
from services.router.domain.model.signals import ActionTaken


def conflict(why: str) -> Refusal:
    """Not for this incident as it is."""
    return Refusal("conflict", why)


def invalid(why: str) -> Refusal:
    """Not as it was asked for."""
    return Refusal("invalid", why)


def forbidden(why: str) -> Refusal:
    """Not for this person."""
    return Refusal("forbidden", why)


def who(draft: Draft, signal: ActionTaken) -> str:
    """Who acts, as a sentence names them."""
    return draft.directory.display(signal.actor.user) if signal.actor.user else signal.actor.name


def remark(draft: Draft, signal: ActionTaken) -> None:
    """The note that came with the action, for the timeline."""
    if signal.arguments.note:
        draft.say("note", signal.arguments.note)


def because(signal: ActionTaken) -> str:
    """The note that came with the action, as the end of a sentence."""
    return f": {signal.arguments.note}" if signal.arguments.note else ""


# --- what the state forbids: why, or '' ---------------------------------------------------------------------


def unless_open(draft: Draft) -> str:
    """Only while somebody still has to solve it."""
    return "" if draft.is_open else f"it is {draft.incident.status} already"


def unless_on_a_ladder(draft: Draft) -> str:
    """Only while it is open and has levels of its own: what is grouped is worked on where it is grouped."""
    incident = draft.incident
    if incident.is_open and incident.parent:
        how = "merged into" if incident.merged else "grouped under"
        return f"it is {how} incident {incident.parent}: do it there"
    return unless_open(draft)


def unless_resolved(draft: Draft) -> str:
    """Only between solved and closed."""
    status = draft.incident.status
    if status == "closed":
        return "it is closed for good: the same problem opens a new incident that links back"
    return "" if status == "resolved" else f"it is {status}, not resolved"


def unless_remembered(draft: Draft) -> str:
    """Until it is closed."""
    return "it is closed for good" if draft.incident.status == "closed" else ""


def never(draft: Draft) -> str:
    """Always possible."""
    del draft
    return ""
