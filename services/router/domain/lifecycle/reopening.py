"""Reopening: by its key, by a person, by a customer who refused (docs/rules.md, rule 15)."""

from msgspec.structs import replace

from services.router.domain.draft.draft import LADDER, Draft
from services.router.domain.draft.names import sender
from services.router.domain.escalation import chain, paging
from services.router.domain.lifecycle import late_trigger, sender_events
from services.router.domain.model.reason import Reason
from services.router.domain.muting import grouping, suppression
from services.router.domain.sla import clocks
from shared.events import IncidentEvent

_RULE = Reason("rule 15")


def by_event(draft: Draft, event: IncidentEvent, *, why: str) -> None:
    """The same key was triggered again in time: whoever had it is paged first."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    known = _triggered_again(draft, why, _RULE)
    late_trigger.hold(draft, event, first=known, reopens=True)
    sender_events.refresh(draft, event, moves=False)
    draft.actor = LADDER
    _ask_again(draft, known)


def by_person(draft: Draft, *, why: str, reason: Reason) -> None:
    """Somebody says that it is not solved: whoever had it is paged first."""
    known = _triggered_again(draft, why, reason)
    _ask_again(draft, known)


def one_level_up(draft: Draft, *, why: str, reason: Reason) -> None:
    """It was refused: page the level above the one that solved it; those below have had their turn."""
    before = draft.incident.chain
    known = _triggered_again(draft, why, reason)
    draft.follow(known)
    suppression.at_reopening(draft)
    grouping.at_reopening(draft)
    if before.state != "assignee" and not before.unasked:
        draft.set_chain(unasked=False, by_name=False)
    chain.hand_up(draft, cause=why, reason=reason)


def _triggered_again(draft: Draft, why: str, reason: Reason) -> str:
    """Back to triggered: the clock to resolve goes on, points start afresh. Returns who had it."""
    incident, by_share = draft.incident, {rule.where for rule in draft.policy.shares}
    draft.set(
        status="triggered",
        reopened=incident.reopened + 1,
        resolved_at=None,
        acknowledged=None,
        person_took_at=None,
        assignee="",
        duty=None,
        approval=None,
        confirmed=None,
        solved_at="",
        avoided=False,
        paged=(),  # who was paged, and how bad it was, count from here
        severest=None,
        kinds=(),
        suppression=None,  # what held when it was resolved is over; what holds now is checked next
        points={where: state for where, state in incident.points.items() if where in by_share},
        chain=replace(
            incident.chain,
            round=1,
            unasked=True,
            by_name=incident.chain.lowest > 0,
            entered=(draft.policy.name,),
            state="climbing",
            due=None,
        ),
    )
    draft.touch()
    draft.say("reopened", f"reopened ({draft.incident.reopened}): {why}", reason)
    draft.change("reopened")
    clocks.reopened(draft)
    return incident.assignee


def _ask_again(draft: Draft, known: str) -> None:
    suppression.at_reopening(draft)
    grouping.at_reopening(draft)
    if draft.stands_still == "held":
        late_trigger.stand_back(draft)
    elif draft.stands_still:
        draft.follow(known)
    elif known in draft.live.spec.users:
        paging.page_assignee(draft, known, cause="", reason=_RULE)
    else:
        chain.restart(draft, cause="it was reopened", reason=_RULE)
