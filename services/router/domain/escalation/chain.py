"""The chain of competence: which level is asked now, and what comes next (docs/rules.md, rules 1–5, 7).

A level that resolves to nobody is passed at once. After the last level of the last round comes `finally`,
which repeats until somebody takes the incident; when it names nobody, `last_resort` is paged. A level, or
`finally`, waits for its calendar only when the move says so (`may_hold`): somebody who is handed the incident
by a person is paged now.
"""

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.wording import span
from services.router.domain.escalation import grace, modes, paged_people, paging
from services.router.domain.escalation.next_step import Place, last_step, next_step, onward
from services.router.domain.model.compiled_bundle import CompiledLevel
from services.router.domain.model.parts import Chain
from services.router.domain.model.reason import Reason

MACHINE_REST: Final = timedelta(minutes=30)  # rule 3: how long a machine's acknowledge pauses the levels


def enter(
    draft: Draft,
    name: str,
    *,
    start_at: str | None,
    cause: str,
    reason: Reason,
    page: bool = True,
    opening: bool = False,
    may_hold: bool = True,
) -> None:
    """Start a policy's levels at `start_at`, or at the first level that handles the incident (rule 1).

    Without `page` it stands before its first level until the waiting is over. `opening`: the incident is new,
    and automation goes first where the policy says so.
    """
    policy, before = draft.bundle.policies[name], draft.incident.chain
    lowest = (policy.index_of(start_at) if start_at else None) or 0
    made = Chain(
        policy=name,
        level=lowest,
        lowest=lowest,
        since=draft.now,
        entered=(*before.entered, name),
        failed_step_at=before.failed_step_at,
        unasked=True,
        by_name=bool(start_at),
        grace_due=opening and policy.spec.grace is not None,
    )
    draft.set(chain=made)
    draft.forget_step()
    draft.say("route", f"policy {name}" + (f", starting at level {start_at}" if start_at else ""), reason)
    for level in policy.levels[:lowest]:
        draft.say("level_skipped", f"level {level.spec.name} is skipped: the route starts higher", reason)
    if page:
        _begin(draft, cause=cause, may_hold=may_hold)


def _begin(draft: Draft, *, cause: str, reason: Reason | None = None, may_hold: bool = True) -> None:
    """Page the first level, or give automation its chance before that."""
    chain = draft.incident.chain
    if chain.grace_due:
        grace.begin(draft)
        return
    climb(
        draft,
        Place(chain.lowest, chain.round),
        cause=cause,
        reason=reason,
        named=chain.by_name,
        may_hold=may_hold,
    )


def climb(
    draft: Draft,
    place: Place,
    *,
    cause: str,
    reason: Reason | None = None,
    wraps: bool = True,
    named: bool = False,
    joins: bool = False,
    may_hold: bool = True,
) -> None:
    """Take the next step from `place` on; `joins`: somebody has taken the incident and keeps it.

    `wraps` and `named` as in `next_step`. `may_hold`: a level may wait for its calendar.
    """
    step = next_step(draft, place, wraps=wraps, named=named, at=draft.now if may_hold else None)
    paging.carry_out(draft, step, cause=cause, reason=reason, named=named, joins=joins)


def _page_the_last(draft: Draft, *, cause: str, reason: Reason, may_hold: bool = True) -> None:
    paging.carry_out(draft, last_step(draft, at=draft.now if may_hold else None), cause=cause, reason=reason)


def advance(draft: Draft, *, cause: str, reason: Reason, wraps: bool = True) -> None:
    """Move up one step: the next level that handles it, the next round (if it `wraps`), or `finally`."""
    chain = draft.incident.chain
    if chain.state == "finally":
        _page_the_last(draft, cause=cause, reason=reason)
        return
    climb(draft, onward(chain, draft.policy), cause=cause, reason=reason, wraps=wraps)
    draft.change("escalated")


