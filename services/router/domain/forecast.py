"""What happens next if nobody does anything: the decisions themselves, played forward."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from msgspec.structs import replace as evolve

from services.router.domain.decide import decide
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Entry
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import TimerFired
from services.router.domain.model.vocabulary import EntryKind
from shared.steps import at_once

MOST_STEPS: Final = 12
_MOST_DECISIONS: Final = 100  # decisions looked at, since a `finally` may repeat for ever
# Timeline entries to come that somebody notices …
WORTH_TELLING: Final[frozenset[EntryKind]] = frozenset(
    {
        *("paged", "level_skipped", "warn", "breach", "point", "informed", "closed", "asked", "resumed"),
        *(
            "reminded",
            "confirming",
            "handoff",
            "held",
            "suppressed",
            "awake",
            "dropped",
            "muted",
            "escalated",
        ),
        *("priority", "set", "update", "call", "silent"),
    }
)
# … and those that only explain another one, or that need somebody else to act.
NOT_FORETOLD: Final[frozenset[EntryKind]] = frozenset(
    {
        *("activate", "avoided", "cause", "competence", "customer", "decided", "delivery", "ended", "fulfil"),
        *("given_back", "grace", "grouped", "grouping", "intake", "joined", "late", "late_over", "left"),
        *(
            "linked",
            "merged",
            "nobody",
            "note",
            "on_call",
            "opened",
            "pause",
            "policy",
            "recorded",
            "reopened",
        ),
        *("repeated", "resolved", "resume", "retried", "route", "seen", "sla", "snoozed", "stays", "stuck"),
        *("subscribed", "suppression", "taken", "tier", "told", "turn", "unreachable", "unsubscribed"),
        *("updated", "upstream", "waiting"),
    }
)
TOLD_ONCE: Final[frozenset[EntryKind]] = frozenset({"paged", "reminded"})
_SOLVED: Final = "it is resolved before"
_STAYS: Final = f"its condition no longer holds, or {_SOLVED}"
_WAKES: Final = f"{_SOLVED}, or what keeps it quiet ends before"
_DONE: Final = "what was promised is done before"
_PREVENTS: Final[Mapping[EntryKind, str]] = {
    "warn": _DONE,
    "breach": _DONE,
    "awake": _WAKES,
    "dropped": _WAKES,
    "point": _STAYS,
    "informed": _STAYS,
    "muted": _STAYS,
    "priority": _STAYS,
    "set": _STAYS,
    "update": _STAYS,
    "call": _STAYS,
    "suppressed": _SOLVED,
    "resumed": f"somebody resumes it, its priority rises, or {_SOLVED}",
    "asked": f"somebody does something to it or {_SOLVED}",
    "silent": f"its sender says something, or {_SOLVED}",
}


@dataclass(frozen=True, slots=True)
class NextStep:
    """One thing that will happen at `at`, unless something intervenes."""

    at: datetime
    what: str
    unless: str


def worded(entry: Entry) -> str:
    """The step in words, before it happens."""
    return f"stakeholders read: {entry.text}" if entry.kind == "update" else entry.text


def _unless(entry: Entry, before: Incident) -> str:
    """What would prevent this step, as the incident stands before it."""
    if before.status == "resolved":
        asked = "it is confirmed or refused, or " if before.confirm_asked else ""
        return f"{asked}the same problem comes back before"
    taken = before.status == "acknowledged"
    return _PREVENTS.get(entry.kind) or (_SOLVED if taken else f"somebody takes it or {_SOLVED}")


def _looked_at(incident: Incident, context: Context, bundle: CompiledBundle, now: datetime) -> Incident:
    """The incident with its due time as changes around it will have set it in a moment."""
    due = incident.next_due_at
    if not incident.is_open or due is None or due <= now:
        return incident
    looked = decide(incident, TimerFired(), context, bundle, now).incident
    assert looked is not None
    if looked.suppressed_by != incident.suppressed_by:
        return evolve(incident, next_due_at=now)
    return evolve(incident, next_due_at=min(due, looked.next_due_at or due))


def _at_rest(incident: Incident, since: datetime | None) -> NextStep | None:
    """What can be said of one that is quiet and stays so as far as anybody knows."""
    if incident.next_due_at is None or not incident.is_open:
        return None
    at = max(incident.next_due_at, since or incident.next_due_at)
    if incident.parent:
        what = (
            f"nobody is asked for it alone: it is grouped under incident {incident.parent}, whose steps count"
        )
        return NextStep(at, what, f"it leaves its group, or {_SOLVED}")
    if incident.suppressed_by:
        what = f"nobody is notified while {incident.suppressed_by} applies: it is asked again whether it does"
        return NextStep(at, what, _WAKES)
    return None


def forecast(
    incident: Incident,
    context: Context,
    bundle: CompiledBundle,
    *,
    since: datetime | None = None,
    steps: int = MOST_STEPS,
) -> list[NextStep]:
    """The next steps with their times, if no event, person or policy change intervenes.

    A page or reminder in the same words as one before it (`finally`, again and again) is listed once. What is
    overdue (nothing ran) comes at `since`.
    """
    return at_once(foreseen(incident, context, bundle, since=since, steps=steps))


def foreseen(
    incident: Incident,
    context: Context,
    bundle: CompiledBundle,
    *,
    since: datetime | None = None,
    steps: int = MOST_STEPS,
) -> Generator[None, None, list[NextStep]]:
    """The same as a generator that yields after each decision, so that the caller can do other work."""
    coming: list[NextStep] = []
    told: set[str] = set()
    if since is not None:
        incident = _looked_at(incident, context, bundle, since)
    rest = _at_rest(incident, since)
    for _ in range(_MOST_DECISIONS):
        now = incident.next_due_at
        if now is None or len(coming) >= steps:
            break
        now = max(now, since or now)
        decision = decide(incident, TimerFired(), context, bundle, now)
        assert decision.incident is not None
        for entry in decision.entries:
            if entry.kind in WORTH_TELLING and not (entry.kind in TOLD_ONCE and entry.text in told):
                coming.append(NextStep(now, worded(entry), _unless(entry, incident)))
                told.add(entry.text)
        incident = decision.incident
        context = replace(context, rotations={**context.rotations, **decision.rotations})
        if not (incident.is_muted and incident.is_open):
            rest = None
        yield
    return ([rest, *coming] if rest is not None else coming)[:steps]
