"""Automation gets its chance before anybody is paged (a policy's `grace`)."""

from datetime import datetime

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.wording import span
from services.router.domain.escalation import calls
from services.router.domain.model.compiled_bundle import EscalationPolicy
from services.router.domain.model.incident import Incident
from services.router.domain.model.reason import Reason

CAUSE = "automation did not solve it"


def begin(draft: Draft) -> None:
    """Start the call; nobody is paged for `wait`, nor while a late trigger is held."""
    policy = draft.policy
    chance = policy.spec.grace
    assert chance is not None
    late, wait = draft.incident.late, span(chance.wait)
    due = max(draft.now + chance.wait, late.until) if late is not None else draft.now + chance.wait
    draft.set_chain(since=draft.now, state="grace", due=due, grace_due=False)
    reason = Reason(f"policies.{policy.name}.grace", values={"wait": wait})
    draft.say("grace", f"nobody is paged for {wait}: automation gets its chance", reason)
    if chance.call is not None:
        calls.start(draft, chance.call, "people are paged only if it still stands", reason=reason, until=due)


def over(draft: Draft) -> tuple[str, Reason]:
    """The cause and the reason of the page that follows if automation did not help."""
    policy, since = draft.policy, draft.incident.chain.since
    chance = policy.spec.grace
    wait = span(chance.wait if chance is not None else draft.now - since)
    values = {"since": since.isoformat(), "wait": wait}
    return f"{CAUSE} within {wait}", Reason(f"policies.{policy.name}.grace", values=values)


def ends(draft: Draft) -> datetime | None:
    """When automation's time is over; None while it has none."""
    chain, chance = draft.incident.chain, draft.policy.spec.grace
    if chance is None or chain.state != "grace" or chain.grace_due or draft.incident.reopened:
        return None
    return chain.since + chance.wait


def is_enough(incident: Incident, policy: EscalationPolicy) -> bool:
    """Whether automation solved it: nobody was paged, and no person took it."""
    chain = incident.chain
    return (
        policy.spec.grace is not None
        and chain.unasked
        and not chain.grace_due
        and chain.state in {"grace", "resting"}
        and not (incident.assignee or incident.pages_made or incident.reopened or incident.late)
    )


def tell_avoided(draft: Draft) -> None:
    """Record that nobody had to be paged."""
    reason = Reason(
        f"policies.{draft.policy.name}.grace", values={"since": draft.incident.chain.since.isoformat()}
    )
    draft.say("avoided", "escalation avoided: it was resolved before anybody was paged", reason)
    draft.change("avoided")
