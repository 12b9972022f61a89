"""One SLA clock: intervals are kept in wall time, elapsed time is measured on its calendar (rule 8)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from services.router.domain.model.clock import LIVE, TOLERANCE, Clock, Interval
from shared.policy import Sla
from shared.policy.calendars.open_hours import Calendars

TARGETS: Final = ("acknowledge", "respond", "update", "resolve", "close")


def goals(sla: Sla | None) -> dict[str, float]:
    """The promised seconds of each target; a target that the SLA leaves out has no clock."""
    if sla is None:
        return {}
    return {target: goal.total_seconds() for target in TARGETS if (goal := sla.goal(target)) is not None}


def activate(sla: Sla | None, since: datetime) -> tuple[Clock, ...]:
    """Fresh clocks, running since then."""
    if sla is None:
        return ()
    warn_at = tuple(share / 100 for share in sla.warn_at)
    return tuple(
        Clock(
            target=target,
            goal=goal,
            intervals=(Interval(since),),
            warn_at=warn_at,
            pause_while=sla.pause_while,
            sla=sla.name,
            calendar=sla.calendar,
            by=sla.by(target),
        )
        for target, goal in goals(sla).items()
    )


def counts(clock: Clock, *, person: bool) -> bool:
    """Whether this act, by a person or by a machine, keeps its promise."""
    return person or clock.by == "anybody"


def is_live(clock: Clock) -> bool:
    """Whether its promise can still be kept."""
    return clock.state in LIVE


def _stop(clock: Clock, now: datetime) -> tuple[Interval, ...]:
    if not clock.intervals or clock.intervals[-1].ended is not None:
        return clock.intervals
    last = clock.intervals[-1]
    return (*clock.intervals[:-1], Interval(last.started, max(now, last.started)))


def _go(clock: Clock, now: datetime) -> tuple[Interval, ...]:
    if clock.intervals and clock.intervals[-1].ended == now:
        return (*clock.intervals[:-1], Interval(clock.intervals[-1].started))
    return (*clock.intervals, Interval(now))


def pause(clock: Clock, now: datetime) -> Clock:
    """Stop counting; a clock that is not running stays as it is."""
    if clock.state != "running":
        return clock
    unused = bool(clock.intervals) and clock.intervals[-1].started >= now
    return replace(clock, state="paused", intervals=clock.intervals[:-1] if unused else _stop(clock, now))


def resume(clock: Clock, now: datetime) -> Clock:
    """Resume counting; only a paused clock does."""
    if clock.state != "paused":
        return clock
    return replace(clock, state="running", intervals=_go(clock, now))


def fulfil(clock: Clock, now: datetime, calendars: Calendars) -> Clock:
    """The promised event happened (a breach that came first stays on record)."""
    if not is_live(clock):
        return clock
    took = clock.elapsed(now, calendars)
    return replace(clock, state="fulfilled", intervals=_stop(clock, now), took=took)


def cancel(clock: Clock, now: datetime, calendars: Calendars) -> Clock:
    """It is no longer promised."""
    if not is_live(clock):
        return clock
    took = clock.elapsed(now, calendars)
    return replace(clock, state="cancelled", intervals=_stop(clock, now), took=took)


def go_on(clock: Clock, now: datetime) -> Clock:
    """A clock that had stopped for good resumes where it stood."""
    if is_live(clock):
        return clock
    return replace(clock, state="running", intervals=_go(clock, now), took=None)


def begin_again(clock: Clock, now: datetime) -> Clock:
    """Begin the next period of a recurring promise; how often it was broken stays."""
    return replace(
        clock,
        state="running",
        intervals=(Interval(now),),
        breached=False,
        thresholds=(),
        took=None,
        reminded=0,
    )


def not_begun(clock: Clock) -> Clock:
    """A clock that has not counted anything yet and is not running."""
    return replace(clock, state="paused", intervals=()) if is_live(clock) else clock


def retarget(clock: Clock, sla: Sla, now: datetime, calendars: Calendars) -> Clock:
    """The same intervals against another SLA, on its calendar."""
    made = replace(
        clock,
        goal=goals(sla)[clock.target],
        sla=sla.name,
        calendar=sla.calendar,
        warn_at=tuple(share / 100 for share in sla.warn_at),
        pause_while=tuple(sla.pause_while),
        by=sla.by(clock.target),
    )
    return watched_anew(made, now, calendars)


def promised_again(fresh: Clock, before: Clock, now: datetime, calendars: Calendars) -> Clock:
    """A fresh clock in place of a cancelled one; what was reported of the old one is not reported again."""
    made = replace(fresh, breached=before.breached, breaches=before.breaches, thresholds=before.thresholds)
    return watched_anew(made, now, calendars)


def watched_anew(clock: Clock, now: datetime, calendars: Calendars) -> Clock:
    """The clock after its goal or its hours changed: what is past stays reported, all else is still to come.

    A broken promise whose time is not over any more is watched like a new one; that it was broken stays on
    record. For `update`, nobody counts as reminded if this promise was not broken.
    """
    passed = clock.elapsed(now, calendars)
    broken = clock.breached and clock.is_used_up(passed)
    periods = int((passed + TOLERANCE) / clock.goal) if clock.target == "update" and broken else 0
    return replace(
        clock,
        breached=broken,
        breaches=clock.times_broken,
        thresholds=tuple(share for share in clock.thresholds if reached(clock, share, passed)),
        reminded=periods,
    )


def waiting(clock: Clock, party: str, now: datetime) -> Clock:
    """The clock while the incident waits for `party` ('' for nobody): paused if its SLA says so."""
    if party and party in clock.pause_while:
        return pause(clock, now)
    return resume(clock, now)


def reached(clock: Clock, share: float, passed: float) -> bool:
    """Whether this share of the goal has passed after `passed` counted seconds."""
    return passed + TOLERANCE >= clock.goal * share


def is_past(clock: Clock, now: datetime, calendars: Calendars) -> bool:
    """Whether the promise was broken: more time has passed than the goal."""
    return clock.elapsed(now, calendars) > clock.goal + TOLERANCE


def changed(clocks: Iterable[Clock], target: str, made: Clock) -> tuple[Clock, ...]:
    """The clocks with the one of this target replaced."""
    return tuple(made if clock.target == target else clock for clock in clocks)
