"""The incident's clocks: started, paused, fulfilled, warned of, broken (docs/rules.md, rule 8).

Each of these is reported once and by one word: activate, pause, resume, fulfil, warn, breach. The same word
stands in the timeline, in the message (`clock_events`) and in the metric.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.wording import span
from services.router.domain.model.clock import LIVE, Clock, Interval
from services.router.domain.model.reason import Reason
from services.router.domain.sla import stopwatch
from shared.policy import ALWAYS, AtShare, Sla

_ENDS_WHEN_RESOLVED = ("acknowledge", "update", "resolve")


def activate(draft: Draft, sla: Sla | None, reason: Reason) -> None:
    """Start the clocks of a new incident; while it is suppressed they do not begin (rule 11)."""
    made = stopwatch.activate(sla, draft.now)
    if draft.incident.suppressed_by:
        made = tuple(map(stopwatch.not_begun, made))
    draft.set(clocks=made, sla=sla.name if sla is not None and made else "")
    if sla is None:
        draft.say("sla", "no SLA applies", reason)
        return
    draft.say("sla", f"SLA {sla.name} applies", reason)
    for clock in made:
        _started(draft, clock)


def retarget(draft: Draft, sla: Sla | None, reason: Reason) -> None:
    """Switch to another SLA (None: none).

    The intervals stay and count on its calendar; what is fulfilled stays fulfilled, unless a machine did it
    and it is now a person's to do. What is already past stays broken, or is one breach; what is not (any
    more) is watched like a new promise. A target that was not promised before counts from the opening. What
    is no longer promised is cancelled.
    """
    known, now = draft.incident.clocks, draft.now
    promised = {clock.target: clock for clock in _as_if_before(draft, stopwatch.activate(sla, _since(draft)))}
    made: list[Clock] = []
    ended: list[str] = []
    owed: list[str] = []
    for clock in known:
        fresh = promised.pop(clock.target, None)
        if fresh is not None and _is_owed_again(draft, clock, fresh):
            promised[clock.target] = stopwatch.promised_again(fresh, clock, now, draft.calendars)
            owed.append(clock.target)
        elif clock.state == "fulfilled":
            made.append(clock)
        elif sla is None or fresh is None:
            made.append(replace(stopwatch.cancel(clock, now, draft.calendars), sla=""))
            ended += [clock.target] if clock.state in LIVE else []
        elif clock.state == "cancelled":
            promised[clock.target] = stopwatch.promised_again(fresh, clock, now, draft.calendars)
        else:
            moved = stopwatch.retarget(clock, sla, now, draft.calendars)
            if moved.by != clock.by and (clock.state == "running" or clock.target != "update"):
                moved = stopwatch.watched_anew(_kept_before(draft, moved), now, draft.calendars)
            made.append(moved)
    made += promised.values()
    draft.set(clocks=tuple(_in_order(made)), sla=sla.name if sla is not None else "")
    text = f"SLA {sla.name} applies now" if sla is not None else "no SLA applies any more"
    going_on = [each for each in made if each.state in LIVE and each.target not in promised]
    told = ", ".join(f"{clock.target} within {_goal(clock)}{_history(clock)}" for clock in going_on)
    parts = [f"{text}: {told}" if told else text, *(f"{target} is no longer promised" for target in ended)]
    parts += [f"{target} is promised by a person now, and only a machine did it so far" for target in owed]
    draft.say("sla", "; ".join(parts), reason)
    draft.change("sla")
    for clock in promised.values():
        _started(draft, clock)
    _points_to_come(draft)
    pause_or_go_on(draft)


def _is_owed_again(draft: Draft, clock: Clock, fresh: Clock) -> bool:
    """Whether a machine kept it, as was promised then, and now a person who has not done it must."""
    kept = clock.state == "fulfilled" and clock.by != "person" and draft.is_open
    return kept and fresh.by == "person" and fresh.state in LIVE


def notice(draft: Draft) -> None:
    """Report breaches that no timer found in time, before another promise takes their place."""
    for clock in draft.incident.clocks:
        if clock.state in LIVE:
            _breached_if_past(draft, clock)


def watch_again(draft: Draft) -> None:
    """Watch again what the last release left broken although its time is not over any more."""
    if any(clock.breached and clock.state in LIVE for clock in draft.incident.clocks):
        draft.set(clocks=tuple(_still_broken(draft, clock) for clock in draft.incident.clocks))


def _still_broken(draft: Draft, clock: Clock) -> Clock:
    if not clock.breached or clock.state not in LIVE:
        return clock
    if clock.is_used_up(clock.elapsed(draft.now, draft.calendars)):
        return clock
    return stopwatch.watched_anew(clock, draft.now, draft.calendars)


def _points_to_come(draft: Draft) -> None:
    """Points at shares that the new promise has not reached are still to act."""
    live = {clock.target: clock for clock in draft.incident.clocks if clock.state in LIVE}
    ahead = {
        rule.where
        for policy in draft.bundle.policies.values()
        for rule in policy.shares
        if rule.where in draft.incident.points
        and isinstance(rule.spec.at, AtShare)
        and rule.spec.at.target in live
        and not _has_reached(draft, live[rule.spec.at.target], rule.spec.at.percent / 100)
    }
    if ahead:
        points = {where: was for where, was in draft.incident.points.items() if where not in ahead}
        draft.set(points=points)


def _has_reached(draft: Draft, clock: Clock, share: float) -> bool:
    return stopwatch.reached(clock, share, clock.elapsed(draft.now, draft.calendars))


def _history(clock: Clock) -> str:
    if clock.breached or not clock.breaches:
        return ""
    return " (broken before, watched again)"


def _since(draft: Draft) -> datetime:
    return draft.incident.clocks_from or draft.incident.opened_at


def _as_if_before(draft: Draft, fresh: Iterable[Clock]) -> Iterable[Clock]:
    """Clocks for what was not promised so far, with what has happened taken into account."""
    incident = draft.incident
    for clock in fresh:
        if not _has_begun(incident.clocks) and incident.suppressed_by:
            yield stopwatch.not_begun(clock)
        else:
            yield _kept_before(draft, clock)


def _kept_before(draft: Draft, clock: Clock) -> Clock:
    """The clock with what happened before counted in."""
    incident, since, person = draft.incident, _since(draft), clock.by == "person"
    if clock.target == "acknowledge":
        taken = incident.taken_by_person_at if person else incident.acknowledged_at
        if taken is not None or incident.reopened:
            return replace(clock, state="fulfilled", intervals=(), took=0.0)
    elif clock.target == "respond":
        answered = incident.person_answered_at if person else incident.answered_at
        if answered is not None:
            made = replace(clock, intervals=(Interval(since, max(answered, since)),), state="fulfilled")
            return replace(made, took=made.elapsed(draft.now, draft.calendars))
    elif clock.target == "update":
        told = incident.person_told_at if person else incident.told_at
        if told is not None:
            return replace(clock, intervals=(Interval(max(told, since)),))
    return clock


def _has_begun(known: Iterable[Clock]) -> bool:
    return any(clock.intervals for clock in known)


def _in_order(made: Iterable[Clock]) -> list[Clock]:
    return sorted(made, key=lambda clock: stopwatch.TARGETS.index(clock.target))


def _started(draft: Draft, clock: Clock) -> None:
    if clock.state == "running":
        text = f"clock {clock.target} starts: {_goal(clock)}{_whose(clock)}"
        draft.clock("activate", clock, text, Reason(f"slas {clock.sla}.{clock.target}"))
    elif clock.state == "paused":
        reason = Reason("rule 11: clocks start when the suppression ends")
        draft.say("sla", f"{clock.target} within {_goal(clock)} is promised; its clock waits", reason)


def _goal(clock: Clock) -> str:
    goal = span(timedelta(seconds=clock.goal))
    return goal if clock.calendar == ALWAYS else f"{goal} of calendar {clock.calendar}"


def _whose(clock: Clock) -> str:
    return ", by a person" if clock.by == "person" else ""


# --- running ------------------------------------------------------------------------------------------------


def pause_or_go_on(draft: Draft) -> None:
    """Set each clock as it should be: stopped while suppressed, or waiting for a party that its SLA names.

    A clock suppressed since the opening begins here.
    """
    incident, now, made = draft.incident, draft.now, list[Clock]()
    if not any(map(stopwatch.is_live, incident.clocks)):
        return
    begins = not _has_begun(incident.clocks)
    for clock in incident.clocks:
        still = incident.suppressed_by
        made.append(
            stopwatch.pause(clock, now) if still else stopwatch.waiting(clock, incident.waiting_for, now)
        )
        if made[-1].state != clock.state:
            _turned(draft, made[-1], begins=not clock.intervals)
    draft.set(clocks=tuple(made))
    if begins and not incident.suppressed_by:
        draft.set(clocks_from=now)


def _turned(draft: Draft, clock: Clock, *, begins: bool) -> None:
    if clock.state == "paused":
        reason = (
            Reason("rule 11") if draft.incident.suppressed_by else Reason(f"slas {clock.sla}.pause_while")
        )
        draft.clock("pause", clock, f"clock {clock.target} pauses", reason)
    elif begins:
        _started(draft, clock)
    else:
        draft.clock("resume", clock, f"clock {clock.target} goes on", Reason("rule 8"))


def fulfil(draft: Draft, target: str, *, person: bool = True) -> None:
    """The clock's event happened, by a person or a machine. A breach that no timer found is reported now."""
    for clock in draft.incident.clocks:
        if clock.target != target or clock.state not in LIVE:
            continue
        if not stopwatch.counts(clock, person=person):
            text = f"clock {target} goes on: it is promised by a person, this was a machine's"
            draft.say("sla", text, Reason(f"slas {clock.sla}.{target}.by", values={"by": clock.by}))
            continue
        clock = _breached_if_past(draft, clock)  # noqa: PLW2901 - the same clock, perhaps breached
        done = stopwatch.fulfil(clock, draft.now, draft.calendars)
        draft.set(clocks=stopwatch.changed(draft.incident.clocks, target, done))
        taken = span(timedelta(seconds=done.took or 0))
        late = ", after its breach" if done.breached else ""
        text = f"clock {target} is fulfilled after {taken} of {_goal(done)}{late}"
        draft.clock("fulfil", done, text, Reason("rule 8"))


