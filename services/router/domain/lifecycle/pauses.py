"""Waiting and snooze: the levels stand still although nothing is solved (docs/rules.md, rule 9).

Both need an end (rule 6). Snooze stops levels, never clocks; waiting stops levels, and the clocks whose SLA
says so. A rise in priority ends both.
"""

from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final, Literal

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.stages import Moment
from services.router.domain.draft.wording import minute
from services.router.domain.escalation import chain, delivery_reports
from services.router.domain.model.parts import Snooze, Waiting
from services.router.domain.model.reason import Reason
from services.router.domain.sla import clocks

ENDS_AFTER: Final = timedelta(days=1)  # rule 6: waiting needs an end, and an event names none
_RULE = Reason("rule 9")


def wait(draft: Draft, party: str, until: datetime) -> None:
    """Wait: stops the levels, and the clocks that say so."""
    before = draft.incident.waiting_for
    draft.set(waiting=Waiting(party, until))
    if before == party:
        return
    clocks.pause_or_go_on(draft)
    _stop(draft, "waiting")
    draft.say("waiting", f"waiting for {party}, until {minute(until)} at the latest", _RULE)
    draft.change("waiting")


def snooze(draft: Draft, until: datetime) -> None:
    """Snooze: stops the levels; every clock and point goes on."""
    draft.set(snooze=Snooze(until, draft.actor))
    _stop(draft, "snoozed")  # a point may have asked a level meanwhile
    draft.say("snoozed", f"snoozed until {minute(until)}; the clocks go on", _RULE)
    draft.change("snoozed")


def _stop(draft: Draft, why: Literal["snoozed", "waiting"]) -> None:
    """Stop the levels, and call off their pages that have not been sent."""
    draft.set_chain(due=None)
    if draft.incident.status == "triggered" and draft.incident.pages:
        draft.cancel_pages(why, draft.actor)


def resume(draft: Draft, why: str) -> None:
    """The waiting is over: paused clocks go on, the level has its full time again."""
    party = draft.incident.waiting_for
    draft.set(waiting=None)
    clocks.pause_or_go_on(draft)
    draft.say("resumed", f"no longer waiting for {party}: {why}", _RULE)
    draft.change("resumed")
    _go_on(draft, f"the waiting for {party} is over")


def end_snooze(draft: Draft, why: str) -> None:
    """The snooze is over: the level has its full time again."""
    clear_snooze(draft, why)
    _go_on(draft, "the snooze is over")


def _go_on(draft: Draft, cause: str) -> None:
    """The levels go on, unless something else still stops them."""
    if draft.incident.status == "acknowledged":
        delivery_reports.go_on(draft, cause=cause)
    elif draft.incident.chain.due is None and not draft.stands_still:
        chain.restart(draft, cause=cause, reason=_RULE)


def end(draft: Draft, why: str) -> None:
    """End waiting and snooze: a person says so, or the priority rose."""
    if draft.incident.waiting is not None:
        clear_snooze(draft, why)
    elif draft.incident.snooze is not None:
        end_snooze(draft, why)
    if draft.incident.waiting is not None:
        resume(draft, why)


def clear_snooze(draft: Draft, why: str) -> None:
    """End the snooze; the caller decides what the levels do now."""
    if draft.incident.snooze is not None:
        draft.set(snooze=None)
        draft.say("resumed", f"no longer snoozed: {why}", _RULE)
        draft.change("resumed")


def _waiting_ends(draft: Draft) -> None:
    resume(draft, "the time to wait is over")


def _snooze_ends(draft: Draft) -> None:
    end_snooze(draft, "its time is over")


WAITING_ENDS: Final = Moment(
    "the waiting ends",
    attrgetter("incident.waiting.until"),
    _waiting_ends,
    when=lambda draft: draft.incident.waiting,
)
SNOOZE_ENDS: Final = Moment(
    "the snooze ends",
    attrgetter("incident.snooze.until"),
    _snooze_ends,
    when=lambda draft: draft.incident.snooze,
)
