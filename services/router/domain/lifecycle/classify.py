"""Customer, tier, priority and SLA of an incident (docs/rules.md, rules 8 and 14)."""

from typing import Final

from services.router.domain.draft import customers
from services.router.domain.draft.draft import Draft
from services.router.domain.escalation import chain
from services.router.domain.model.incident import Incident
from services.router.domain.model.reason import Reason
from services.router.domain.sla import clocks, stopwatch

COMPETENCE: Final = frozenset({"priority", "kind", "attributes"})  # what `handles` may depend on
OF_SEVERITY: Final = {"critical": 1, "error": 2, "warning": 3, "info": 4}


def name_customer(draft: Draft, said: str) -> None:
    """Set the customer that an event names, and record how the name was understood."""
    found = customers.find(draft.context, said)
    draft.set(customer=found.id, customer_name=found.name)
    if said:
        text = f"customer {found.name}: {found.how}"
        draft.say("customer", text, Reason("customers", values={"said": said}))


def set_tier(draft: Draft) -> None:
    """Set the tier: the event's own, else the customer's, else the last of the list."""
    bundle, incident = draft.live.spec, draft.incident
    known = customers.find(draft.context, incident.customer)
    said = known.customer.tier if known.customer is not None else None
    lost: list[str] = []
    if incident.said_tier in bundle.tiers:
        tier, where = incident.said_tier, "the event names the tier"
    else:
        if incident.said_tier:
            lost.append(f"{incident.said_tier!r} is not a tier of the policy")
        if said and said not in bundle.tiers:
            lost.append(f"{known.where}: {said!r} is not a tier of the policy")
        tier = bundle.tier_of(said)
        where = f"{known.where}.tier" if said in bundle.tiers else "tiers: the last one"
    if tier != incident.tier:
        draft.set(tier=tier)
        draft.say("tier", f"tier {tier}", Reason(where, instead_of=lost))


def computed(draft: Draft) -> tuple[int, Reason]:
    """The priority by the rules as they stand: the first row that matches, else from the severity."""
    incident, seen = draft.incident, draft.activation
    chosen = draft.bundle.priorities.first(seen)
    if chosen.rule is not None:
        return chosen.rule.spec.priority, chosen.reason(seen)
    said = {"severity": incident.severity or "not given: taken as error"}
    reason = Reason("priority from severity", "", said, chosen.instead_of)
    return OF_SEVERITY[incident.severity or "error"], reason


def _is_opening(incident: Incident) -> bool:
    """Whether it has neither priority nor clocks yet: a point may change an incident as it opens."""
    return incident.version == 0 and not incident.chain.policy


def set_priority(draft: Draft) -> None:
    """Set the priority by the rules.

    It rises by itself and falls only by a person; once a person has set it, it rises again only when the
    rules find it more urgent than they did then (rule 14).
    """
    incident, by_hand = draft.incident, draft.incident.priority_set
    wanted, reason = computed(draft)
    if _is_opening(incident):
        draft.set(priority=wanted)
        draft.say("priority", f"priority {wanted}", reason)
    elif wanted < incident.priority and (by_hand is None or wanted < by_hand.rules_said):
        draft.set(priority=wanted, priority_set=None)
        draft.say("priority", f"priority rises from {incident.priority} to {wanted}", reason)
        draft.change("priority")


def choose_sla(draft: Draft, *, anew: bool = False) -> None:
    """Choose the first SLA that matches; after a change the elapsed time counts against the new promise.

    `anew`: the SLA's promises and calendars may have changed under the same name; breaches of the old ones
    have been noted before.
    """
    seen = draft.activation
    chosen = draft.bundle.slas.first(seen)
    sla = chosen.rule.spec if chosen.rule is not None else None
    if _is_opening(draft.incident):
        reason = chosen.reason(seen) if sla is not None else Reason("slas: none matches")
        clocks.activate(draft, sla, reason)
        return
    promising = sla if stopwatch.goals(sla) else None
    if anew or (promising.name if promising is not None else "") != draft.incident.promised_by:
        if not anew:
            clocks.notice(draft)
        reason = chosen.reason(draft.activation) if sla is not None else Reason("slas: none matches")
        clocks.retarget(draft, promising, reason)


def competence(draft: Draft, before: Incident) -> None:
    """Check `handles` again after a change: no longer competent → escalate, or join if taken (rule 1).

    `before` is the incident before the change: a level that was asked for although it was never competent
    stays. While the levels stand still, this waits for the end of that.
    """
    position, policy = draft.incident.chain, draft.policy
    if draft.stands_still and position.due is None:
        return
    if (
        position.state not in {"climbing", "resting"}
        or position.unasked
        or position.level >= len(policy.levels)
    ):
        return
    level = policy.levels[position.level]
    if level.handles is None or level.handles.evaluate(draft.activation) is not False:
        return
    reason = draft.reason(f"{level.where}.handles", level.handles)
    if level.handles.evaluate(draft.seen_before(before)) is False:
        return
    cause = f"level {level.spec.name} does not handle this any more"
    if draft.incident.assignee:
        chain.join(draft, cause=cause, reason=reason)
        return
    draft.set(status="triggered")
    chain.hand_up(draft, cause=cause, reason=reason, may_hold=True)
