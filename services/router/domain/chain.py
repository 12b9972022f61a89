"""The chain of competence: which level is asked now, and what comes next (POLICY.md, rules 1, 2, 4, 5, 7).

A level that resolves to nobody is passed at once; past the last level and the last round stands `finally`,
which repeats until somebody takes the incident; when it names nobody, `last_resort` does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.router.domain.compiled import Ladder, Rung
from services.router.domain.decision import Reason
from services.router.domain.directory import Found
from services.router.domain.draft import Draft
from services.router.domain.incident import Chain

MACHINE_REST: Final = timedelta(minutes=30)  # rule 3: a machine's acknowledge rests the levels so long
FAILED_STEP_EVERY: Final = timedelta(
    minutes=1
)  # rule 7: at most one step a minute for pages that reach nobody


def span(length: timedelta) -> str:
    """A duration as people write it: `5 min`, `1 h 30 min`, `15 s`."""
    seconds = round(length.total_seconds())
    parts = [
        f"{count} {unit}"
        for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
        if (count := seconds // size % {"d": 10**6, "h": 24, "min": 60, "s": 60}[unit])
    ]
    return " ".join(parts[:2]) or "0 s"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a chain goes next: a level in a round, or `finally` (rung None), and what was passed."""

    rung: Rung | None
    round: int
    passed: tuple[tuple[str, Reason], ...] = ()


def _competent(draft: Draft, rung: Rung) -> tuple[bool, Reason | None]:
    """Whether the level handles the incident; when that cannot be told, it does."""
    holds, problem = draft.holds(rung.handles, when_failed=True)
    if rung.handles is None:
        return True, None
    return holds, draft.reason(f"{rung.where}.handles", rung.handles, *filter(None, (problem,)))


def _next_step(draft: Draft, ladder: Ladder, index: int, round_: int, lowest: int) -> Step:
    """The first level from `index` on that handles the incident, in this round or a later one."""
    passed: list[tuple[str, Reason]] = []
    for number in range(round_, ladder.spec.rounds + 1):
        for rung in ladder.rungs[index if number == round_ else lowest :]:
            holds, reason = _competent(draft, rung)
            if holds:
                return Step(rung, number, tuple(passed))
            assert reason is not None
            passed.append((f"level {rung.spec.name} is passed: it does not handle this", reason))
    return Step(None, ladder.spec.rounds, tuple(passed))


def enter(draft: Draft, policy: str, *, start_at: str | None, reason: Reason) -> None:
    """Start a policy's ladder at `start_at`, or at the first level that handles the incident (rule 1)."""
    ladder = draft.policy.ladders[policy]
    entered = (*draft.incident.chain.entered, policy) if draft.incident.chain.policy else (policy,)
    lowest = ladder.index_of(start_at) if start_at else None
    draft.set(
        chain=Chain(policy=policy, level=lowest or 0, lowest=lowest or 0, since=draft.now, entered=entered),
        pages=(),
    )
    if start_at:
        draft.say("route", f"policy {policy}, starting at level {start_at}", reason)
        for rung in ladder.rungs[: lowest or 0]:
            draft.say("level_skipped", f"level {rung.spec.name} is skipped: the route starts higher", reason)
    else:
        draft.say("route", f"policy {policy}", reason)
    climb(draft, lowest or 0, 1, cause="")


def climb(draft: Draft, index: int, round_: int, *, cause: str, reason: Reason | None = None) -> None:
    """Page the first level from `index` on that handles the incident and names somebody; else `finally`."""
    ladder, lowest = draft.ladder, draft.incident.chain.lowest
    while True:
        step = _next_step(draft, ladder, index, round_, lowest)
        for text, why in step.passed:
            draft.say("level_skipped", text, why)
        if step.rung is None:
            page_finally(draft, cause=cause, reason=reason)
            return
        if _page_level(draft, step.rung, step.round, cause, reason):
            return
        index, round_ = step.rung.index + 1, step.round
        if index >= len(ladder.rungs) and round_ < ladder.spec.rounds:
            index, round_ = lowest, round_ + 1


def _page_level(draft: Draft, rung: Rung, round_: int, cause: str, reason: Reason | None) -> bool:
    ladder = draft.ladder
    due = draft.now + rung.spec.acknowledge_within
    draft.set_chain(level=rung.index, round=round_, since=draft.now, state="climbing", due=due)
    where = Reason(f"{rung.where}.notify")
    resolved = draft.directory.resolve(rung.spec.notify)
    for gap in resolved.gaps:
        draft.say("nobody", gap, where)
    people = [found for found in resolved.found if found.recipient.kind != "team"]
    if not people:
        draft.say("level_skipped", f"level {rung.spec.name} is passed at once: it names nobody", where)
        return False
    of_rounds = f", round {round_} of {ladder.spec.rounds}" if ladder.spec.rounds > 1 else ""
    names = ", ".join(_display(draft, found) for found in people)
    because = f" because {cause}" if cause else ""
    draft.say(
        "paged",
        f"level {rung.spec.name}{of_rounds} is paged{because}: {names}; "
        f"{span(rung.spec.acknowledge_within)} to take it",
        reason or where,
    )
    place = f"level {rung.spec.name}{of_rounds}" + (f"; {cause}" if cause else "")
    _page_all(draft, resolved.found, due, f"({place})", otherwise(draft))
    draft.change("paged")
    return True


