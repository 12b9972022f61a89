"""When escalation points fire: on a condition, or at a share of a clock; the chain of authority (rule 10).

They fire beside the levels and never stop them. Each `when` point fires once per opening, or again every
`repeat` while it holds; of several overdue shares of one clock only the highest acts (rule 2).
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.stages import Moment
from services.router.domain.model.clock import Clock
from services.router.domain.model.compiled_bundle import EscalationPolicy, Rule
from services.router.domain.model.parts import PointState
from services.router.domain.points import point_actions
from services.router.domain.sla import clocks, stopwatch
from services.router.domain.stakeholders import updates
from shared.policy import Point
from shared.policy.cel.expressions import Activation

_UNTOUCHED: Final = PointState()


def _store(draft: Draft, rule: Rule[Point], state: PointState) -> None:
    draft.set(points={**draft.incident.points, rule.where: state})


def check_conditions(draft: Draft) -> None:
    """Evaluate the `when` points of the incident's policy, and fire those that are due.

    A point may change what others see, or the policy: then they are evaluated again. Each fires at most once
    per decision.
    """
    fired: set[str] = set()
    policy = draft.policy
    while policy.points.rules:
        seen = draft.activation
        _look(draft, policy, seen, fired)
        if draft.policy is policy and draft.sees(seen):
            return
        policy = draft.policy


def _look(draft: Draft, policy: EscalationPolicy, seen: Activation, fired: set[str]) -> None:
    for rule, outcome in zip(policy.points.rules, policy.points.outcomes(seen), strict=True):
        state = draft.incident.points.get(rule.where, _UNTOUCHED)
        if outcome is not True:
            if state.true_since is not None:
                _store(draft, rule, replace(state, true_since=None))
            continue
        if state.true_since is None:
            state = replace(state, true_since=draft.now)
            _store(draft, rule, state)
        held = draft.incident.late is not None  # nobody is paged yet: it waits (rule 16)
        due = next_time(rule.spec, state) if rule.where not in fired and not held else None
        if due is not None and due <= draft.now:
            fired.add(rule.where)
            _store(draft, rule, replace(state, fired=state.fired + 1, fired_at=draft.now))
            point_actions.fire(draft, policy, rule, rule.reason(seen), "")


def next_time(point: Point, state: PointState) -> datetime | None:
    """When a held `when` point fires next; None if it does not hold, or fired and does not repeat."""
    if state.true_since is None:
        return None
    first = state.true_since + (point.held_for or timedelta(0))
    if state.fired_at is None or state.fired == 0:
        return first
    return max(first, state.fired_at + point.repeat) if point.repeat is not None else None


def _held_until(draft: Draft) -> datetime | None:
    states, coming = draft.incident.points, list[datetime]()
    for rule in draft.policy.points.rules:
        state = states.get(rule.where)
        at = next_time(rule.spec, state) if state is not None else None
        if at is not None:
            coming.append(at)
    return min(coming, default=None)


HELD: Final = Moment(
    "a condition has held for long enough",
    _held_until,
    check_conditions,
    when=lambda draft: (
        draft.policy.points.rules and draft.incident.points and not draft.is_muted and not draft.incident.late
    ),
)


def check_shares(draft: Draft) -> None:
    """Act on the shares that running clocks have reached: warnings, the breach, and the points there.

    While a late trigger is held they wait (rule 16).
    """
    for target in [clock.target for clock in draft.incident.clocks]:
        for clock in draft.incident.clocks:
            if clock.target == target and clock.state == "running":
                _check_clock(draft, clock)


def _unfired(draft: Draft, target: str) -> list[tuple[float, Rule[Point]]]:
    fired = {where for where, state in draft.incident.points.items() if state.fired}
    return [each for each in draft.policy.shares_of.get(target, ()) if each[1].where not in fired]


def _reminders(clock: Clock) -> list[float]:
    """The share of an `update` clock at which the next reminder is due: the end of the next silent period."""
    return [clock.reminded + 1.0]


def unfired_shares(draft: Draft, clock: Clock) -> list[float]:
    """The shares of this clock at which something has yet to happen."""
    own = _reminders(clock) if clock.target == "update" else [] if clock.breached else [1.0]
    if not clock.warn_at and clock.target not in draft.policy.shares_of:
        return own
    warnings = [share for share in clock.warn_at if share not in clock.thresholds]
    points = _unfired(draft, clock.target) if clock.target in draft.policy.shares_of else ()
    return sorted({*own, *warnings, *(share for share, _ in points)})


def _next_share(draft: Draft) -> datetime | None:
    coming = list[datetime]()
    for clock in draft.incident.clocks:
        shares = unfired_shares(draft, clock) if clock.state == "running" else None
        at = clock.reaches(shares[0], draft.calendars) if shares else None
        if at is not None:
            coming.append(at)
    return min(coming, default=None)


SHARES: Final = Moment(
    "a clock reaches a share of its time",
    _next_share,
    check_shares,
    when=lambda draft: draft.incident.clocks and not draft.incident.late,
)


def _check_clock(draft: Draft, clock: Clock) -> None:
    passed = clock.elapsed(draft.now, draft.calendars)
    reached = [share for share in unfired_shares(draft, clock) if stopwatch.reached(clock, share, passed)]
    if not reached:
        return
    policy, due = draft.policy, [each for each in _unfired(draft, clock.target) if each[0] in reached]
    warnings = [share for share in clock.warn_at if share in reached and share not in clock.thresholds]
    reminded = {*_reminders(clock)} if clock.target == "update" else set[float]()
    marked = replace(clock, thresholds=tuple(sorted({*clock.thresholds, *reached} - reminded)))
    draft.set(clocks=stopwatch.changed(draft.incident.clocks, clock.target, marked))
    if reached[-1] >= 1.0 and not clock.breached:
        marked = clocks.breach(draft, marked)
    if clock.target == "update":
        updates.remind(draft, marked)
    clocks.warn(draft, marked, warnings)
    highest = max((share for share, _ in due), default=0.0)
    for share, rule in due:
        _store(
            draft,
            rule,
            replace(draft.incident.points.get(rule.where, _UNTOUCHED), fired=1, fired_at=draft.now),
        )
        reason = clocks.reached(draft, rule.where, marked)
        if share == highest:
            point_actions.fire(draft, policy, rule, reason, f"{rule.spec.at} has passed")
        else:
            text = f"point {rule.spec.name} is recorded only: a higher share was reached at the same time"
            draft.say("point", text, reason)