def cancel(draft: Draft, target: str, why: str) -> None:
    """It is no longer promised. A breach that no timer found in time is reported now."""
    for clock in draft.incident.clocks:
        if clock.target == target and clock.state in LIVE:
            done = stopwatch.cancel(_breached_if_past(draft, clock), draft.now, draft.calendars)
            draft.set(clocks=stopwatch.changed(draft.incident.clocks, target, done))
            draft.say("sla", f"{target} is no longer promised: {why}", Reason("rule 8"))


def cancel_all(draft: Draft, why: str) -> None:
    """Nothing is promised any longer."""
    for target in stopwatch.TARGETS:
        cancel(draft, target, why)


def _breached_if_past(draft: Draft, clock: Clock) -> Clock:
    if not clock.breached and stopwatch.is_past(clock, draft.now, draft.calendars):
        return breach(draft, clock)
    return clock


def begin_again(draft: Draft, clock: Clock) -> None:
    """Begin the next period of a recurring promise."""
    made = stopwatch.begin_again(clock, draft.now)
    draft.set(clocks=stopwatch.changed(draft.incident.clocks, clock.target, made))
    text = f"clock {clock.target} starts again: {_goal(made)}"
    draft.clock("activate", made, text, Reason(f"slas {clock.sla}.{clock.target}"))


