"""The chain of competence: which level is asked now, and what comes next (POLICY.md, rules 1–5, 7).

A level that resolves to nobody is passed at once; past the last level and the last round stands `finally`,
which repeats until somebody takes the incident; when it names nobody, `last_resort` does. Only a climb that
`holds` lets a level wait for its calendar: whom a person hands it to is paged now.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from services.router.domain import grace, held, turns
from services.router.domain.compiled import Rung
from services.router.domain.directory import Found
from services.router.domain.draft import Draft
from services.router.domain.incident import Chain, ChainState
from services.router.domain.reason import Reason
from services.router.domain.steps import Candidate, candidates, onward, otherwise, span

MACHINE_REST: Final = timedelta(minutes=30)  # rule 3: a machine's acknowledge rests the levels so long


def enter(
    draft: Draft,
    policy: str,
    *,
    start_at: str | None,
    cause: str,
    reason: Reason,
    paging: bool = True,
    opening: bool = False,
    holds: bool = True,
) -> None:
    """Start a policy's ladder at `start_at`, or at the first level that handles the incident (rule 1).

    Not `paging`: it stands before its first level until the waiting is over. `opening`: the incident is new,
    and automation has its chance first where the policy says so.
    """
    ladder, before = draft.policy.ladders[policy], draft.incident.chain
    lowest = (ladder.index_of(start_at) if start_at else None) or 0
    made = Chain(
        policy=policy,
        level=lowest,
        lowest=lowest,
        since=draft.now,
        entered=(*before.entered, policy),
        failed_step_at=before.failed_step_at,
        unasked=True,
        by_name=bool(start_at),
        grace_due=opening and ladder.spec.grace is not None,
    )
    draft.set(chain=made)
    draft.forget_step()
    draft.say("route", f"policy {policy}" + (f", starting at level {start_at}" if start_at else ""), reason)
    for rung in ladder.rungs[:lowest]:
        draft.say("level_skipped", f"level {rung.spec.name} is skipped: the route starts higher", reason)
    if paging:
        _begin(draft, cause=cause, holds=holds)


def _begin(draft: Draft, *, cause: str, reason: Reason | None = None, holds: bool = True) -> None:
    """Page the level that stands first, or let automation try before that."""
    chain = draft.incident.chain
    if chain.grace_due:
        grace.begin(draft)
        return
    climb(draft, chain.lowest, chain.round, cause=cause, reason=reason, named=chain.by_name, holds=holds)


def climb(
    draft: Draft,
    index: int,
    round_: int,
    *,
    cause: str,
    reason: Reason | None = None,
    wraps: bool = True,
    named: bool = False,
    joins: bool = False,
    holds: bool = True,
) -> None:
    """Page the first level from `index` on that handles the incident and names somebody; else `finally`.

    `wraps`: later rounds count. `named`: the first level was asked for by name. `joins`: somebody has taken
    the incident and keeps it. `holds`: a level may wait for its calendar.
    """
    for candidate in candidates(draft, index, round_, wraps=wraps, named=named):
        if _pass(draft, candidate):
            continue
        hold = held.hold(draft, candidate.rung, draft.now) if holds else None
        if hold is not None and hold.until is None:
            draft.say("level_skipped", held.never(candidate.rung, hold), held.reason(candidate.rung))
            continue
        if hold is not None:
            _hold(draft, candidate.rung, hold, cause, joins=joins)
            return
        _page_level(draft, candidate, cause, reason, named=named, joins=joins)
        return
    page_finally(draft, cause=cause, reason=reason, joins=joins)


def _pass(draft: Draft, candidate: Candidate) -> bool:
    """Write down why this level is not paged; whether it is passed."""
    rung, name = candidate.rung, candidate.rung.spec.name
    if candidate.resolved is None:
        text = f"level {name} is passed: it does not handle this"
        draft.say("level_skipped", text, candidate.reason)
        return True
    if candidate.unsure:
        text = f"level {name} counts as competent: its condition could not be evaluated: {candidate.unsure}"
        draft.say("competence", text, candidate.reason)
    where = f"{rung.where}.notify"
    for gap in candidate.resolved.gaps:
        draft.say("nobody", gap, Reason(where))
    if candidate.asks_somebody:
        return False
    draft.say("level_skipped", f"level {name} is passed at once: it names nobody", Reason(where))
    return True


def _hold(draft: Draft, rung: Rung, hold: held.Hold, cause: str, *, joins: bool) -> None:
    """The chain stands where it stands until the next level's calendar opens (whoever has it keeps it)."""
    state: ChainState = "resting" if joins else "held"
    draft.set_chain(state=state, due=hold.until, calendar=hold.calendar)
    draft.say("held", held.waits(rung, hold) + _because(cause), held.reason(rung))


