"""What comes next on a policy's levels, as a value: who is asked, from when, and why others are not.

This is the only walk over the levels (docs/rules.md, rules 1 and 5): the chain takes the step found here, a
page says what follows it, a reminder goes to the level above.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import Found, Resolved
from services.router.domain.draft.wording import span
from services.router.domain.escalation import hold_until
from services.router.domain.escalation.hold_until import Hold
from services.router.domain.model.compiled_bundle import CompiledLevel, EscalationPolicy
from services.router.domain.model.parts import Chain
from services.router.domain.model.reason import Reason
from shared.policy.cel.expressions import Failed


class Place(NamedTuple):
    """A place on the levels: an index (past the last one stands `finally`), and the round."""

    level: int
    round: int


class Candidate(msgspec.Struct, frozen=True):
    """A level that was considered: whom it names, or (None) why it is not competent.

    `unsure` says why competence could not be evaluated; the level then counts as competent. `hold`: it waits
    for its calendar.
    """

    level: CompiledLevel
    round: int
    resolved: Resolved | None
    reason: Reason | None = None
    unsure: str = ""
    hold: Hold | None = None

    @property
    def asks_somebody(self) -> bool:
        """Whether anybody but a team's room would be paged; a room cannot take anything."""
        return self.resolved is not None and any(
            found.recipient.kind != "team" for found in self.resolved.found
        )


class Step(msgspec.Struct, frozen=True):
    """Who is asked next: a level, or (`level` is None) `finally`; `passed` says why no earlier one is.

    `hold`: nobody is asked until this calendar opens; for `finally` it may be one that never opens again, and
    is then not waited for.
    """

    passed: tuple[Candidate, ...] = ()
    level: Candidate | None = None
    hold: Hold | None = None


def next_step(
    draft: Draft, place: Place, *, wraps: bool = True, named: bool = False, at: datetime | None
) -> Step:
    """The first level from `place` on that handles the incident and names somebody; else `finally`.

    `wraps`: later rounds count. `named`: the first level was asked for by name, and its competence is not
    checked. `at`: when the step would be taken; None: no calendar is waited for. Writes nothing.
    """
    passed: list[Candidate] = []
    for candidate in _candidates(draft, place, wraps=wraps, named=named):
        if not candidate.asks_somebody:
            passed.append(candidate)
            continue
        hold = hold_until.hold(draft, candidate.level, at) if at is not None else None
        if hold is None or hold.until is not None:
            return Step(tuple(passed), candidate, hold)
        passed.append(msgspec.structs.replace(candidate, hold=hold))
    return msgspec.structs.replace(last_step(draft, at=at), passed=tuple(passed))


def last_step(draft: Draft, *, at: datetime | None) -> Step:
    """`finally`, taken at this time; None: it waits for no calendar."""
    return Step(hold=hold_until.of_finally(draft, at) if at is not None else None)


def onward(chain: Chain, policy: EscalationPolicy) -> Place:
    """The place after the current one; past the last level stands `finally`."""
    if chain.unasked:
        return Place(chain.lowest, chain.round)
    if chain.level >= len(policy.levels):
        return Place(len(policy.levels), policy.spec.rounds)
    return Place(chain.level + 1, chain.round)


def otherwise(draft: Draft) -> str:
    """What happens if nobody acts, in a sentence."""
    chain, policy = draft.incident.chain, draft.policy
    step = next_step(draft, onward(chain, policy), at=chain.due or draft.now)
    opens = hold_until.opens(step.hold) if step.hold is not None and step.hold.until is not None else ""
    if step.level is not None:
        again = f" (round {step.level.round})" if step.level.round != chain.round else ""
        return f"level {step.level.level.spec.name} is paged{again}{opens}"
    every, then = span(policy.spec.finally_.every), ", then" if opens else ""
    return f"the last step, finally, pages{opens}{then} every {every} until somebody takes it"


def level_above(draft: Draft) -> tuple[str, tuple[Found, ...]]:
    """The next level up that handles the incident, or `finally`: its name, and whom it names now."""
    step = next_step(draft, onward(draft.incident.chain, draft.policy), wraps=False, at=None)
    if step.level is not None and step.level.resolved is not None:
        return step.level.level.spec.name, step.level.resolved.found
    return "finally", draft.directory.resolve(draft.policy.spec.finally_.notify).found


# --- the walk ---------------------------------------------------------------------------------------------


def _candidates(draft: Draft, place: Place, *, wraps: bool, named: bool) -> Iterator[Candidate]:
    """The levels from there on, then (`wraps`) those of the later rounds, each at most once."""
    policy, lowest = draft.policy, draft.incident.chain.lowest
    last = policy.spec.rounds if wraps else place.round
    seen: set[int] = set()
    for number in range(place.round, last + 1):
        for level in policy.levels[place.level if number == place.round else lowest :]:
            asks_round = level.handles is not None and "round" in level.handles.names
            if level.index in seen and not asks_round:
                continue
            made = _looked_at(draft, level, number, named=named and not seen)
            if made.resolved is None and asks_round and level.index in seen:
                continue
            seen.add(level.index)
            yield made


def _looked_at(draft: Draft, level: CompiledLevel, number: int, *, named: bool) -> Candidate:
    if named or level.handles is None:
        return Candidate(level, number, draft.directory.resolve(level.spec.notify))
    activation = draft.activation
    if "round" in level.handles.names and number != draft.incident.chain.round:
        activation = draft.seen_with(round=number)
    outcome = level.handles.evaluate(activation)
    reason = Reason(f"{level.where}.handles", level.handles.source, activation.used(level.handles))
    if outcome is False:
        return Candidate(level, number, None, reason)
    unsure = outcome.reason if isinstance(outcome, Failed) else ""
    return Candidate(level, number, draft.directory.resolve(level.spec.notify), reason, unsure)
