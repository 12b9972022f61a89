"""Escalation points: a condition on the record, or a share of a clock; the chain of authority (rule 10).

They fire beside the levels and never stop them. Each `when` point fires once an opening, or again every
`repeat` while it holds; of several overdue shares of one clock only the highest acts (rule 2).
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from services.router.domain import chain, clocks
from services.router.domain.chain import span
from services.router.domain.compiled import Rule
from services.router.domain.decision import Reason
from services.router.domain.draft import Draft
from services.router.domain.incident import Clock, PointState
from shared.policy import AtShare, Do, Point


def _state(draft: Draft, rule: Rule[Point]) -> PointState:
    return draft.incident.points.get(rule.where, PointState())


def _store(draft: Draft, rule: Rule[Point], state: PointState) -> None:
    draft.set(points={**draft.incident.points, rule.where: state})


def check_conditions(draft: Draft) -> None:
    """Evaluate the `when` points of the policy that the incident is on, and fire the ones that are due.

    A point may hand the incident to another policy: the points of that one are looked at next time.
    """
    ladder = draft.ladder
    if not ladder.points.rules:
        return
    outcomes = ladder.points.outcomes(draft.activation)
    for rule, outcome in zip(ladder.points.rules, outcomes, strict=True):
        state = _state(draft, rule)
        if outcome is not True:
            if state.held_since is not None:
                _store(draft, rule, replace(state, held_since=None))
            continue
        if state.held_since is None:
            state = replace(state, held_since=draft.now)
            _store(draft, rule, state)
        if _is_due(rule.spec, state, draft.now):
            reason = rule.reason(draft.activation)
            _store(draft, rule, replace(state, fired=state.fired + 1, fired_at=draft.now))
            fire(draft, rule, reason, "")


def next_time(point: Point, state: PointState) -> datetime | None:
    """When a held `when` point fires next; None when it has fired and does not repeat, or does not hold."""
    if state.held_since is None:
        return None
    first = state.held_since + (point.held_for or timedelta(0))
    if state.fired_at is None or state.fired == 0:
        return first
    return state.fired_at + point.repeat if point.repeat is not None else None


def _is_due(point: Point, state: PointState, now: datetime) -> bool:
    due = next_time(point, state)
    return due is not None and due <= now


def check_shares(draft: Draft) -> None:
    """Fire what running clocks have reached: warnings, the breach, and the points at their shares."""
    for clock in draft.incident.clocks:
        if clock.state == "running":
            _check_clock(draft, clock)


def _unfired(draft: Draft, target: str) -> list[tuple[float, Rule[Point]]]:
    return [
        (rule.spec.at.percent / 100, rule)
        for rule in draft.ladder.shares
        if isinstance(rule.spec.at, AtShare)
        and rule.spec.at.target == target
        and not _state(draft, rule).fired
    ]


def unfired_shares(draft: Draft, clock: Clock) -> list[float]:
    """The shares of this clock at which something is still to happen."""
    own = [] if clock.breached else [1.0]
    warnings = [share for share in clock.warn_at if share not in clock.thresholds]
    return sorted({*own, *warnings, *(share for share, _ in _unfired(draft, clock.target))})


def _check_clock(draft: Draft, clock: Clock) -> None:
    reached = [share for share in unfired_shares(draft, clock) if clocks.used_up(clock, share, draft.now)]
    if not reached:
        return
    highest = reached[-1]
    points = [(share, rule) for share, rule in _unfired(draft, clock.target) if share in reached]
    warnings = [share for share in clock.warn_at if share in reached and share not in clock.thresholds]
    marked = replace(
        clock,
        breached=clock.breached or reached[-1] >= 1.0,
        thresholds=tuple(sorted({*clock.thresholds, *reached})),
    )
    draft.set(clocks=clocks.changed(draft.incident.clocks, clock.target, marked))
    if marked.breached and not clock.breached:
        _breach(draft, marked)
    _warn(draft, marked, warnings, acts=bool(warnings) and max(warnings) == highest and not marked.breached)
    for share, rule in points:
        _store(draft, rule, replace(_state(draft, rule), fired=1, fired_at=draft.now))
        reason = _share_reason(draft, rule.where, marked)
        if share == highest:
            fire(draft, rule, reason, f"{rule.spec.at} has passed")
        else:
            text = f"point {rule.spec.name} is recorded only: a higher share was reached at the same time"
            draft.say("point", text, reason)


def _share_reason(draft: Draft, where: str, clock: Clock) -> Reason:
    elapsed = timedelta(seconds=clock.elapsed(draft.now))
    return Reason(where, values={"elapsed": span(elapsed), "goal": span(timedelta(seconds=clock.goal))})


def _breach(draft: Draft, clock: Clock) -> None:
    goal = span(timedelta(seconds=clock.goal))
    text = f"breach: {clock.target} was promised within {goal} (SLA {clock.sla})"
    draft.say("breach", text, _share_reason(draft, f"slas {clock.sla}.{clock.target}", clock))
    draft.change("breached")


def _warn(draft: Draft, clock: Clock, shares: list[float], *, acts: bool) -> None:
    for share in shares:
        text = f"warning: {share:.0%} of the time to {clock.target} has passed (SLA {clock.sla})"
        draft.say("warn", text, _share_reason(draft, f"slas {clock.sla}.warn_at", clock))
    if acts:
        draft.change("at_risk")


def fire(draft: Draft, rule: Rule[Point], reason: Reason, cause: str) -> None:
    """Do what the point says."""
    draft.say("point", f"escalation point {rule.spec.name}" + (f": {cause}" if cause else ""), reason)
    for do in rule.spec.do:
        _act(draft, rule.spec, do, reason)


def _act(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    if do.notify is not None:
        _notify(draft, point, do, reason)
    elif do.inform is not None:
        _inform(draft, point, do, reason)
    elif do.escalate is not None:
        _escalate(draft, point, do, reason)
    else:
        draft.say("not_in_force", f"{do.verb} in point {point.name} is not yet in force", reason)


def _notify(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    resolved = draft.directory.resolve(do.notify or ())
    for gap in resolved.gaps:
        draft.say("nobody", f"point {point.name}: {gap}", reason)
    for found in resolved.found:
        draft.page(found, through="point", why=f"{found.why} (escalation point {point.name})")
    if resolved.found:
        names = ", ".join(draft.directory.display(found.recipient.name) for found in resolved.found)
        draft.say("paged", f"point {point.name} pages {names}", reason)
        draft.change("paged")


def _inform(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    resolved = draft.directory.resolve(do.inform or ())
    for gap in resolved.gaps:
        draft.say("nobody", f"point {point.name}: {gap}", reason)
    for found in resolved.found:
        text = f"Escalation point: {point.name}"
        draft.tell(
            found.recipient, "inform", text=text, reason=f"{found.why} (escalation point {point.name})"
        )
    if resolved.found:
        names = ", ".join(draft.directory.display(found.recipient.name) for found in resolved.found)
        draft.say("informed", f"point {point.name} informs {names}", reason)


def _escalate(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    assert do.escalate is not None
    cause = f"of escalation point {point.name}" + (f" ({do.because})" if do.because else "")
    if draft.incident.status == "acknowledged":
        draft.set(status="triggered", assignee="")
        draft.settle("handed up")
    if do.escalate.policy is not None:
        chain.enter_other(draft, do.escalate.policy, cause=cause, reason=reason)
    elif do.escalate.level is not None:
        chain.go_to_level(draft, do.escalate.level, cause=cause, reason=reason)
