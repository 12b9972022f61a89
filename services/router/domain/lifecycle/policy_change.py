"""Moving an incident to the policy in force because a person says so (docs/rules.md, rule 17).

It stays on its level if the new policy has one of that name; otherwise it is routed again.
"""

from msgspec.structs import replace

from services.router.domain.draft.draft import Draft
from services.router.domain.escalation import chain, paged_people
from services.router.domain.lifecycle import classify, pauses
from services.router.domain.model.compiled_bundle import CompiledBundle, EscalationPolicy
from services.router.domain.model.parts import PointState
from services.router.domain.model.reason import Reason
from services.router.domain.sla import clocks

_RULE = "rule 17: the current policy is re-applied"


def reapply(draft: Draft, *, cause: str) -> None:
    """Apply the policy in force to priority, SLA, levels and points; clocks keep the time that has passed."""
    old, level, before = draft.bundle, draft.level_name, draft.incident
    reason = Reason(_RULE, values={"from": old.hash, "to": draft.live.hash})
    clocks.notice(draft)  # by the calendars that applied so far
    points = _points(draft, old.policies[draft.incident.chain.policy], draft.live)
    draft.follow_bundle(draft.live)
    draft.set(points=points)
    draft.say("policy", cause, reason)
    draft.change("policy")
    stays = _stays(draft, level)
    if not stays:
        draft.set_chain(policy="", entered=())  # not routed yet under this policy
    classify.set_tier(draft)
    classify.set_priority(draft)
    classify.choose_sla(draft, anew=True)
    if not stays:
        _routed_anew(draft, cause)
    elif draft.incident.priority < before.priority:
        pauses.end(draft, "the priority rose")
        classify.competence(draft, before)


def _points(draft: Draft, old: EscalationPolicy, live: CompiledBundle) -> dict[str, PointState]:
    """What the points have done so far, by name."""
    new = live.policies.get(old.name)
    if new is None:
        return {}
    states = draft.incident.points
    by_name = {rule.spec.name: states.get(rule.where) for rule in (*old.points.rules, *old.shares)}
    again = ((rule.where, by_name.get(rule.spec.name)) for rule in (*new.points.rules, *new.shares))
    return {where: state for where, state in again if state is not None}


def _stays(draft: Draft, level: str) -> bool:
    """Whether it can stay on the level of this name, or at `finally`; its time goes on as promised."""
    position = draft.incident.chain
    policy = draft.bundle.policies.get(position.policy)
    if policy is None:
        return False
    index = len(policy.levels) if level == "finally" else policy.index_of(level)
    if level == "assignee":
        index = min(position.level, len(policy.levels) - 1)
    if index is None:
        return False
    lowest = min(position.lowest, index, len(policy.levels) - 1)
    draft.set(
        chain=replace(
            position,
            level=index,
            lowest=lowest,
            round=min(position.round, policy.spec.rounds),
            grace_due=position.grace_due and policy.spec.grace is not None,
        )
    )
    return True


def _routed_anew(draft: Draft, cause: str) -> None:
    incident = draft.incident
    chosen = draft.bundle.routes.first(draft.activation)
    if chosen.rule is None:  # the loader guarantees a last route that matches everything
        raise LookupError("no route matches: the last route must match everything")
    route, taken = chosen.rule.spec, incident.status == "acknowledged"
    chain.enter(
        draft,
        route.policy,
        start_at=route.start_at,
        cause=cause,
        reason=chosen.reason(draft.activation),
        page=not taken and not incident.stands_still,
    )
    if taken:
        chain.pause(draft)
    elif not incident.stands_still:
        paged_people.handed_elsewhere(draft)
        draft.change("escalated")
