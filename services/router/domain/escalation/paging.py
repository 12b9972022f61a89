"""Taking a step: where the chain stands from now on, who is paged, and how the timeline tells it.

`next_step` says which step it is; `chain` says when and why.
"""

from datetime import datetime
from typing import Literal, Unpack

import msgspec

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import Found
from services.router.domain.draft.wording import span
from services.router.domain.escalation import hold_until, modes
from services.router.domain.escalation.next_step import Candidate, Step, otherwise
from services.router.domain.model.compiled_bundle import CompiledLevel
from services.router.domain.model.incident_fields import ChainFields
from services.router.domain.model.parts import ChainState
from services.router.domain.model.reason import Reason
from services.router.domain.model.vocabulary import Through
from shared.events import Recipient


def carry_out(
    draft: Draft,
    step: Step,
    *,
    cause: str,
    reason: Reason | None = None,
    named: bool = False,
    joins: bool = False,
) -> None:
    """Page those whom the step asks, and record why no earlier level is.

    `named`: its first level was asked for by name. `joins`: somebody has taken the incident and keeps it.
    """
    for passed in step.passed:
        _say_passed(draft, passed)
    if step.level is None:
        _page_finally(draft, step.hold, cause=cause, reason=reason, joins=joins)
        return
    _say_competence(draft, step.level)
    if step.hold is not None:
        _wait_for(draft, step.level.level, step.hold, cause, joins=joins)
    else:
        _page_level(draft, step.level, cause, reason, named=named, joins=joins)


def _say_passed(draft: Draft, candidate: Candidate) -> None:
    """Record why this level is not asked."""
    level, name = candidate.level, candidate.level.spec.name
    if candidate.resolved is None:
        draft.say("level_skipped", f"level {name} is passed: it does not handle this", candidate.reason)
        return
    _say_competence(draft, candidate)
    if candidate.hold is not None:
        draft.say("level_skipped", hold_until.never(level, candidate.hold), hold_until.reason(level))
    else:
        text = f"level {name} is passed at once: it names nobody"
        draft.say("level_skipped", text, Reason(f"{level.where}.notify"))


def _say_competence(draft: Draft, candidate: Candidate) -> None:
    """Record why a level's competence could not be evaluated, and which of its targets name nobody."""
    assert candidate.resolved is not None
    if candidate.unsure:
        name = candidate.level.spec.name
        text = f"level {name} counts as competent: its condition could not be evaluated: {candidate.unsure}"
        draft.say("competence", text, candidate.reason)
    draft.say_unnamed(candidate.resolved, Reason(f"{candidate.level.where}.notify"))


def _wait_for(draft: Draft, level: CompiledLevel, hold: hold_until.Hold, cause: str, *, joins: bool) -> None:
    """Stay here until the next level's calendar opens; whoever has the incident keeps it."""
    state: ChainState = "resting" if joins else "held"
    draft.set_chain(state=state, due=hold.until, calendar=hold.calendar)
    text = hold_until.waits(f"level {level.spec.name}", hold)
    draft.say("held", text + _because(cause), hold_until.reason(level))


def _page_level(
    draft: Draft, candidate: Candidate, cause: str, reason: Reason | None, *, named: bool, joins: bool
) -> None:
    """Page whom the level names now, as its mode says."""
    assert candidate.resolved is not None
    level, rounds = candidate.level, draft.policy.spec.rounds
    if draft.is_muted:
        _stand_quietly(draft, level.index, candidate.round, cause, named=named)
        return
    turn = modes.first(draft, level, candidate.resolved.found, joins=joins)
    ends = draft.now + level.spec.acknowledge_within
    due = None if joins else modes.ends_at(draft, level, ends, turn.left)
    _stand(
        draft,
        level=level.index,
        round=candidate.round,
        since=draft.now,
        state="climbing",
        due=due,
        ends=ends if due is not None and due < ends else None,
        unasked=False,
        by_name=named,
        turn=1,
        calendar="",
    )
    place = f"level {level.spec.name}" + (f", round {candidate.round} of {rounds}" if rounds > 1 else "")
    verb, until = (
        ("joins", "") if joins else ("is paged", f"; {span(level.spec.acknowledge_within)} to take it")
    )
    names = _names(draft, modes.people(turn.paged))
    text = f"{place} {verb}{turn.manner}{_because(cause)}: {names}{until}"
    draft.say("paged", text, reason or Reason(f"{level.where}.notify"))
    then = _stays(draft) if joins else _next_asked(draft, level, turn) or otherwise(draft)
    draft.forget_step()
    _ask(
        draft,
        _Asking("level", place + ("," + turn.manner if turn.manner else ""), cause, due, then, joins),
        turn.paged,
    )


