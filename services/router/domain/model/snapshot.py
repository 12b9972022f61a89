"""The incident as messages and the API show it."""

from datetime import datetime

from services.router.domain.model.incident import Incident
from shared.events import CustomerContact, IncidentSnapshot
from shared.policy.calendars.open_hours import Calendars


def snapshot(
    incident: Incident,
    level_name: str,
    now: datetime,
    calendars: Calendars,
    people: tuple[CustomerContact, ...] = (),
) -> IncidentSnapshot:
    """The incident as the API and every message show it; `calendars` of the policy it started with.

    `people`: how to reach its customer's, as of now.
    """
    waiting, suppression = incident.waiting, incident.suppression
    acknowledged, group = incident.acknowledged, incident.group
    return IncidentSnapshot(
        id=incident.id,
        integration=incident.integration,
        dedup_key=incident.dedup_key,
        title=incident.title,
        description=incident.description,
        kind=incident.kind,
        source=incident.source,
        severity=incident.severity,
        labels=incident.labels,
        attributes=incident.attributes,
        links=incident.links,
        status=incident.status,
        priority=incident.priority,
        tier=incident.tier,
        customer=incident.customer,
        customer_name=incident.customer_name,
        service=incident.service,
        policy=incident.chain.policy,
        level=level_name,
        round=incident.chain.round,
        assignee=incident.assignee,
        waiting_for=waiting.party if waiting is not None else "",
        waiting_until=waiting.until if waiting is not None else None,
        snoozed_until=incident.snooze.until if incident.snooze is not None else None,
        decision=incident.approval.decision if incident.approval is not None else "",
        decided_by=incident.approval.by if incident.approval is not None else "",
        rating=incident.confirmed.rating if incident.confirmed is not None else 0,
        parent=incident.parent if incident.belongs_to is not None else "",
        members=group.total if group is not None else 0,
        members_open=group.open if group is not None else 0,
        suppressed_by=suppression.by if suppression is not None else "",
        suppressed_until=suppression.until if suppression is not None else None,
        may_follow_from=incident.may_follow_from,
        reopened=incident.reopened,
        opened_at=incident.opened_at,
        acknowledged_at=acknowledged.at if acknowledged is not None else None,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
        last_event_at=incident.last_event_at,
        next_due_at=incident.next_due_at,
        clocks=tuple(clock.snapshot(now, calendars) for clock in incident.clocks),
        events=incident.events,
        version=incident.version,
        opened_as=incident.opened_as,
        customer_people=people,
        customer_told=incident.customer_told,
        customer_said=incident.customer_said,
    )
