"""Whose problem it is and how much it matters: customer, tier, priority, SLA (POLICY.md, rules 8 and 14)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.router.domain import chain, clocks
from services.router.domain.decision import Reason
from services.router.domain.draft import Draft
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


def find_customer(bundle: Bundle, said: str) -> Named:
    """By id, then by name or `match` (case does not count), then by mail domain."""
    if said in bundle.customers:
        return _named(bundle, said, "by its id")
    text = said.casefold()
    domain = text.rpartition("@")[2]
    for name, customer in bundle.customers.items():
        known_as = {customer.name.casefold(), *(each.casefold() for each in customer.match)}
        if text in known_as:
            return _named(bundle, name, f"known as {said!r}")
        if "@" in text and domain in known_as:
            return _named(bundle, name, f"by its mail domain {domain}")
    return Named(said, said, None, known=False, how="not a known customer")


def _named(bundle: Bundle, name: str, how: str) -> Named:
    customer = bundle.customers[name]
    return Named(name, customer.name or name, customer.tier, known=True, how=how)


def name_customer(draft: Draft, said: str) -> None:
    """Take what an event says of the customer, and say how it was understood."""
    found = find_customer(draft.live.bundle, said)
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
    if draft.incident.version == 0:
        _activate(
            draft, sla, chosen.reason(draft.activation) if sla is not None else Reason("slas: none matches")
        )
    elif (
        sla is not None and clocks.goals(sla) and {clock.sla for clock in draft.incident.clocks} != {sla.name}
    ):
        _retarget(draft, sla, chosen.reason(draft.activation))


def _activate(draft: Draft, sla: Sla | None, reason: Reason) -> None:
    draft.set(clocks=clocks.activate(sla, draft.now))
    promises = [f"{clock.target} within {_goal(clock.goal)}" for clock in draft.incident.clocks]
    text = (
        f"SLA {sla.name}: {', '.join(promises) or 'promises nothing in force'}" if sla else "no SLA applies"
    )
    draft.say("sla", text, reason)


def _retarget(draft: Draft, sla: Sla, reason: Reason) -> None:
    known = {clock.target: clock for clock in draft.incident.clocks}
    made = {clock.target: clock for clock in clocks.activate(sla, draft.now)}
    targets = dict.fromkeys([*known, *made])
    merged = tuple(clocks.retarget(known[t], sla) if t in known else made[t] for t in targets)
    draft.set(clocks=merged)
    promises = ", ".join(f"{clock.target} within {_goal(clock.goal)}" for clock in merged)
    draft.say("sla", f"SLA {sla.name} applies now: {promises}", reason)
    draft.change("sla")


def _goal(seconds: float) -> str:
    return chain.span(timedelta(seconds=seconds))


def competence(draft: Draft) -> None:
    """Ask `handles` again after a change: no longer competent → handed up, or joined if taken (rule 1)."""
    position, ladder = draft.incident.chain, draft.ladder
    if position.state not in {"climbing", "resting"} or position.level >= len(ladder.rungs):
        return
    rung = ladder.rungs[position.level]
    holds, _ = draft.holds(rung.handles, when_failed=True)
    if holds:
        return
    reason = draft.reason(f"{rung.where}.handles", rung.handles)
    cause = f"level {rung.spec.name} does not handle this any more"
    if draft.incident.status == "acknowledged":
        chain.climb(draft, position.level + 1, position.round, cause=cause, reason=reason)
        chain.rest(draft)
        draft.change("escalated")
    else:
        chain.advance(draft, cause=cause, reason=reason)