def _stand_quietly(draft: Draft, level: int, round_: int, cause: str, *, named: bool) -> None:
    """Move there but page nobody: the end of the suppression, or of its group, will (rule 11)."""
    climbs = level < len(draft.policy.levels)
    _stand(
        draft,
        level=level,
        round=round_,
        since=draft.now,
        state="climbing" if climbs else "finally",
        due=None,
        unasked=False,
        by_name=named,
        turn=0,
        calendar="",
    )
    where = draft.incident.suppressed_by or f"it belongs to incident {draft.incident.parent}"
    draft.say("muted", f"{place(draft)} is not asked{_because(cause)}: {where}", Reason("rule 11"))


def _stand(draft: Draft, **changes: Unpack[ChainFields]) -> None:
    """Move to another place on the levels; moves up are counted."""
    before = draft.incident.chain
    changes.setdefault("ends", None)
    draft.set_chain(**changes)
    after = draft.incident.chain
    if not before.unasked and (after.round, after.level) > (before.round, before.level):
        draft.set(handed_up=draft.incident.handed_up + 1)


def _next_asked(draft: Draft, level: CompiledLevel, turn: modes.Turn) -> str:
    """Who of the same level is paged next if nobody acts; '' when all of them have been."""
    if level.spec.mode.kind != "one_by_one" or not turn.left:
        return ""
    if not modes.promises_another(draft, level):
        return ""
    return f"{draft.directory.shown(turn.left[0].recipient)} is paged next"


def page_next_in_turn(draft: Draft, turn: modes.Turn, *, cause: str, reason: Reason) -> None:
    """The level goes on with its next person; those asked before may still take it."""
    level, position = modes.standing(draft), draft.incident.chain
    assert level is not None
    ends = modes.level_ends(draft, level)
    due = modes.ends_at(draft, level, ends, turn.left)
    draft.set_chain(turn=position.turn + 1, due=due, ends=ends)
    modes.advance(draft, level, turn)
    name = draft.directory.shown(turn.paged[0].recipient)
    place = f"level {level.spec.name}, number {position.turn + 1} of those it asks"
    until = f"; {span(due - draft.now)} to take it"
    draft.say("paged", f"{name} is paged next{_because(cause)}: {place}{until}", reason)
    then = _next_asked(draft, level, turn) or otherwise(draft)
    _ask(draft, _Asking("level", place, cause, due, then, joins=False), turn.paged)


def page_assignee(draft: Draft, known: str, *, cause: str, reason: Reason) -> None:
    """Page whoever had a reopened incident first (rule 15)."""
    window = draft.policy.levels[draft.incident.chain.lowest].spec.acknowledge_within
    due, why = draft.now + window, "you had it before it was reopened"
    draft.set_chain(since=draft.now, state="assignee", due=due)
    draft.forget_step()
    name = draft.directory.display(known)
    text = f"{name} is paged first, who had it; {span(window)} to take it"
    if cause:
        text += f" ({cause})"
    draft.say("paged", text, reason)
    found = Found(Recipient(kind="user", name=known), why)
    draft.page(found, through="assignee", why=why, act_by=due, otherwise=otherwise(draft))
    draft.change("paged")


class _Asking(msgspec.Struct, frozen=True):
    """What the pages of one step have in common."""

    through: Through
    place: str
    cause: str
    due: datetime | None
    otherwise: str
    joins: bool


def _ask(draft: Draft, step: _Asking, found: tuple[Found, ...]) -> None:
    where = f"({step.place}; {step.cause})" if step.cause else f"({step.place})"
    for each in found:
        draft.page(
            each,
            through=step.through,
            why=f"{each.why} {where}",
            act_by=step.due,
            otherwise=step.otherwise,
            joins=step.joins,
        )
    draft.change("paged")


