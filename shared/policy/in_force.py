"""Which parts of a bundle are read and checked, but do nothing yet. It shrinks with each release."""

from collections.abc import Iterator
from typing import Final

from shared.policy.errors import dotted
from shared.policy.escalation import Do, Point, Policy
from shared.policy.model import ALWAYS, Bundle
from shared.policy.names import calls
from shared.policy.targets import NextTarget, SkillTarget, Target, within
from shared.policy.trial import written

_EVENTS: Final = ("opened", "escalated", "update", "at_risk", "breached", "resolved")
_INTEGRATIONS: Final = ("native", "pagerduty", "alertmanager")
_VERBS: Final = ("notify", "inform", "escalate")


def not_in_force(bundle: Bundle) -> list[str]:
    """Plain sentences, each naming the place; empty when everything in the bundle takes effect."""
    return [f"{where} is not in force yet{': ' if why else ''}{why}" for where, why in _parts(bundle)]


def _parts(bundle: Bundle) -> Iterator[tuple[str, str]]:
    yield from _users_and_schedules(bundle)
    yield from _slas(bundle)
    for name, policy in bundle.policies.items():
        yield from _policy(f"policies.{name}", policy)
    for section in ("grouping", "suppress", "calls", "heartbeats"):
        if getattr(bundle, section):
            yield section, ""
    yield from _subscriptions(bundle)
    for name, integration in bundle.integrations.items():
        if integration.kind not in _INTEGRATIONS:
            yield f"integrations.{name}", f"kind {integration.kind}"
        if integration.rate is not None:
            yield f"integrations.{name}.rate", "nothing is limited"
    yield from _targets("last_resort", bundle.last_resort)
    for expression in written(bundle):
        for function, name, _ in calls(expression.source):
            if function == "open" and name != ALWAYS:
                yield f"{dotted(expression.path)}: open('{name}')", "it counts as open"


def _slas(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for sla in bundle.slas:
        parts = {name: sla.goal(name) is not None for name in ("respond", "update", "close")}
        parts |= {f"calendar {sla.calendar}": sla.calendar != ALWAYS, "warn_at": bool(sla.warn_at)}
        yield from _listed(f"slas[{sla.name}]", parts)


def _subscriptions(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for index, subscription in enumerate(bundle.subscriptions):
        where = f"subscriptions[{index}]"
        if subscription.digest is not None:
            yield f"{where}.digest", "each message goes out by itself"
        later = [event for event in subscription.events if event not in _EVENTS]
        if later:
            yield f"{where}.events", ", ".join(later)
        yield from _targets(f"{where}.who", subscription.who)


def _users_and_schedules(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for name, user in bundle.users.items():
        if user.rules.high or user.rules.low:
            yield f"users.{name}.rules", "every contact is used at once"
        if user.quiet_hours is not None:
            yield f"users.{name}.quiet_hours", ""
        if user.may_approve:
            yield f"users.{name}.may_approve", ""
    for name, schedule in bundle.schedules.items():
        if len(schedule.layers) > 1:
            yield f"schedules.{name}.layers", "only the first one counts"
        if schedule.layers[0].only is not None:
            yield f"schedules.{name}.layers[0].only", ""
        if "handoff" in schedule.model_fields_set and schedule.handoff != "none":
            yield f"schedules.{name}.handoff", ""


def _policy(where: str, policy: Policy) -> Iterator[tuple[str, str]]:
    yield from _listed(where, {"grace": policy.grace is not None, "close": policy.close is not None})
    for level in policy.levels:
        place = f"{where}.levels[{level.name}]"
        yield from _listed(
            place,
            {
                "solve_within": level.solve_within is not None,
                "hold_until": level.hold_until is not None,
                f"mode {level.mode.kind} (all are paged)": level.mode.kind != "all",
            },
        )
        yield from _targets(f"{place}.notify", level.notify)
    yield from _targets(f"{where}.finally.notify", policy.finally_.notify)
    for point in policy.points:
        yield from _point(f"{where}.points[{point.name}]", point)


def _point(where: str, point: Point) -> Iterator[tuple[str, str]]:
    yield from _listed(where, {"held_for": point.held_for is not None, "repeat": point.repeat is not None})
    for do in point.do:
        if do.verb not in _VERBS:
            yield f"{where}.do.{do.verb}", ""
        yield from _targets(f"{where}.do.{do.verb}", _told(do))


def _told(do: Do) -> tuple[Target, ...]:
    return (do.notify or ()) + (do.inform or ())


def _targets(where: str, targets: tuple[Target, ...]) -> Iterator[tuple[str, str]]:
    for target in targets:
        if any(isinstance(each, SkillTarget | NextTarget) for each in within(target)):
            yield f"{where}: {target.text}", "it resolves to nobody"


def _listed(where: str, parts: dict[str, bool]) -> Iterator[tuple[str, str]]:
    for name, present in parts.items():
        if present:
            yield f"{where}.{name}", ""
