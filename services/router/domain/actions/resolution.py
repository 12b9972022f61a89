"""Resolve, confirm, refuse, close, reopen and merge (docs/rules.md, rules 13 and 15)."""

from services.router.domain import closing
from services.router.domain.actions import guards
from services.router.domain.draft.draft import Draft
from services.router.domain.lifecycle import reopening, transitions
from services.router.domain.model.decision import Refusal
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import ActionTaken
from services.router.domain.muting import grouping
from services.router.domain.stakeholders import customer_words


def resolve(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Mark it as resolved."""
    text = f"resolved by {guards.who(draft, signal)}{guards.because(signal)}"
    transitions.resolve(draft, by=draft.actor, text=text, source_time=None, person=bool(signal.actor.user))
    return None


def unless_it_may_come_back(draft: Draft) -> str:
    """Only a resolved incident that is not grouped or merged."""
    merged = draft.incident.merged and draft.incident.status != "closed"
    return f"it was merged into incident {draft.incident.parent}" if merged else guards.unless_resolved(draft)


def reopen(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """It is not solved after all: whoever had it is paged first."""
    why = f"{guards.who(draft, signal)} reopened it{guards.because(signal)}"
    reopening.by_person(draft, why=why, reason=Reason("rule 13: reopen"))
    return None


def confirm(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """The customer confirms the solution: the incident closes."""
    guards.remark(draft, signal)
    rating = signal.arguments.rating
    customer_words.said(draft, "confirm", f"{rating} of 5" if rating else signal.arguments.note)
    closing.confirm(draft, rating, by=_says(draft, signal))
    return None


def refuse(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """The customer says that it is not solved: it comes back one level higher."""
    why = signal.arguments.note or signal.arguments.text
    customer_words.said(draft, "refuse", why)
    closing.refuse(draft, why, by=_says(draft, signal))
    return None


def _says(draft: Draft, signal: ActionTaken) -> str:
    """The speaker; a customer appears under their name."""
    if signal.actor.name.startswith("customer:"):
        return draft.incident.customer_name or "the customer"
    return guards.who(draft, signal)


def close(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Close it without waiting for a confirmation."""
    why = f"{guards.who(draft, signal)} closed it{guards.because(signal)}"
    transitions.close(draft, why=why, reason=Reason("rule 13: close"))
    return None


def merge(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """It is the same problem as another incident, and ends there."""
    if not signal.arguments.into:
        return guards.invalid("merge needs `into`: the id of the incident that goes on")
    refusal = grouping.merge(draft, signal.arguments.into)
    if refusal is None:
        guards.remark(draft, signal)
    return refusal
