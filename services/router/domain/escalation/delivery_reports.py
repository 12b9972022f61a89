"""The notifier's reports about pages, and the step that a failure may call for (docs/rules.md, rule 7)."""

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import shown_address
from services.router.domain.escalation import calls, chain, modes, paging
from services.router.domain.model.parts import OpenPage
from services.router.domain.model.reason import Reason
from shared.events import DeliveryReport

FAILED_STEP_EVERY: Final = timedelta(minutes=1)  # at most one step a minute because pages reached nobody


def record(draft: Draft, report: DeliveryReport) -> bool:
    """Record the report; returns whether the chain moved. A report about an earlier step changes nothing."""
    if report.event == "call":
        calls.reported(draft, report)
        return False
    sent = f"{report.channel or 'no channel'} to {shown_address(report.recipient)}"
    text = f"{sent}: {report.outcome}" + (f" ({report.reason})" if report.reason else "")
    draft.say("delivery", text, actor="notifier")
    incident = draft.incident
    page = next((each for each in incident.pages if each.page_id == report.page_id), None)
    marked = _marked(page, report) if page is not None else None
    if page is None or marked is None or marked == page:
        return False
    draft.set(pages=tuple(marked if each is page else each for each in incident.pages))
    climbing = incident.chain.due is not None
    wanted = climbing if incident.status == "triggered" else page.joins and not incident.stands_still
    if not incident.is_open or page.looks or not wanted:
        return False
    if modes.is_lost(draft) and _next_of_the_level(draft):
        return True
    if not is_lost(draft):
        return False
    _move_on(draft)
    return True


def _marked(page: OpenPage, report: DeliveryReport) -> OpenPage:
    """The page as it stands after the report."""
    if report.superseded_by:
        return replace(page, superseded=True)
    return replace(page, state=report.page) if report.page else page


def _next_of_the_level(draft: Draft) -> bool:
    """The person asked alone cannot be reached: ask the level's next one at once, if any."""
    turn = modes.following(draft)
    if turn is None:
        return False
    paging.page_next_in_turn(
        draft, turn, cause=f"no page to {modes.last_asked(draft)} arrived", reason=_reason(draft)
    )
    return True


def is_lost(draft: Draft) -> bool:
    """Whether every page of this step failed for good; never for `last_resort`, after which nothing comes.

    A superseded page shares the fate of the newer one.
    """
    if draft.incident.chain.state in {"grace", "held"} or draft.incident.chain.waits_at_the_end:
        return False  # the step of these pages is over: nobody is being asked
    step = [each for each in draft.incident.pages if not (each.looks or _has_a_newer(draft, each))]
    if draft.incident.status != "triggered" and not all(each.joins for each in step):
        return False  # they were asked before somebody took it
    return (
        bool(step)
        and all(each.state == "unreachable" for each in step)
        and any(each.through != "last_resort" for each in step)
    )


def _has_a_newer(draft: Draft, page: OpenPage) -> bool:
    """Whether it was superseded before it reached anybody, and the page that replaces it is known."""
    pages = draft.incident.pages
    later = pages[pages.index(page) + 1 :]
    same = any(each.name == page.name and each.user == page.user and not each.looks for each in later)
    return page.superseded and page.state != "reached" and same


def go_on(draft: Draft, *, cause: str) -> None:
    """A taken incident stands still no longer: levels stay paused, whoever was missed meanwhile joins."""
    chain.stay_paused(draft, cause=cause)
    if draft.incident.chain.state == "resting" and not draft.incident.chain.calendar and is_lost(draft):
        _move_on(draft)


def _move_on(draft: Draft) -> None:
    """Take the next step now, or once a minute has passed since the last such step."""
    position = draft.incident.chain
    earliest = position.failed_step_at + FAILED_STEP_EVERY if position.failed_step_at else draft.now
    if draft.now >= earliest:
        step_past(draft)
        return
    if position.due is None or earliest < position.due:
        draft.set_chain(due=earliest)
    text = f"no page to {paging.place(draft)} reached anybody; the next step follows within a minute"
    draft.say("unreachable", text, _reason(draft))


def _reason(draft: Draft) -> Reason:
    names = [shown_address(page.name) for page in draft.incident.pages if page.state == "unreachable"]
    return Reason("rule 7: pages that reach nobody", values={"pages": names})


def step_past(draft: Draft) -> None:
    """Leave a step whose pages reached nobody."""
    cause, reason = f"no page to {paging.place(draft)} reached anybody", _reason(draft)
    draft.say("unreachable", cause, reason)
    position, taken = draft.incident.chain, draft.incident.status == "acknowledged"
    if position.level >= len(draft.policy.levels) and not position.unasked:
        if position.state == "finally":  # its turn goes on: after `every` it is paged again
            every = draft.policy.spec.finally_.every
            turn = position.since + every
            draft.set_chain(due=turn if turn > draft.now else draft.now + every)
        paging.page_last_resort(draft, cause=cause, reason=reason, joins=taken)
    elif taken:
        chain.join(draft, cause=cause, reason=reason)
    else:
        chain.advance(draft, cause=cause, reason=reason)
    draft.set_chain(failed_step_at=draft.now)