# --- what happens to the incident ---------------------------------------------------------------------------


def resolved(draft: Draft, *, person: bool) -> None:
    """It is solved; what the customer is still owed (an answer, the close) is handled later."""
    for clock in draft.incident.clocks:
        if clock.target == "acknowledge" and not stopwatch.counts(clock, person=person):
            cancel(draft, "acknowledge", "it was resolved before a person took it")
    for target in _ENDS_WHEN_RESOLVED:
        fulfil(draft, target)
    pause_or_go_on(draft)


def reopened(draft: Draft) -> None:
    """It is not solved after all: the time to resolve continues, updates are owed again."""
    for clock in draft.incident.clocks:
        if clock.target == "update" and clock.state == "fulfilled":
            begin_again(draft, clock)
        elif _counts_on(clock, draft.incident.sla):
            _goes_on(draft, clock)
    pause_or_go_on(draft)


def not_closed(draft: Draft) -> None:
    """It is resolved again and not closed: the promise to close it continues."""
    for clock in draft.incident.clocks:
        if clock.target == "close" and clock.state == "cancelled" and clock.sla == draft.incident.sla:
            _goes_on(draft, clock, "it is not closed")
    pause_or_go_on(draft)


def _counts_on(clock: Clock, sla: str) -> bool:
    """The time to resolve, and whatever stopped being owed because it had ended."""
    if clock.target == "resolve" and clock.state == "fulfilled":
        return True
    return clock.state == "cancelled" and clock.sla == sla


def _goes_on(draft: Draft, clock: Clock, why: str = "reopened") -> None:
    made = stopwatch.go_on(clock, draft.now)
    draft.set(clocks=stopwatch.changed(draft.incident.clocks, clock.target, made))
    draft.clock("resume", made, f"clock {clock.target} goes on: {why}", Reason("rule 8"))


def closed(draft: Draft) -> None:
    """It is closed: the promise to close is kept; any other that was still open is cancelled."""
    fulfil(draft, "close")
    cancel_all(draft, "it is closed")


# --- reporting ----------------------------------------------------------------------------------------------


def breach(draft: Draft, clock: Clock) -> Clock:
    """Report the broken promise, once. Returns the clock afterwards."""
    marked = replace(
        clock,
        breached=True,
        breaches=clock.breaches + 1,
        thresholds=tuple(sorted({*clock.thresholds, 1.0})),
    )
    draft.set(clocks=stopwatch.changed(draft.incident.clocks, clock.target, marked))
    text = f"breach: {clock.target} was promised within {_goal(clock)} (SLA {clock.sla})"
    draft.clock("breach", marked, text, reached(draft, f"slas {clock.sla}.{clock.target}", marked))
    draft.change("breached")
    return marked


def warn(draft: Draft, clock: Clock, shares: Iterable[float]) -> None:
    """Report that these shares of its time have passed."""
    shares = tuple(shares)
    for share in shares:
        text = f"warning: {share:.0%} of the time to {clock.target} has passed (SLA {clock.sla})"
        draft.clock("warn", clock, text, reached(draft, f"slas {clock.sla}.warn_at", clock))
    if shares and not clock.breached:
        draft.change("at_risk")


def reached(draft: Draft, where: str, clock: Clock) -> Reason:
    """A reason that states how far the clock has come."""
    elapsed = timedelta(seconds=clock.elapsed(draft.now, draft.calendars))
    values = {"elapsed": span(elapsed), "goal": span(timedelta(seconds=clock.goal))}
    if clock.calendar != ALWAYS:
        values["calendar"] = clock.calendar
    return Reason(where, values=values)
