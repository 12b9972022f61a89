"""Opening an incident: its first state, and what is decided first (docs/rules.md, rules 1, 8, 15)."""

from datetime import datetime

from services.router.domain.draft.draft import LADDER, Draft, derived_id
from services.router.domain.draft.names import sender
from services.router.domain.escalation import chain
from services.router.domain.lifecycle import classify, event_fields, late_trigger, pauses
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Chain
from services.router.domain.model.reason import Reason
from services.router.domain.muting import grouping, suppression
from shared.events import IncidentEvent


def new_record(
    event: IncidentEvent, policy_hash: str, now: datetime, previous: str, resolved: datetime | None = None
) -> Incident:
    """A new incident before anything is decided about it (version 0).

    `resolved`: the source time of the last resolve of its key.
    """
    return Incident(
        id=derived_id("incident", event.identity),
        integration=event.integration,
        dedup_key=event.dedup_key,
        policy_hash=policy_hash,
        title=event.title or event.dedup_key,
        description=event.description or "",
        kind=event.kind or "incident",
        source=event.source or "",
        severity=event.severity,
        priority=classify.OF_SEVERITY[event.severity or "error"],
        impact=event.impact or 0,
        urgency=event.urgency or 0,
        labels=event.labels,
        attributes=event.attributes,
        details=tuple(event.attributes) if event.details_whole else (),
        links=event.links,
        said_tier=event.tier or "",
        service=event.service or "",
        opened_at=now,
        touched_at=now,
        last_event_at=now,
        alert_group=event.alert_group,
        alert_group_cut=event.left_out > 0,
        decided_at=now,
        chain=Chain(policy="", since=now),
        source_time=resolved,
        previous=previous,
        events=1,
        version=0,
    )


def open_new(draft: Draft, event: IncidentEvent) -> None:
    """Open it: customer, tier, priority, SLA, route, first level."""
    draft.actor = sender(event)
    draft.say("opened", f"opened: {draft.incident.title}", Reason("rule 15: no open incident has this key"))
    draft.change("opened")
    late_trigger.hold(draft, event)
    event_fields.notes(draft, event)
    draft.actor = LADDER
    if draft.incident.previous:
        draft.say("linked", f"the same key had incident {draft.incident.previous} before")
    classify.name_customer(draft, event.customer or "")
    classify.set_tier(draft)
    classify.set_priority(draft)
    suppression.at_opening(draft)
    grouping.at_opening(draft)
    classify.choose_sla(draft)
    if event.waiting_for:
        pauses.wait(draft, event.waiting_for, draft.now + pauses.ENDS_AFTER)
    seen = draft.activation
    chosen = draft.bundle.routes.first(seen)
    if chosen.rule is None:  # the loader guarantees a last route that matches everything
        raise LookupError("no route matches: the last route must match everything")
    route = chosen.rule.spec
    reason = chosen.reason(seen)
    chain.enter(
        draft,
        route.policy,
        start_at=route.start_at,
        cause="",
        reason=reason,
        page=not draft.stands_still,
        opening=True,
    )
    if draft.stands_still == "held":
        late_trigger.stand_back(draft)
