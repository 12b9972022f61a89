"""SLA clocks: one a target, its running intervals kept in wall time (POLICY.md, rule 8).

Only the calendar `always` is in force, so that elapsed time is the sum of the intervals.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft import Draft
from services.router.domain.incident import Clock, Interval
from shared.policy import Sla

TOLERANCE: Final = 0.001  # seconds: a timer that fires a rounding error early has still fired
TARGETS: Final = ("acknowledge", "resolve")


def goals(sla: Sla | None) -> dict[str, float]:
    """The promised seconds of each target in force; a target that the SLA does not name has no clock."""
    if sla is None:
        return {}
    promised = {target: getattr(sla, target) for target in TARGETS}
    return {target: goal.total_seconds() for target, goal in promised.items() if goal is not None}


def activate(sla: Sla | None, now: datetime) -> tuple[Clock, ...]:
    """Fresh clocks, running from now."""
    if sla is None:
        return ()
    return tuple(
        Clock(
            target=target,
            goal=goal,
            intervals=(Interval(now),),
            warn_at=tuple(share / 100 for share in sla.warn_at),
            pause_while=tuple(sla.pause_while),
            sla=sla.name,
        )
        for target, goal in goals(sla).items()
    )


def _stop(clock: Clock, now: datetime) -> tuple[Interval, ...]:
    if not clock.intervals or clock.intervals[-1].ended is not None:
        return clock.intervals
    last = clock.intervals[-1]
    return (*clock.intervals[:-1], Interval(last.started, max(now, last.started)))


def pause(clock: Clock, now: datetime) -> Clock:
    """Stop counting; a clock that does not run stays as it is."""
    if clock.state != "running":
        return clock
    return replace(clock, state="paused", intervals=_stop(clock, now))


def resume(clock: Clock, now: datetime) -> Clock:
    """Go on counting; only a paused clock does."""
    if clock.state != "paused":
        return clock
    return replace(clock, state="running", intervals=(*clock.intervals, Interval(now)))


def fulfil(clock: Clock, now: datetime) -> Clock:
    """The promise's event happened (a breach that came first stays on the record)."""
    if clock.state not in {"running", "paused"}:
        return clock
    return replace(clock, state="fulfilled", intervals=_stop(clock, now))


def reopen(clock: Clock, now: datetime) -> Clock:
    """A reopened incident goes on with the clock where it stood: what had passed still counts."""
    if clock.state != "fulfilled":
        return clock
    return replace(clock, state="running", intervals=(*clock.intervals, Interval(now)))


def retarget(clock: Clock, sla: Sla, now: datetime) -> Clock:
    """The same running time against what another SLA promises; shares not reached yet are still to come."""
    goal = goals(sla)[clock.target]
    made = replace(
        clock,
        goal=goal,
        sla=sla.name,
        warn_at=tuple(share / 100 for share in sla.warn_at),
        pause_while=tuple(sla.pause_while),
    )
    return replace(made, thresholds=tuple(each for each in clock.thresholds if used_up(made, each, now)))


def cancel(clock: Clock, now: datetime) -> Clock:
    """It is no longer promised."""
    if clock.state not in {"running", "paused"}:
        return clock
    return replace(clock, state="cancelled", intervals=_stop(clock, now))


def retarget_all(
    known: Iterable[Clock],
    sla: Sla | None,
    *,
    opened_at: datetime,
    taken: bool,
    waiting_for: str,
    now: datetime,
) -> tuple[Clock, ...]:
    """The clocks under another SLA (None: none applies). What was fulfilled stays as it was.

    A target that was not promised before counts from the opening; when the incident was `taken` already, the
    promise to acknowledge it is kept. What is promised no longer is cancelled.
    """
    fresh = {clock.target: clock for clock in activate(sla, opened_at)}
    made: list[Clock] = []
    for clock in known:
        promised = fresh.pop(clock.target, None)
        if clock.state == "fulfilled":
            made.append(clock)
        elif sla is None or promised is None:
            made.append(cancel(clock, now))
        elif clock.state == "cancelled":
            made.append(replace(promised, breached=clock.breached, thresholds=clock.thresholds))
        else:
            made.append(retarget(clock, sla, now))
    for promised in fresh.values():
        kept = taken and promised.target == "acknowledge"
        made.append(replace(promised, state="fulfilled", intervals=()) if kept else promised)
    return tuple(waiting(clock, waiting_for, now) for clock in made)


def waiting(clock: Clock, party: str, now: datetime) -> Clock:
    """The clock while the incident waits for `party` ('' for nobody): paused where its SLA says so."""
    if party and party in clock.pause_while:
        return pause(clock, now)
    return resume(clock, now)


def used_up(clock: Clock, share: float, now: datetime) -> bool:
    """Whether this share of the goal has passed."""
    return clock.elapsed(now) + TOLERANCE >= clock.goal * share


def is_past(clock: Clock, now: datetime) -> bool:
    """Whether the promise was broken: more has passed than the goal."""
    return clock.elapsed(now) > clock.goal + TOLERANCE


def changed(clocks: Iterable[Clock], target: str, made: Clock) -> tuple[Clock, ...]:
    """The clocks with one of them put in the place of its target's."""
    return tuple(made if clock.target == target else clock for clock in clocks)


def hold(draft: Draft) -> None:
    """The clocks of an incident that is suppressed from its opening do not begin yet (rule 11).

    Called before its SLA is chosen or after; what had run in between is forgotten.
    """
    held = tuple(
        replace(clock, state="paused", intervals=()) if clock.state == "running" else clock
        for clock in draft.incident.clocks
    )
    draft.set(clocks=held, clocks_held=True)


def let_run(draft: Draft) -> None:
    """The suppression from the opening is over: its clocks begin now. Nothing happens when none were held."""
    if not draft.incident.clocks_held:
        return
    draft.set(clocks_held=False, clocks_from=draft.now)
    waits_for = draft.incident.waiting_for
    draft.set(clocks=tuple(waiting(clock, waits_for, draft.now) for clock in draft.incident.clocks))