def _page_level(
    draft: Draft, candidate: Candidate, cause: str, reason: Reason | None, *, named: bool, joins: bool
) -> None:
    assert candidate.resolved is not None
    rung, rounds = candidate.rung, draft.ladder.spec.rounds
    if draft.incident.is_muted:
        _stand_quietly(draft, rung.index, candidate.round, cause, named=named)
        return
    turn = turns.first(draft, rung, candidate.resolved.found, joins=joins)
    due = None if joins else turns.ends_at(draft, rung, draft.now, turn.left)
    _stand(
        draft,
        level=rung.index,
        round=candidate.round,
        since=draft.now,
        state="climbing",
        due=due,
        unasked=False,
        by_name=named,
        turn=1,
        calendar="",
    )
    place = f"level {rung.spec.name}" + (f", round {candidate.round} of {rounds}" if rounds > 1 else "")
    verb, until = (
        ("joins", "") if joins else ("is paged", f"; {span(rung.spec.acknowledge_within)} to take it")
    )
    names = _names(draft, turns.people(turn.paged))
    text = f"{place} {verb}{turn.manner}{_because(cause)}: {names}{until}"
    draft.say("paged", text, reason or Reason(f"{rung.where}.notify"))
    then = _stays(draft) if joins else _next_asked(draft, rung, turn) or otherwise(draft)
    draft.forget_step()
    _ask(draft, _Step("level", place + turn.manner, cause, due, then, joins), turn.paged)


def _stand_quietly(draft: Draft, level: int, round_: int, cause: str, *, named: bool) -> None:
    """It moves there and asks nobody: the end of the suppression, or of its group, does (rule 11)."""
    climbs = level < len(draft.ladder.rungs)
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


def _stand(draft: Draft, **changes: Any) -> None:
    """Move to another place of the ladder; a move up is counted."""
    before = draft.incident.chain
    draft.set_chain(**changes)
    after = draft.incident.chain
    if not before.unasked and (after.round, after.level) > (before.round, before.level):
        draft.set(handed_up=draft.incident.handed_up + 1)


def _next_asked(draft: Draft, rung: Rung, turn: turns.Turn) -> str:
    """Who of the same level is paged next when nobody acts; '' when the level has asked everybody."""
    if rung.spec.mode.kind != "one_by_one" or not turn.left:
        return ""
    end = draft.incident.chain.since + rung.spec.acknowledge_within
    due = draft.incident.chain.due
    if due is None or due >= end:
        return ""
    return f"{draft.directory.shown(turn.left[0].recipient)} is paged next"


def take_turn(draft: Draft, turn: turns.Turn, *, cause: str, reason: Reason) -> None:
    """The level goes on with the next of its people; whoever was asked before may still take it."""
    rung, position = turns.standing(draft), draft.incident.chain
    assert rung is not None
    due = turns.ends_at(draft, rung, position.since, turn.left)
    draft.set_chain(turn=position.turn + 1, due=due)
    turns.advance(draft, rung, turn)
    name = draft.directory.shown(turn.paged[0].recipient)
    place = f"level {rung.spec.name}, number {position.turn + 1} of those it asks"
    until = f"; {span(due - draft.now)} to take it"
    draft.say("paged", f"{name} is paged next{_because(cause)}: {place}{until}", reason)
    then = _next_asked(draft, rung, turn) or otherwise(draft)
    _ask(draft, _Step("level", place, cause, due, then, joins=False), turn.paged)


class _Step(msgspec.Struct, frozen=True):
    """What the pages of one step have in common."""

    through: str
    place: str
    cause: str
    due: datetime | None
    otherwise: str
    joins: bool


def _ask(draft: Draft, step: _Step, found: tuple[Found, ...]) -> None:
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


def page_finally(draft: Draft, *, cause: str, reason: Reason | None = None, joins: bool = False) -> None:
    """Page `finally` once more, or `last_resort` when it names nobody; again after `every` (rule 5)."""
    ladder = draft.ladder
    final, where = ladder.spec.finally_, f"policies.{ladder.name}.finally"
    if draft.incident.is_muted:
        _stand_quietly(draft, len(ladder.rungs), draft.incident.chain.round, cause, named=False)
        return
    _stand(
        draft,
        level=len(ladder.rungs),
        since=draft.now,
        state="finally",
        due=None if joins else draft.now + final.every,
        unasked=False,
        by_name=False,
        calendar="",
    )
    resolved = draft.directory.resolve(final.notify)
    for gap in resolved.gaps:
        draft.say("nobody", gap, Reason(f"{where}.notify"))
    if resolved:
        _page_last(draft, "finally", resolved.found, cause, reason or Reason(where), joins=joins)
        return
    draft.say("nobody", "finally names nobody: last_resort is paged", Reason(where))
    page_last_resort(draft, cause=cause, reason=reason or Reason("last_resort"), joins=joins)