def _page_all(draft: Draft, found: tuple[Found, ...], due: datetime, place: str, then: str) -> None:
    draft.set(pages=())
    for each in found:
        draft.page(each, through="level", why=f"{each.why} {place}", act_by=due, otherwise=then)


def _display(draft: Draft, found: Found) -> str:
    name = found.recipient.name
    return (
        draft.directory.display(name) if found.recipient.kind == "user" else f"{found.recipient.kind} {name}"
    )


def otherwise(draft: Draft) -> str:
    """What happens when nobody acts, in a sentence."""
    chain, ladder = draft.incident.chain, draft.ladder
    following = _next_step(draft, ladder, *_after(ladder, chain), chain.lowest)
    if following.rung is None:
        every = span(ladder.spec.finally_.every)
        return f"the last step, finally, pages every {every} until somebody takes it"
    again = f" (round {following.round})" if following.round != chain.round else ""
    return f"level {following.rung.spec.name} is paged{again}"


def _after(ladder: Ladder, chain: Chain) -> tuple[int, int]:
    """The index and the round that follow where the chain stands."""
    if chain.level + 1 >= len(ladder.rungs) and chain.round < ladder.spec.rounds:
        return chain.lowest, chain.round + 1
    return chain.level + 1, chain.round


def page_finally(draft: Draft, *, cause: str, reason: Reason | None = None) -> None:
    """Page `finally` once more, or `last_resort` when it names nobody; again after `every` (rule 5)."""
    ladder = draft.ladder
    final, place = ladder.spec.finally_, f"policies.{ladder.name}.finally"
    due = draft.now + final.every
    draft.set_chain(level=len(ladder.rungs), since=draft.now, state="finally", due=due)
    resolved = draft.directory.resolve(final.notify)
    through = "finally"
    for gap in resolved.gaps:
        draft.say("nobody", gap, Reason(f"{place}.notify"))
    if not resolved:
        through, place = "last_resort", "last_resort"
        draft.say(
            "nobody", "finally names nobody: last_resort is paged", Reason(f"policies.{ladder.name}.finally")
        )
        resolved = draft.directory.resolve(draft.live.bundle.last_resort)
    why = reason or Reason(place)
    page_repeatedly(draft, resolved.found, through=through, cause=cause, reason=why)


def page_repeatedly(
    draft: Draft, found: tuple[Found, ...], *, through: str, cause: str, reason: Reason
) -> None:
    """One turn of a page that comes again until somebody takes the incident."""
    chain = draft.incident.chain
    every = span(draft.ladder.spec.finally_.every)
    names = ", ".join(_display(draft, each) for each in found) or "nobody (it resolves to no one)"
    because = f" because {cause}" if cause else ""
    draft.say("paged", f"{through} pages{because}: {names}; again every {every}", reason)
    draft.set(pages=())
    for each in found:
        draft.page(
            each,
            through=through,
            why=f"{each.why} ({through}" + (f"; {cause})" if cause else ")"),
            act_by=chain.due,
            otherwise=f"you are paged again in {every}",
        )
    draft.change("paged")


def advance(draft: Draft, *, cause: str, reason: Reason) -> None:
    """One step up: the next level that handles it, the next round, or `finally`."""
    chain = draft.incident.chain
    if chain.state == "finally":
        page_finally(draft, cause=cause, reason=reason)
        return
    if chain.state == "assignee":
        climb(draft, chain.lowest, chain.round, cause=cause, reason=reason)
    else:
        climb(draft, *_after(draft.ladder, chain), cause=cause, reason=reason)
    draft.change("escalated")


def time_out(draft: Draft) -> None:
    """Nobody took it within the level's time: one step, whose window counts from now (rule 2)."""
    chain = draft.incident.chain
    if chain.state == "finally":
        waited = span(draft.ladder.spec.finally_.every)
        reason = Reason(f"policies.{chain.policy}.finally", values={"every": waited})
        advance(draft, cause=f"nobody has taken it for another {waited}", reason=reason)
        return
    if chain.state == "resting":
        _rest_is_over(draft)
        return
    waited = span(chain.due - chain.since) if chain.due else span(draft.now - chain.since)
    name = "the assignee" if chain.state == "assignee" else f"level {draft.level_name}"
    where = (
        f"policies.{chain.policy}.levels[{min(chain.level, len(draft.ladder.rungs) - 1)}].acknowledge_within"
    )
    values = {"paged_at": chain.since.isoformat(), "acknowledge_within": waited}
    advance(draft, cause=f"{name} did not take it within {waited}", reason=Reason(where, values=values))


