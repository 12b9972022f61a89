"""The end of a suppression: what is still open is paged or dropped (docs/rules.md, rule 11)."""

from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft.draft import LADDER, Draft
from services.router.domain.draft.names import user
from services.router.domain.draft.stages import Moment
from services.router.domain.escalation import chain, delivery_reports
from services.router.domain.lifecycle import transitions
from services.router.domain.model.reason import Reason
from services.router.domain.muting import suppression
from services.router.domain.sla import clocks


def check(draft: Draft) -> None:
    """End the suppression of an open incident if nothing suppresses it any more."""
    muting = suppression.find(draft)
    if muting is not None:
        suppression.go_on(draft, muting)
    elif _is_dropped(draft):
        _drop(draft)
    else:
        _end(draft)


ENDS: Final = Moment(
    "the suppression ends",
    attrgetter("incident.suppression.until"),
    check,
    when=lambda draft: draft.incident.suppression,
)


def _is_dropped(draft: Draft) -> bool:
    """Whether it is dropped: only when the suppression ended by itself and nobody has taken it."""
    by = draft.incident.suppression
    over = by is not None and by.then == "drop" and draft.now >= by.until
    return over and not draft.incident.assignee


def _drop(draft: Draft) -> None:
    """Resolve it as quietly as it stood; what dropped it stays on record."""
    by = draft.incident.suppressed_by
    draft.actor = LADDER
    clocks.cancel_all(draft, f"dropped at the end of {by}")
    draft.say("dropped", f"dropped: {by} is over and drops what still stands", Reason("rule 11: then: drop"))
    transitions.resolve(draft, by=LADDER, text=f"dropped at the end of {by}", source_time=None)
    draft.change("dropped")


def _end(draft: Draft) -> None:
    incident = draft.incident
    by, unheard = incident.suppressed_by, incident.chain.unasked and not incident.reopened
    draft.set(suppression=None)
    clocks.pause_or_go_on(draft)
    reason = Reason("rule 11: clocks start when the suppression ends")
    draft.say("awake", f"{by} is over and it still stands: notifying begins", reason, LADDER)
    draft.change("awake")
    if unheard:
        draft.change("opened")  # subscribers have heard nothing of it so far
    if incident.assignee in draft.live.spec.users and not draft.is_muted:
        text = f"{by} is over and it still stands: it is assigned to you."
        draft.notify(user(incident.assignee), "inform", text=text, reason="it is assigned to you")
    go_on(draft, cause=f"{by} is over and it still stands")


def go_on(draft: Draft, *, cause: str) -> None:
    """The levels move again, unless something else stops them or somebody has it."""
    if draft.stands_still:
        return
    if draft.incident.status == "acknowledged":
        delivery_reports.go_on(draft, cause=cause)
        return
    position = draft.incident.chain
    draft.set(chain=replace(position, since=draft.now))
    chain.restart(draft, cause=cause, reason=Reason("rule 11"))
