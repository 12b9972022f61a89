"""A trigger whose sender dates it before the last resolve of its key (docs/rules.md, rule 16).

It may be the late twin from a highly available pair, or come from a sender that keeps its first time: nobody
is paged for two minutes, within which a resolve ends it. Otherwise it pages. No trigger is ignored for its
time.
"""

from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from services.router.domain.draft.draft import LADDER, Draft
from services.router.domain.draft.stages import Moment
from services.router.domain.draft.wording import second, span
from services.router.domain.escalation import chain, grace, paging
from services.router.domain.model.parts import Late
from services.router.domain.model.reason import Reason
from shared.events import IncidentEvent

HOLD: Final = timedelta(minutes=2)
HELD: Final = "late"  # the kind of the timeline entry that says so
_OVER: Final = "late_over"
_RULE: Final = "rule 16: a sender's clock silences no page"


def counted(event: IncidentEvent) -> datetime | None:
    """Its time for comparisons, never later than when intake received it; None when it carries none."""
    return None if event.occurred_at is None else min(event.occurred_at, event.received_at)


def latest(event: IncidentEvent, before: datetime | None) -> datetime | None:
    """The later of the key's last resolve, `before`, and this one; None when this one carries no time."""
    at = counted(event)
    return at if at is None or before is None else max(at, min(before, event.received_at))


def before_the_resolve(event: IncidentEvent, resolved: datetime | None) -> str:
    """Why the trigger predates its key's last resolve; '' when it does not, or a time is unknown.

    Senders write whole seconds: within one second the order of the log counts.
    """
    at = counted(event)
    if at is None or resolved is None or at.replace(microsecond=0) >= resolved.replace(microsecond=0):
        return ""
    return f"its source time {second(at)} is earlier than that of the last resolve, {second(resolved)}"


def hold(draft: Draft, event: IncidentEvent, *, first: str = "", reopens: bool = False) -> None:
    """Page nobody for a while if the trigger that (re)opens it is late; `first` is asked afterwards."""
    why = before_the_resolve(event, draft.incident.source_time)
    if not why:
        return
    draft.set(late=Late(until=draft.now + HOLD, first=first, reopens=reopens))
    draft.forget_step()
    text = f"nobody is paged for {span(HOLD)}, a resolve until then ends it: {why}"
    draft.say(HELD, text, _reason(event, draft.incident.source_time), LADDER)


def _reason(event: IncidentEvent, resolved: datetime | None) -> Reason:
    values = {"received_at": event.received_at.isoformat()}
    if event.occurred_at is not None:
        values["occurred_at"] = event.occurred_at.isoformat()
    if resolved is not None:
        values["resolved"] = resolved.isoformat()
    return Reason(_RULE, values=values)


def stand_back(draft: Draft) -> None:
    """The chain waits until then; meanwhile automation has its chance where the policy gives it one."""
    held = draft.incident.late
    assert held is not None
    if draft.incident.chain.grace_due:
        grace.begin(draft)
    else:
        draft.set_chain(state="grace", since=draft.now, due=held.until)


def repeated(draft: Draft, event: IncidentEvent) -> None:
    """The key was triggered again meanwhile: a trigger that is not late ends the hold."""
    if draft.incident.late is not None and not before_the_resolve(event, draft.incident.source_time):
        end(draft, "it was triggered again, and not from before the last resolve")


def _still_stands(draft: Draft) -> None:
    end(draft, f"it still stands {span(HOLD)} after a trigger from before the last resolve")


def end(draft: Draft, why: str) -> None:
    """End the hold: from now on it is like any other."""
    held = draft.incident.late
    assert held is not None
    over(draft)
    if draft.incident.status != "triggered":
        return
    if draft.stands_still:
        draft.follow(held.first)
        draft.say(_OVER, f"no longer held, {draft.stands_still} all the same: {why}", Reason(_RULE))
        return
    ends = grace.ends(draft)
    if ends is not None and ends > draft.now:
        draft.set_chain(due=ends)
        draft.say(_OVER, f"no longer held; automation still has its chance: {why}", Reason(_RULE))
    elif held.first in draft.live.spec.users:
        paging.page_assignee(draft, held.first, cause=why, reason=Reason(_RULE))
    else:
        chain.restart(draft, cause=why, reason=Reason(_RULE))


def over(draft: Draft) -> None:
    """The hold is over, or somebody has it or is asked: now subscribers hear that it is open."""
    held = draft.incident.late
    if held is not None:
        draft.set(late=None)
        draft.change("reopened" if held.reopens else "opened")


def solved(draft: Draft, held: Late) -> None:
    """It was resolved before anybody was paged or told: it never came back."""
    if held.reopens:
        draft.set(reopened=max(0, draft.incident.reopened - 1))
    text = "over before anybody was paged: the trigger was from before the last resolve"
    draft.say(_OVER, text, Reason(_RULE))


STILL_STANDS: Final = Moment(
    "a late trigger still stands",
    attrgetter("incident.late.until"),
    _still_stands,
    when=lambda draft: draft.incident.late,
)
