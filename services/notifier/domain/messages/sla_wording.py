"""SLA targets in words: which is at risk or breached, when it is due, and for whom."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from services.notifier.domain.messages.rendered import for_whom
from services.notifier.domain.messages.times import both, lasting, local
from shared.events import ClockSnapshot, IncidentSnapshot, Notice, Page

_INSIDE: Final[Mapping[str, str]] = {
    "acknowledge": "somebody takes it within {goal}",
    "respond": "the customer has a first answer within {goal}",
    "update": "stakeholders hear news at least every {period}",
    "resolve": "it is solved within {goal}",
    "close": "it is closed within {goal}",
}
_OUTSIDE: Final[Mapping[str, str]] = {
    "acknowledge": "somebody on it within {goal}",
    "respond": "a first answer within {goal}",
    "update": "news at least every {period}",
    "resolve": "solved within {goal}",
    "close": "closed within {goal}",
}


def _meant(notice: Notice | Page, incident: IncidentSnapshot) -> Sequence[ClockSnapshot]:
    """The clocks that this is about; the last release's router names none."""
    return [clock for clock in incident.clocks if clock.target in notice.targets]


def inside(notice: Notice, incident: IncidentSnapshot, now: datetime, zone: str) -> str:
    """`Promised to Acme (gold): it is solved within 4 hours. That is at risk: …`; '' where nobody knows."""
    return " ".join(
        f"Promised to {for_whom(incident)}: {_worded(_INSIDE, clock)}. "
        + (_broken(clock, now, zone) if notice.event == "breached" else _at_risk(clock, now, zone))
        for clock in _meant(notice, incident)
    )


def passed(said: Notice | Page, incident: IncidentSnapshot, now: datetime, zone: str) -> str:
    """What an escalation point at a share of a clock is about; '' for any other point."""
    return " ".join(
        f"Promised to {for_whom(incident)}: {_worded(_INSIDE, clock)}. "
        + (_broken(clock, now, zone) if clock.state == "breached" else _passed(clock, now, zone))
        for clock in _meant(said, incident)
    )


def outside(notice: Notice, incident: IncidentSnapshot, zone: str) -> str:
    """`solved within 4 hours, by 2026-03-02 14:00 UTC`; '' where nobody knows."""
    return "; ".join(
        _worded(_OUTSIDE, clock) + (f", by {local(clock.due_at, zone)}" if clock.due_at else "")
        for clock in _meant(notice, incident)
    )


def _worded(words: Mapping[str, str], clock: ClockSnapshot) -> str:
    goal = lasting(clock.goal_seconds)
    period = goal.removeprefix("1 ") if goal.count(" ") == 1 else goal  # every hour, every 4 hours
    return words.get(clock.target, f"{clock.target} within {{goal}}").format(goal=goal, period=period)


def _at_risk(clock: ClockSnapshot, now: datetime, zone: str) -> str:
    return f"That is at risk: {_how_far(clock, now, zone)}."


def _passed(clock: ClockSnapshot, now: datetime, zone: str) -> str:
    said = _how_far(clock, now, zone)
    return f"{said[0].upper()}{said[1:]}."


def _how_far(clock: ClockSnapshot, now: datetime, zone: str) -> str:
    share = clock.elapsed_seconds / clock.goal_seconds if clock.goal_seconds else 1.0
    due = f"it is due {both(clock.due_at, now, zone)}, and " if clock.due_at else ""
    return f"{due}{share:.0%} of the time has passed"


def _broken(clock: ClockSnapshot, now: datetime, zone: str) -> str:
    due = f": it was due {both(clock.due_at, now, zone)}" if clock.due_at else ""
    return f"That promise is broken{due}."