def _rest_is_over(draft: Draft) -> None:
    """`solve_within` passed, or a machine's acknowledge has run out (rule 3)."""
    chain = draft.incident.chain
    if not draft.incident.assignee:
        draft.set(status="triggered", acknowledged_at=draft.incident.acknowledged_at)
        reason = Reason("rule 3: a machine's acknowledge rests the levels for so long")
        climb(
            draft,
            *_after(draft.ladder, chain),
            cause="no person has taken it since a machine did",
            reason=reason,
        )
        draft.change("escalated")
        return
    join(draft)


def join(draft: Draft) -> None:
    """It was taken and is not solved within `solve_within`: the next level joins, the assignee stays."""
    chain, ladder, assignee = draft.incident.chain, draft.ladder, draft.incident.assignee
    if chain.level >= len(ladder.rungs):
        draft.set_chain(due=None)
        return
    where = f"{ladder.rungs[chain.level].where}.solve_within"
    limit = span(ladder.rungs[chain.level].spec.solve_within or timedelta(0))
    cause = f"{draft.directory.display(assignee)} took it and it is not solved within {limit}"
    climb(draft, chain.level + 1, ladder.spec.rounds, cause=cause, reason=Reason(where))
    draft.change("escalated")
    rest(draft)


def rest(draft: Draft) -> None:
    """The levels rest because a person has it; `solve_within` of where it stands goes on."""
    chain, ladder = draft.incident.chain, draft.ladder
    limit = ladder.rungs[chain.level].spec.solve_within if 0 <= chain.level < len(ladder.rungs) else None
    draft.set_chain(state="resting", due=draft.now + limit if limit else None)


def rest_for_machine(draft: Draft) -> None:
    """The levels rest for `solve_within`, 30 minutes where the level names none (rule 3)."""
    chain, ladder = draft.incident.chain, draft.ladder
    limit = ladder.rungs[chain.level].spec.solve_within if 0 <= chain.level < len(ladder.rungs) else None
    draft.set_chain(state="resting", due=draft.now + (limit or MACHINE_REST))


def restart(draft: Draft, *, cause: str, reason: Reason) -> None:
    """The level that the chain stands on is paged again."""
    chain = draft.incident.chain
    if chain.level >= len(draft.ladder.rungs):
        page_finally(draft, cause=cause, reason=reason)
    else:
        climb(draft, chain.level, chain.round, cause=cause, reason=reason)


def enter_other(draft: Draft, policy: str, *, cause: str, reason: Reason) -> None:
    """Leave this ladder for another policy's; a policy that was entered before goes to `finally` (rule 4)."""
    if policy in draft.incident.chain.entered:
        draft.say("escalated", f"policy {policy} was entered before: finally is paged instead", reason)
        page_finally(draft, cause=cause, reason=reason)
    else:
        draft.say("escalated", f"handed to policy {policy} because {cause}", reason)
        enter(draft, policy, start_at=None, reason=reason)
    draft.change("escalated")


def go_to_level(draft: Draft, level: str, *, cause: str, reason: Reason) -> None:
    """Page a named level of the current policy now."""
    index = draft.ladder.index_of(level)
    assert index is not None, "the caller has looked the level up"
    chain = draft.incident.chain
    draft.set_chain(lowest=min(chain.lowest, index))
    climb(draft, index, chain.round, cause=cause, reason=reason)
    draft.change("escalated")


def report_unreachable(draft: Draft) -> None:
    """Every page of this step failed for good: the next step at once, at most one a minute (rule 7)."""
    chain = draft.incident.chain
    reason = Reason(
        "rule 7: pages that reach nobody", values={"pages": [p.name for p in draft.incident.pages]}
    )
    if chain.failed_step_at is not None and draft.now < chain.failed_step_at + FAILED_STEP_EVERY:
        due = chain.failed_step_at + FAILED_STEP_EVERY
        if chain.due is None or due < chain.due:
            draft.set_chain(due=due)
        draft.say(
            "unreachable",
            "no page of this step reached anybody; the next step follows within a minute",
            reason,
        )
        return
    cause = f"no page to {draft.level_name} reached anybody"
    draft.say("unreachable", cause, reason)
    if chain.state == "finally":
        resolved = draft.directory.resolve(draft.live.bundle.last_resort)
        page_repeatedly(draft, resolved.found, through="last_resort", cause=cause, reason=reason)
    else:
        advance(draft, cause=cause, reason=reason)
    draft.set_chain(failed_step_at=draft.now)
