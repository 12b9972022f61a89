"""Whose problem it is and how much it matters: customer, tier, priority, SLA (POLICY.md, rules 8 and 14)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.router.domain import chain, clocks
from services.router.domain.compiled import CompiledPolicy
from services.router.domain.draft import Draft
from services.router.domain.incident import Clock, Incident
from services.router.domain.reason import Reason
from services.router.domain.steps import span
from shared.policy import Bundle, Sla

OF_SEVERITY: Final = {"critical": 1, "error": 2, "warning": 3, "info": 4}


@dataclass(frozen=True, slots=True)
class Named:
    """The customer that an event's text means; `id` stays as said when nobody is known by it."""

    id: str
    name: str
    tier: str | None
    known: bool
    how: str


def find_customer(policy: CompiledPolicy, said: str) -> Named:
    """By id, then by name or `match` (case does not count), then by mail domain."""
    bundle = policy.bundle
    if said in bundle.customers:
        return _named(bundle, said, "by its id")
    text = said.casefold()
    if text in policy.customers:
        return _named(bundle, policy.customers[text], f"known as {said!r}")
    domain = text.rpartition("@")[2]
    if domain != text and domain in policy.customers:
        return _named(bundle, policy.customers[domain], f"by its mail domain {domain}")
    return Named(said, said, None, known=False, how="not a known customer")


def _named(bundle: Bundle, name: str, how: str) -> Named:
    customer = bundle.customers[name]
    return Named(name, customer.name or name, customer.tier, known=True, how=how)


def name_customer(draft: Draft, said: str) -> None:
    """Take what an event says of the customer, and say how it was understood."""
    found = find_customer(draft.live, said)
    draft.set(customer=found.id, customer_name=found.name)
    if said:
        text = f"customer {found.name}: {found.how}"
        draft.say("customer", text, Reason("customers", values={"said": said}))


def set_tier(draft: Draft) -> None:
    """The tier an event carried, else the customer's, else the last one."""
    bundle, incident = draft.live.bundle, draft.incident
    customer = bundle.customers.get(incident.customer)
    lost: list[str] = []
    if incident.said_tier in bundle.tiers:
        tier, where = incident.said_tier, "the event names the tier"
    else:
        if incident.said_tier:
            lost.append(f"{incident.said_tier!r} is not a tier of the policy")
        tier = bundle.tier_of(customer.tier if customer is not None else None)
        where = (
            f"customers.{incident.customer}.tier"
            if customer is not None and customer.tier
            else "tiers: the last one"
        )
    if tier != incident.tier:
        draft.set(tier=tier)
        draft.say("tier", f"tier {tier}", Reason(where, instead_of=lost))


def set_priority(draft: Draft) -> None:
    """The first row that matches, else from severity. It rises by itself, falls by a person (rule 14)."""
    incident, is_new = draft.incident, draft.incident.version == 0
    chosen = draft.policy.priorities.first(draft.activation)
    if chosen.rule is not None:
        wanted, reason = chosen.rule.spec.priority, chosen.reason(draft.activation)
    else:
        severity = incident.severity or "error"
        said = {"severity": incident.severity or "not given: taken as error"}
        wanted, reason = OF_SEVERITY[severity], Reason("priority from severity", "", said, chosen.instead_of)
    if is_new:
        draft.set(priority=wanted)
        draft.say("priority", f"priority {wanted}", reason)
    elif wanted < incident.priority:
        draft.set(priority=wanted)
        draft.say("priority", f"priority rises from {incident.priority} to {wanted}", reason)
        draft.change("priority")


def choose_sla(draft: Draft) -> None:
    """The first SLA that matches; after a change the same time is measured against the new promise."""
    chosen = draft.policy.slas.first(draft.activation)
    sla = chosen.rule.spec if chosen.rule is not None else None
    promising = sla if clocks.goals(sla) else None
    if draft.incident.version == 0:
        reason = chosen.reason(draft.activation) if sla is not None else Reason("slas: none matches")
        _activate(draft, sla, reason)
    elif (promising.name if promising is not None else "") != draft.incident.promised_by:
        reason = chosen.reason(draft.activation) if sla is not None else Reason("slas: none matches")
        _retarget(draft, promising, reason)


def _activate(draft: Draft, sla: Sla | None, reason: Reason) -> None:
    made = clocks.activate(sla, draft.now)
    draft.set(clocks=made, sla=sla.name if sla is not None and made else "")
    text = f"SLA {sla.name}: {_promises(made) or 'promises nothing in force'}" if sla else "no SLA applies"
    draft.say("sla", text, reason)


def _retarget(draft: Draft, sla: Sla | None, reason: Reason) -> None:
    incident = draft.incident
    made = clocks.retarget_all(
        incident.clocks,
        sla,
        opened_at=incident.opened_at,
        taken=incident.acknowledged_at is not None or incident.reopened > 0,
        waiting_for=incident.waiting_for,
        now=draft.now,
    )
    before = {clock.target: clock.state for clock in incident.clocks}
    ended = [
        clock.target
        for clock in made
        if clock.state == "cancelled" and before.get(clock.target) not in {None, "cancelled"}
    ]
    draft.set(clocks=made, sla=sla.name if sla is not None else "")
    text = f"SLA {sla.name} applies now" if sla is not None else "no SLA applies any more"
    told = [_promises(clock for clock in made if clock.state in {"running", "paused"})]
    told += [f"{target} is no longer promised" for target in ended]
    draft.say("sla", "; ".join(filter(None, (f"{text}: {told[0]}" if told[0] else text, *told[1:]))), reason)
    draft.change("sla")


def _promises(promised: Iterable[Clock]) -> str:
    return ", ".join(f"{clock.target} within {_goal(clock.goal)}" for clock in promised)


def _goal(seconds: float) -> str:
    return span(timedelta(seconds=seconds))


def competence(draft: Draft, before: Incident) -> None:
    """Ask `handles` again after a change: no longer competent → handed up, or joined if taken (rule 1).

    `before` is the record before the change: a level that was asked for although it never was competent
    stays. While the levels stand still, the end of the waiting asks.
    """
    position, ladder = draft.incident.chain, draft.ladder
    if draft.incident.stands_still and position.due is None:
        return
    if (
        position.state not in {"climbing", "resting"}
        or position.unasked
        or position.level >= len(ladder.rungs)
    ):
        return
    rung = ladder.rungs[position.level]
    if rung.handles is None or rung.handles.evaluate(draft.activation) is not False:
        return
    reason = draft.reason(f"{rung.where}.handles", rung.handles)
    if rung.handles.evaluate(draft.seen_before(before)) is False:
        return
    cause = f"level {rung.spec.name} does not handle this any more"
    if draft.incident.assignee:
        chain.join(draft, cause=cause, reason=reason)
        return
    draft.set(status="triggered")
    chain.hand_up(draft, cause=cause, reason=reason)