def page_last_resort(draft: Draft, *, cause: str, reason: Reason, joins: bool = False) -> None:
    """Page `last_resort` in the turn of `finally`."""
    resolved = draft.directory.resolve(draft.live.bundle.last_resort)
    _page_last(draft, "last_resort", resolved.found, cause, reason, joins=joins)


def _page_last(
    draft: Draft, through: str, found: tuple[Found, ...], cause: str, reason: Reason, *, joins: bool
) -> None:
    every = span(draft.ladder.spec.finally_.every)
    names = _names(draft, found) or "nobody (it resolves to no one)"
    verb, again = ("joins", "") if joins else ("pages", f"; again every {every}")
    draft.say("paged", f"{through} {verb}{_because(cause)}: {names}{again}", reason)
    then = _stays(draft) if joins else f"you are paged again in {every}"
    draft.forget_step()
    _ask(draft, _Step(through, through, cause, draft.incident.chain.due, then, joins), found)


def place(draft: Draft) -> str:
    """Where the chain stands, as it is called in a sentence."""
    chain = draft.incident.chain
    if chain.state == "assignee":
        return "the assignee"
    return f"level {draft.level_name}" if chain.level < len(draft.ladder.rungs) else "finally"


def advance(draft: Draft, *, cause: str, reason: Reason, wraps: bool = True) -> None:
    """One step up: the next level that handles it, the next round (if it `wraps`), or `finally`."""
    chain = draft.incident.chain
    if chain.state == "finally":
        page_finally(draft, cause=cause, reason=reason)
        return
    climb(draft, *onward(chain, draft.ladder), cause=cause, reason=reason, wraps=wraps)
    draft.change("escalated")


def time_out(draft: Draft) -> None:
    """Nobody took it within the level's time: one step, whose window counts from now (rule 2)."""
    chain = draft.incident.chain
    if chain.state == "resting":
        _rest_is_over(draft)
        return
    if chain.state == "grace":
        cause, reason = grace.over(draft)
        _begin(draft, cause=cause, reason=reason)
        return
    if chain.state == "held":
        cause, reason = f"calendar {chain.calendar} is open", Reason(f"calendars.{chain.calendar}")
        named = chain.by_name and chain.unasked
        climb(draft, *onward(chain, draft.ladder), cause=cause, reason=reason, named=named)
        draft.change("escalated")
        return
    if chain.state == "finally":
        waited = span(draft.ladder.spec.finally_.every)
        reason = Reason(f"policies.{chain.policy}.finally", values={"every": waited})
        advance(draft, cause=f"nobody has taken it for another {waited}", reason=reason)
        return
    if _asks_the_next(draft):
        return
    waited = span(chain.due - chain.since) if chain.due else span(draft.now - chain.since)
    level = min(chain.level, len(draft.ladder.rungs) - 1)
    where = f"policies.{chain.policy}.levels[{level}].acknowledge_within"
    values = {"paged_at": chain.since.isoformat(), "acknowledge_within": waited}
    advance(
        draft, cause=f"{place(draft)} did not take it within {waited}", reason=Reason(where, values=values)
    )


def _asks_the_next(draft: Draft) -> bool:
    """Whether the level, which asks one by one and has time left, goes on with the next of its people."""
    rung, chain = turns.standing(draft), draft.incident.chain
    each = rung.spec.mode.one_by_one if rung is not None else None
    if rung is None or each is None or draft.now >= chain.since + rung.spec.acknowledge_within:
        return False
    turn = turns.following(draft)
    if turn is None:  # they left the level meanwhile: its time goes on
        draft.set_chain(due=chain.since + rung.spec.acknowledge_within)
        draft.say(
            "turn", f"level {rung.spec.name} has asked everybody it names", Reason(f"{rung.where}.mode")
        )
        return True
    cause = f"{turns.last_asked(draft)} did not take it within {span(each)}"
    take_turn(draft, turn, cause=cause, reason=Reason(f"{rung.where}.mode"))
    return True