def time_out(draft: Draft) -> None:
    """Nobody took it within the level's time: one step, whose time counts from now (rule 2)."""
    chain = draft.incident.chain
    if chain.state == "resting":
        _pause_is_over(draft)
        return
    if chain.state == "grace":
        cause, reason = grace.over(draft)
        _begin(draft, cause=cause, reason=reason)
        return
    if chain.state == "held":
        cause, reason = f"calendar {chain.calendar} is open", _opened(chain)
        named = chain.by_name and chain.unasked
        climb(draft, onward(chain, draft.policy), cause=cause, reason=reason, named=named)
        draft.change("escalated")
        return
    if chain.waits_at_the_end:
        advance(draft, cause=f"calendar {chain.calendar} is open", reason=_opened(chain))
        return
    if chain.state == "finally":
        waited = span(draft.policy.spec.finally_.every)
        reason = Reason(f"policies.{chain.policy}.finally", values={"every": waited})
        advance(draft, cause=f"nobody has taken it for another {waited}", reason=reason)
        return
    if _asks_the_next(draft):
        return
    waited = span(chain.due - chain.since) if chain.due else span(draft.now - chain.since)
    level = min(chain.level, len(draft.policy.levels) - 1)
    where = f"policies.{chain.policy}.levels[{level}].acknowledge_within"
    values = {"paged_at": chain.since.isoformat(), "acknowledge_within": waited}
    advance(
        draft,
        cause=f"{paging.place(draft)} did not take it within {waited}",
        reason=Reason(where, values=values),
    )


def _opened(chain: Chain) -> Reason:
    return Reason(f"calendars.{chain.calendar}")


def _asks_the_next(draft: Draft) -> bool:
    """Whether a level that asks one by one goes on with its next person, as the page announced."""
    level = modes.standing(draft)
    each = level.spec.mode.one_by_one if level is not None else None
    if level is None or each is None or not modes.promises_another(draft, level):
        return False
    turn = modes.following(draft)
    if turn is None:  # they have left the level since: its time goes on
        ends = modes.level_ends(draft, level)
        draft.set_chain(due=ends, ends=ends)
        draft.say(
            "turn", f"level {level.spec.name} has asked everybody it names", Reason(f"{level.where}.mode")
        )
        return True
    cause = f"{modes.last_asked(draft)} did not take it within {span(each)}"
    paging.page_next_in_turn(draft, turn, cause=cause, reason=Reason(f"{level.where}.mode"))
    return True


def _pause_is_over(draft: Draft) -> None:
    """`solve_within` has passed, or a machine's acknowledge has run out (rule 3)."""
    chain, policy, assignee = draft.incident.chain, draft.policy, draft.incident.assignee
    if not assignee:
        draft.set(status="triggered")
        reason = Reason("rule 3: a machine's acknowledge rests the levels for so long")
        cause = "no person has taken it since a machine did"
        climb(draft, onward(chain, policy), cause=cause, reason=reason)
        draft.change("escalated")
        return
    if chain.calendar:
        join(draft, cause=f"calendar {chain.calendar} is open", reason=_opened(chain))
        return
    level: CompiledLevel | None = policy.levels[chain.level] if chain.level < len(policy.levels) else None
    limit = span((level.spec.solve_within if level is not None else None) or timedelta(0))
    cause = f"{draft.directory.display(assignee)} took it and it is not solved within {limit}"
    where = f"{level.where}.solve_within" if level is not None else "rule 3"
    join(draft, cause=cause, reason=Reason(where))


def join(draft: Draft, *, cause: str, reason: Reason) -> None:
    """It is taken and more people are needed: the next level joins, the assignee stays (rules 1, 3).

    Past the top, `finally` joins, once.
    """
    chain = draft.incident.chain
    if chain.level >= len(draft.policy.levels):
        draft.set_chain(due=None)
        return
    climb(draft, Place(chain.level + 1, chain.round), cause=cause, reason=reason, wraps=False, joins=True)
    draft.change("escalated")
    if not draft.incident.chain.calendar:  # held: it rests until that opens
        pause(draft)


