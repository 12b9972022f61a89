"""What events would do if they were posted: real decisions, neither stored nor sent."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from dataclasses import replace as evolve
from datetime import datetime
from typing import Final

from services.router.domain.decide import decide
from services.router.domain.draft.recipients import shown_address
from services.router.domain.forecast import NextStep, foreseen
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision, Entry
from services.router.domain.model.incident import Incident
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import EventReceived, TimerFired
from shared.events import IncidentEvent, IncidentSnapshot, Page
from shared.steps import at_once

MOST_DECIDED: Final = 20  # of one post; of what follows only the events are told
_STEPS: Final = 6
_MOST_DECISIONS: Final = 50  # looked at for the first page: one held until office hours pages only then


@dataclass(frozen=True, slots=True)
class FirstPage:
    """One of the people paged first, and when."""

    at: datetime
    page: Page
    name: str  # as people call them


@dataclass(frozen=True, slots=True)
class Tried:
    """One event, and what it would do; if it neither opens nor changes an incident, why not."""

    event: IncidentEvent
    what: str
    incident: IncidentSnapshot | None = None
    route: Reason | None = None  # why its policy was chosen, if it opens an incident
    entries: Sequence[Entry] = ()
    first: Sequence[FirstPage] = ()
    coming: Sequence[NextStep] = ()


def tried(
    events: Sequence[IncidentEvent], context: Context, now: datetime
) -> Generator[None, None, Sequence[Tried]]:
    """Decide each event under the policy in force, as if only the incidents of this post existed.

    Yields after each decision, so that a caller can do other work in between.
    """
    found: list[Tried] = []
    standing: dict[str, Incident] = {}
    for event in events[:MOST_DECIDED]:
        decision = decide(standing.get(event.dedup_key), EventReceived(event), context, context.live, now)
        context = _moved_on(context, decision)
        yield
        if decision.incident is None or decision.message is None:
            found.append(Tried(event, _said(decision), entries=decision.entries))
            continue
        standing[event.dedup_key] = decision.incident
        first = yield from _first_pages(decision, context, now)
        coming = yield from foreseen(decision.incident, context, context.live, since=now, steps=_STEPS)
        found.append(
            Tried(
                event,
                _said(decision),
                decision.message.incident,
                next((entry.reason for entry in decision.entries if entry.kind == "route"), None),
                decision.entries,
                first,
                coming,
            )
        )
    return found


def tried_at_once(events: Sequence[IncidentEvent], context: Context, now: datetime) -> Sequence[Tried]:
    """The same, all at once."""
    return at_once(tried(events, context, now))


def _said(decision: Decision) -> str:
    if decision.orphan is not None:
        return decision.orphan.reason
    if decision.message is not None and "opened" in decision.message.changes:
        return "it opens an incident"
    return decision.entries[0].text if decision.entries else "it changes nothing"


def _first_pages(
    decision: Decision, context: Context, now: datetime
) -> Generator[None, None, Sequence[FirstPage]]:
    """The people paged by this decision, or by the first later one that pages anybody."""
    for _ in range(_MOST_DECISIONS):
        if decision.message is not None and decision.message.pages:
            return [FirstPage(now, page, _name(page, context)) for page in decision.message.pages]
        incident = decision.incident
        if incident is None or incident.next_due_at is None or not incident.is_open:
            break
        now = max(now, incident.next_due_at)
        decision = decide(incident, TimerFired(), context, context.live, now)
        context = _moved_on(context, decision)
        yield
    return ()


def _moved_on(context: Context, decision: Decision) -> Context:
    return evolve(context, rotations={**context.rotations, **decision.rotations})


def _name(page: Page, context: Context) -> str:
    recipient = page.recipient
    if recipient.kind == "address":
        return shown_address(recipient.name)
    return context.live.spec.display(recipient.name) if recipient.kind == "user" else recipient.name
