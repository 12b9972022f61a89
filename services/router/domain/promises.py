"""What a clock's turns mean for its incident: fulfilled, warned of, broken, paused (POLICY.md, rule 8)."""

from collections.abc import Iterable
from datetime import timedelta

from msgspec.structs import replace

from services.router.domain import clocks
from services.router.domain.draft import Draft
from services.router.domain.incident import Clock
from services.router.domain.reason import Reason
from services.router.domain.steps import span


def fulfil(draft: Draft, target: str) -> None:
    """The clock's event happened. A breach that no timer found in time is told now."""
    for clock in draft.incident.clocks:
        if clock.target != target or clock.state not in {"running", "paused"}:
            continue
        if not clock.breached and clocks.is_past(clock, draft.now):
            clock = breach(draft, clock)  # noqa: PLW2901 - the same clock, breached
        done = clocks.fulfil(clock, draft.now)
        draft.set(clocks=clocks.changed(draft.incident.clocks, target, done))
        taken = span(timedelta(seconds=done.elapsed(draft.now)))
        late = ", after its breach" if done.breached else ""
        goal = span(timedelta(seconds=done.goal))
        draft.say("fulfil", f"clock {target} is fulfilled after {taken} of {goal}{late}", Reason("rule 8"))


def breach(draft: Draft, clock: Clock) -> Clock:
    """The promise is broken: say so, once. Returns the clock as it then is."""
    marked = replace(clock, breached=True, thresholds=tuple(sorted({*clock.thresholds, 1.0})))
    draft.set(clocks=clocks.changed(draft.incident.clocks, clock.target, marked))
    goal = span(timedelta(seconds=clock.goal))
    text = f"breach: {clock.target} was promised within {goal} (SLA {clock.sla})"
    draft.say("breach", text, reached(draft, f"slas {clock.sla}.{clock.target}", marked))
    draft.change("breached")
    return marked


def warn(draft: Draft, clock: Clock, shares: Iterable[float]) -> None:
    """These shares of its time have passed."""
    shares = tuple(shares)
    for share in shares:
        text = f"warning: {share:.0%} of the time to {clock.target} has passed (SLA {clock.sla})"
        draft.say("warn", text, reached(draft, f"slas {clock.sla}.warn_at", clock))
    if shares and not clock.breached:
        draft.change("at_risk")


def reached(draft: Draft, where: str, clock: Clock) -> Reason:
    """A reason with how far the clock has come."""
    elapsed = timedelta(seconds=clock.elapsed(draft.now))
    return Reason(where, values={"elapsed": span(elapsed), "goal": span(timedelta(seconds=clock.goal))})


def pause_or_go_on(draft: Draft) -> None:
    """Each clock as its SLA says for the party that is waited for now."""
    party, made = draft.incident.waiting_for, list[Clock]()
    for clock in draft.incident.clocks:
        made.append(clocks.waiting(clock, party, draft.now))
        if made[-1].state == clock.state:
            continue
        if made[-1].state == "paused":
            draft.say("pause", f"clock {clock.target} pauses", Reason(f"slas {clock.sla}.pause_while"))
        else:
            draft.say("resume", f"clock {clock.target} goes on")
    if made:
        draft.set(clocks=tuple(made))