def pause(draft: Draft) -> None:
    """Pause the levels because somebody has it; `solve_within` of the current place keeps counting.

    A machine's acknowledge pauses them for 30 minutes where the level names no time (rule 3). While the
    incident stands still nothing counts (rules 9, 11).
    """
    chain, policy, taken = draft.incident.chain, draft.policy, bool(draft.incident.assignee)
    limit = policy.levels[chain.level].spec.solve_within if chain.level < len(policy.levels) else None
    if not taken:
        limit = limit or MACHINE_REST
    due = draft.now + limit if limit and not draft.stands_still else None
    draft.set_chain(state="resting", due=due, unasked=chain.unasked and not taken, calendar="")


def stay_paused(draft: Draft, *, cause: str) -> None:
    """Somebody has it, the standstill is over: levels stay paused, one that was to join joins (rule 3)."""
    incident, position = draft.incident, draft.incident.chain
    if not (incident.assignee and position.state == "resting" and position.calendar):
        pause(draft)
    elif not incident.stands_still:
        join(draft, cause=cause, reason=_opened(position))


def solved_at(draft: Draft) -> str:
    """The name of the level that has it now; '' when none has been asked since it opened."""
    chain = draft.incident.chain
    return "" if chain.unasked else draft.policy.names[chain.level]


def restart(draft: Draft, *, cause: str, reason: Reason) -> None:
    """Page the current level again."""
    chain = draft.incident.chain
    if chain.level >= len(draft.policy.levels) and not chain.unasked:
        _page_the_last(draft, cause=cause, reason=reason)
        return
    if chain.unasked:
        _begin(draft, cause=cause, reason=reason)
    elif chain.state == "held":
        climb(draft, onward(chain, draft.policy), cause=cause, reason=reason)
    else:
        climb(draft, Place(chain.level, chain.round), cause=cause, reason=reason, named=chain.by_name)


def hand_up(draft: Draft, *, cause: str, reason: Reason, may_hold: bool = False) -> None:
    """Move to the next level up that handles it; at the top, to `finally`, without a new round (rule 4)."""
    place = onward(draft.incident.chain, draft.policy)
    climb(draft, place, cause=cause, reason=reason, wraps=False, may_hold=may_hold)
    paged_people.handed_elsewhere(draft)
    draft.change("escalated")


def enter_other(draft: Draft, policy: str, *, cause: str, reason: Reason, may_hold: bool = False) -> None:
    """Move to another policy's levels; a policy that was entered before goes to `finally` (rule 4)."""
    if policy in draft.incident.chain.entered:
        draft.say("escalated", f"policy {policy} was entered before: finally is paged instead", reason)
        _page_the_last(draft, cause=cause, reason=reason, may_hold=may_hold)
    else:
        draft.say("escalated", f"handed to policy {policy} because {cause}", reason)
        enter(draft, policy, start_at=None, cause=cause, reason=reason, may_hold=may_hold)
        draft.set(handed_up=draft.incident.handed_up + 1)
    paged_people.handed_elsewhere(draft)
    draft.change("escalated")


def go_to_level(draft: Draft, level: str, *, cause: str, reason: Reason) -> None:
    """Page a named level of the current policy now."""
    policy, chain = draft.policy, draft.incident.chain
    index = policy.index_of(level)
    assert index is not None, "the caller has looked the level up"
    for passed in policy.levels[onward(chain, policy).level : index]:
        draft.say(
            "level_skipped", f"level {passed.spec.name} is skipped: level {level} was asked for", reason
        )
    draft.set(chain=replace(chain, lowest=min(chain.lowest, index)))
    climb(draft, Place(index, chain.round), cause=cause, reason=reason, named=True, may_hold=False)
    paged_people.handed_elsewhere(draft)
    draft.change("escalated")
