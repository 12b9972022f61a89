"""Which level comes next: who is competent, who is named, in which round (POLICY.md, rules 1, 5).

Looking ahead decides nothing: the chain takes the step that is found here, and a page says what follows it.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Final

import msgspec

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import Resolved
from services.router.domain.escalation import hold_until
from services.router.domain.model.compiled_bundle import CompiledLevel, EscalationPolicy
from services.router.domain.model.incident import Chain
from services.router.domain.model.reason import Reason
from shared.policy.cel.expressions import Failed

_UNITS: Final = (("d", 86400, 10**6), ("h", 3600, 24), ("min", 60, 60), ("s", 1, 60))


@lru_cache(maxsize=4096)
def span(length: timedelta) -> str:
    """A duration as people write it: `5 min`, `1 h 30 min`, `15 s`."""
    seconds = round(length.total_seconds())
    parts = [f"{count} {unit}" for unit, size, most in _UNITS if (count := seconds // size % most)]
    return " ".join(parts[:2]) or "0 s"


class Candidate(msgspec.Struct, frozen=True):
    """A level that was looked at: whom it names, or (None) why it is not competent.

    `unsure` says why competence could not be told; the level then counts as competent.
    """

    level: CompiledLevel
    round: int
    resolved: Resolved | None
    reason: Reason | None = None
    unsure: str = ""

    @property
    def asks_somebody(self) -> bool:
        """Whether anybody but a team's room would be paged: a room takes nothing."""
        return self.resolved is not None and any(
            found.recipient.kind != "team" for found in self.resolved.found
        )


def candidates(
    draft: Draft, index: int, round_: int, *, wraps: bool = True, named: bool = False
) -> Iterator[Candidate]:
    """The levels from `index` on, then (`wraps`) those of the later rounds, each at most once.

    `named`: the first one was asked for by its name and is not asked whether it is competent.
    """
    policy, lowest = draft.policy, draft.incident.chain.lowest
    seen: set[int] = set()
    for number, level in _places(policy, lowest, index, round_, policy.spec.rounds if wraps else round_):
        asks_round = level.handles is not None and "round" in level.handles.names
        if level.index in seen and not asks_round:
            continue
        made = _looked_at(draft, level, number, named=named and not seen)
        if made.resolved is None and asks_round and level.index in seen:
            continue
        seen.add(level.index)
        yield made


def _places(
    policy: EscalationPolicy, lowest: int, index: int, first: int, last: int
) -> Iterator[tuple[int, CompiledLevel]]:
    for number in range(first, last + 1):
        for level in policy.levels[index if number == first else lowest :]:
            yield number, level


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


def onward(chain: Chain, policy: EscalationPolicy) -> tuple[int, int]:
    """Index and round of what follows where the chain stands; past the last level stands `finally`."""
    if chain.unasked:
        return chain.lowest, chain.round
    if chain.level >= len(policy.levels):
        return len(policy.levels), policy.spec.rounds
    return chain.level + 1, chain.round


def otherwise(draft: Draft) -> str:
    """What happens when nobody acts, in a sentence."""
    chain, policy = draft.incident.chain, draft.policy
    for following in candidates(draft, *onward(chain, policy)):
        hold = hold_until.hold(draft, following.level, chain.due or draft.now)
        if following.asks_somebody and (hold is None or hold.until is not None):
            again = f" (round {following.round})" if following.round != chain.round else ""
            return f"level {following.level.spec.name} is paged{again}" + (
                hold_until.opens(hold) if hold else ""
            )
    every, hold = span(policy.spec.finally_.every), hold_until.of_finally(draft, chain.due or draft.now)
    if hold is not None and hold.until is not None:
        opens = hold_until.opens(hold)
        return f"the last step, finally, pages{opens}, then every {every} until somebody takes it"
    return f"the last step, finally, pages every {every} until somebody takes it"