def _because(cause: str) -> str:
    return f" because {cause}" if cause else ""


def _stays(draft: Draft) -> str:
    return f"it stays with {draft.directory.display(draft.incident.assignee)}"


def _names(draft: Draft, found: tuple[Found, ...]) -> str:
    return ", ".join(draft.directory.shown(each.recipient) for each in found)


def _page_finally(
    draft: Draft, hold: hold_until.Hold | None, *, cause: str, reason: Reason | None, joins: bool
) -> None:
    """Page `finally` once more, or `last_resort` when it names nobody; again after `every` (rule 5).

    A calendar that never opens again no longer holds it.
    """
    policy = draft.policy
    final, where = policy.spec.finally_, f"policies.{policy.name}.finally"
    if draft.is_muted:
        _stand_quietly(draft, len(policy.levels), draft.incident.chain.round, cause, named=False)
        return
    if hold is not None and hold.until is not None:
        _wait_at_the_end(draft, hold, cause, joins=joins)
        return
    if hold is not None and draft.incident.chain.state != "finally":
        draft.say("held", hold_until.does_not_wait(hold), hold_until.reason_of_finally(draft))
    _stand(
        draft,
        level=len(policy.levels),
        since=draft.now,
        state="finally",
        due=None if joins else draft.now + final.every,
        unasked=False,
        by_name=False,
        calendar="",
    )
    resolved = draft.directory.resolve(final.notify)
    draft.say_unnamed(resolved, Reason(f"{where}.notify"))
    if resolved:
        _page_last(draft, "finally", resolved.found, cause, reason or Reason(where), joins=joins)
        return
    draft.say("nobody", "finally names nobody: last_resort is paged", Reason(where))
    page_last_resort(draft, cause=cause, reason=reason or Reason("last_resort"), joins=joins)


def _wait_at_the_end(draft: Draft, hold: hold_until.Hold, cause: str, *, joins: bool) -> None:
    """`finally` is next, and pages when its calendar opens; those asked before may still take it."""
    if joins:
        draft.set_chain(state="resting", due=hold.until, calendar=hold.calendar)
    else:
        end = len(draft.policy.levels)
        _stand(draft, level=end, state="finally", due=hold.until, calendar=hold.calendar)
    draft.say(
        "held", hold_until.waits("finally", hold) + _because(cause), hold_until.reason_of_finally(draft)
    )


def page_last_resort(draft: Draft, *, cause: str, reason: Reason, joins: bool = False) -> None:
    """Page `last_resort` in place of `finally`."""
    resolved = draft.directory.resolve(draft.live.spec.last_resort)
    _page_last(draft, "last_resort", resolved.found, cause, reason, joins=joins)


def _page_last(
    draft: Draft,
    through: Literal["finally", "last_resort"],
    found: tuple[Found, ...],
    cause: str,
    reason: Reason,
    *,
    joins: bool,
) -> None:
    every, due = span(draft.policy.spec.finally_.every), draft.incident.chain.due
    names = _names(draft, found) or "nobody (it resolves to no one)"
    verb, again = ("joins", "") if joins else ("pages", f"; again every {every}{_while_open(draft)}")
    draft.say("paged", f"{through} {verb}{_because(cause)}: {names}{again}", reason)
    hold = hold_until.of_finally(draft, due) if due is not None else None
    waits = hold is not None and hold.until is not None
    then = (
        f"you are paged again{hold_until.opens(hold)}"
        if hold and waits
        else f"you are paged again in {every}"
    )
    draft.forget_step()
    _ask(draft, _Asking(through, through, cause, due, _stays(draft) if joins else then, joins), found)


def _while_open(draft: Draft) -> str:
    calendar = draft.policy.spec.finally_.hold_until
    return f" while calendar {calendar} is open" if calendar else ""


def place(draft: Draft) -> str:
    """The current place, as a sentence names it."""
    chain = draft.incident.chain
    if chain.state == "assignee":
        return "the assignee"
    return f"level {draft.level_name}" if chain.level < len(draft.policy.levels) else "finally"
