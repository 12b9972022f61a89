"""What happens next if nothing else does: the decisions themselves, played forward."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.router.domain.compiled import CompiledPolicy
from services.router.domain.decide import decide
from services.router.domain.decision import Entry
from services.router.domain.incident import Incident
from services.router.domain.signals import TimerFired
from services.router.domain.surroundings import Surroundings

MOST_STEPS: Final = 12
_MOST_DECISIONS: Final = 100  # looked at: a ladder that only repeats itself is not followed for ever
WORTH_TELLING: Final = frozenset(
    {
        "paged",
        "level_skipped",
        "warn",
        "breach",
        "point",
        "informed",
        "closed",
        "asked",
        "resumed",
        "reminded",
        "confirming",
        "handoff",
        "held",
        "suppressed",
        "awake",
        "dropped",
    }
)
TOLD_ONCE: Final = frozenset({"paged", "reminded"})


@dataclass(frozen=True, slots=True)
class NextStep:
    """One thing that will happen at `at`, unless."""

    at: datetime
    what: str
    unless: str


def _unless(entry: Entry, incident: Incident) -> str:
    if entry.kind == "closed":
        return "the same problem comes back before"
    if entry.kind in {"warn", "breach", "point", "informed"} and incident.status == "acknowledged":
        return "it is resolved before"
    return "somebody takes it or it is resolved before"


def forecast(
    incident: Incident, around: Surroundings, policy: CompiledPolicy, *, steps: int = MOST_STEPS
) -> list[NextStep]:
    """The next steps with their times, as they come when no event, person or policy change intervenes.

    A page or reminder in the same words as one before it (`finally`, again and again) is told once.
    """
    coming: list[NextStep] = []
    told: set[str] = set()
    for _ in range(_MOST_DECISIONS):
        now = incident.next_due_at
        if now is None or len(coming) >= steps:
            break
        decision = decide(incident, TimerFired(), around, policy, now)
        assert decision.incident is not None
        for entry in decision.entries:
            if entry.kind in WORTH_TELLING and not (entry.kind in TOLD_ONCE and entry.text in told):
                coming.append(NextStep(now, entry.text, _unless(entry, incident)))
                told.add(entry.text)
        incident = decision.incident
        around = replace(around, rotations={**around.rotations, **decision.rotations})
    return coming[:steps]
