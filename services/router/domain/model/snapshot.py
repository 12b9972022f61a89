"""The incident as others see it: in every message, and in the API."""

from datetime import datetime

from services.router.domain.model.clock import LIVE, Clock
from services.router.domain.model.incident import Incident
from shared.events import ClockSnapshot, IncidentSnapshot
from shared.policy.calendars.open_hours import Calendars


def _clock_snapshot(clock: Clock, now: datetime, calendars: Calendars) -> ClockSnapshot:
    elapsed = clock.elapsed(now, calendars)
    broken = clock.breached and (clock.state not in LIVE or clock.is_used_up(elapsed))
    return ClockSnapshot(
        target=clock.target,
        state="breached" if broken and clock.state in LIVE else clock.state,
        goal_seconds=clock.goal,
        elapsed_seconds=round(elapsed, 3),
        due_at=clock.reaches(1.0, calendars),
        breached=clock.breached or clock.breaches > 0,
        broken_before=clock.times_broken > broken,
        breaches=clock.times_broken,
        by=clock.by,
    )


def snapshot(incident: Incident, level_name: str, now: datetime, calendars: Calendars) -> IncidentSnapshot:
    """The incident as the API and every message show it; `calendars` of the policy it started with."""
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
        waiting_for=incident.waiting_for,
        waiting_until=incident.waiting.until if incident.waiting is not None else None,
        snoozed_until=incident.snooze.until if incident.snooze is not None else None,
        decision=incident.approval.decision if incident.approval is not None else "",
        decided_by=incident.approval.by if incident.approval is not None else "",
        rating=incident.confirmed.rating if incident.confirmed is not None else 0,
        parent=incident.parent,
        members=incident.members,
        members_open=incident.members_open,
        suppressed_by=incident.suppressed_by,
        suppressed_until=incident.suppression.until if incident.suppression is not None else None,
        may_follow_from=incident.may_follow_from,
        reopened=incident.reopened,
        opened_at=incident.opened_at,
        acknowledged_at=incident.acknowledged_at,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
        last_event_at=incident.last_event_at,
        next_due_at=incident.next_due_at,
        clocks=tuple(_clock_snapshot(clock, now, calendars) for clock in incident.clocks),
        events=incident.events,
        version=incident.version,
        opened_as=incident.opened_as,
    )