def _rest_is_over(draft: Draft) -> None:
    """`solve_within` passed, or a machine's acknowledge has run out (rule 3)."""
    chain, ladder, assignee = draft.incident.chain, draft.ladder, draft.incident.assignee
    if not assignee:
        draft.set(status="triggered")
        reason = Reason("rule 3: a machine's acknowledge rests the levels for so long")
        cause = "no person has taken it since a machine did"
        climb(draft, *onward(chain, ladder), cause=cause, reason=reason)
        draft.change("escalated")
        return
    rung: Rung | None = ladder.rungs[chain.level] if chain.level < len(ladder.rungs) else None
    limit = span((rung.spec.solve_within if rung is not None else None) or timedelta(0))
    cause = f"{draft.directory.display(assignee)} took it and it is not solved within {limit}"
    where = f"{rung.where}.solve_within" if rung is not None else "rule 3"
    join(draft, cause=cause, reason=Reason(where))


def join(draft: Draft, *, cause: str, reason: Reason) -> None:
    """It was taken, and more people are needed: the next level joins, the assignee stays (rules 1, 3).

    Past the top `finally` joins, once.
    """
    chain = draft.incident.chain
    if chain.level >= len(draft.ladder.rungs):
        draft.set_chain(due=None)
        return
    climb(draft, chain.level + 1, chain.round, cause=cause, reason=reason, wraps=False, joins=True)
    draft.change("escalated")
    if not draft.incident.chain.calendar:  # held: it rests until that opens
        rest(draft)


def rest(draft: Draft) -> None:
    """The levels rest because somebody has it; `solve_within` of where it stands goes on.

    A machine's acknowledge rests them for 30 minutes where the level names no time (rule 3). While the
    incident stands still nothing counts (rules 9, 11).
    """
    chain, ladder, taken = draft.incident.chain, draft.ladder, bool(draft.incident.assignee)
    limit = ladder.rungs[chain.level].spec.solve_within if chain.level < len(ladder.rungs) else None
    if not taken:
        limit = limit or MACHINE_REST
    due = draft.now + limit if limit and not draft.incident.stands_still else None
    draft.set_chain(state="resting", due=due, unasked=chain.unasked and not taken, calendar="")


def solved_at(draft: Draft) -> str:
    """The name of the level that has it now; '' when none has been asked in this opening."""
    chain = draft.incident.chain
    return "" if chain.unasked else draft.ladder.level_name(chain.level)


def restart(draft: Draft, *, cause: str, reason: Reason) -> None:
    """The level that the chain stands on is paged again."""
    chain = draft.incident.chain
    if chain.level >= len(draft.ladder.rungs) and not chain.unasked:
        page_finally(draft, cause=cause, reason=reason)
        return
    if chain.unasked:
        _begin(draft, cause=cause, reason=reason)
    elif chain.state == "held":
        climb(draft, *onward(chain, draft.ladder), cause=cause, reason=reason)
    else:
        climb(draft, chain.level, chain.round, cause=cause, reason=reason, named=chain.by_name)


def hand_up(draft: Draft, *, cause: str, reason: Reason, holds: bool = False) -> None:
    """The next level up that handles it; at the top `finally`: handing up starts no new round (rule 4)."""
    place = onward(draft.incident.chain, draft.ladder)
    climb(draft, *place, cause=cause, reason=reason, wraps=False, holds=holds)
    draft.change("escalated")


def enter_other(draft: Draft, policy: str, *, cause: str, reason: Reason, holds: bool = False) -> None:
    """Leave this ladder for another policy's; a policy that was entered before goes to `finally` (rule 4)."""
    if policy in draft.incident.chain.entered:
        draft.say("escalated", f"policy {policy} was entered before: finally is paged instead", reason)
        page_finally(draft, cause=cause, reason=reason)
    else:
        draft.say("escalated", f"handed to policy {policy} because {cause}", reason)
        enter(draft, policy, start_at=None, cause=cause, reason=reason, holds=holds)
        draft.set(handed_up=draft.incident.handed_up + 1)
    draft.change("escalated")


def go_to_level(draft: Draft, level: str, *, cause: str, reason: Reason) -> None:
    """Page a named level of the current policy now."""
    ladder, chain = draft.ladder, draft.incident.chain
    index = ladder.index_of(level)
    assert index is not None, "the caller has looked the level up"
    for rung in ladder.rungs[onward(chain, ladder)[0] : index]:
        draft.say("level_skipped", f"level {rung.spec.name} is skipped: level {level} was asked for", reason)
    draft.set(chain=replace(chain, lowest=min(chain.lowest, index)))
    climb(draft, index, chain.round, cause=cause, reason=reason, named=True, holds=False)
    draft.change("escalated")
