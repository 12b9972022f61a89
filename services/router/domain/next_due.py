"""When something happens next: the promise that nothing stands still (POLICY.md, rule 6)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from services.router.domain.draft.draft import Draft
from services.router.domain.escalation import handoff, unsettled
from services.router.domain.lifecycle import late_trigger, pauses, sender_silence
from services.router.domain.muting import grouping, suppression
from services.router.domain.points import points

FOLLOW_UP: Final = timedelta(days=1)  # the net under every other moment
SOONEST: Final = timedelta(milliseconds=1)


def next_due(draft: Draft) -> datetime | None:
    """The next moment at which the incident is looked at; None only when it is closed."""
    if draft.incident.status == "closed":
        return None
    moments = list(_moments(draft))
    return max(min(moments, default=draft.now + FOLLOW_UP), draft.now + SOONEST)


def _moments(draft: Draft) -> Iterator[datetime]:
    incident = draft.incident
    if incident.stuck is not None:
        yield incident.stuck.retry_at
    if incident.status == "resolved":
        yield closes_at(draft)
        again = asks_again_at(draft)
        if again is not None:
            yield again
        yield from _shares(draft)
        return
    yield from pauses.moments(draft)
    yield from late_trigger.moments(draft)
    yield from suppression.moments(draft)
    yield from grouping.moments(draft)
    yield from handoff.moments(draft)
    yield from unsettled.moments(draft)
    yield from sender_silence.moments(draft)
    if incident.status == "acknowledged" and not incident.stands_still:
        yield forgotten_at(draft)
    if incident.chain.due is not None:
        yield incident.chain.due
    if incident.late is not None:
        return  # points and shares wait as well
    yield from _shares(draft)
    if not incident.is_muted:
        yield from _held_points(draft)


def _shares(draft: Draft) -> Iterator[datetime]:
    for clock in draft.incident.clocks:
        shares = points.unfired_shares(draft, clock) if clock.state == "running" else None
        moment = clock.reaches(shares[0], draft.calendars) if shares else None
        if moment is not None:
            yield moment


def _held_points(draft: Draft) -> Iterator[datetime]:
    for rule in draft.policy.points.rules:
        state = draft.incident.points.get(rule.where)
        moment = points.next_time(rule.spec, state) if state is not None else None
        if moment is not None:
            yield moment


def forgotten_at(draft: Draft) -> datetime:
    """When a taken incident that nobody touches is looked at again."""
    return (draft.incident.asked_at or draft.incident.touched_at) + draft.policy.spec.forgotten_after


def closes_at(draft: Draft) -> datetime:
    """When a resolved incident closes if nobody says anything.

    As soon as the same key would open a new one; with a `close`, not before its silence is over (rule 15).
    """
    close, window = draft.policy.spec.close, reopen_within(draft)
    return (draft.incident.resolved_at or draft.now) + (max(window, close.after) if close else window)


def asks_again_at(draft: Draft) -> datetime | None:
    """When the customer is asked to confirm once more: halfway; None where that is over or not wanted."""
    close = draft.policy.spec.close
    if close is None or draft.incident.confirm_asked != 1 or draft.incident.resolved_at is None:
        return None
    return draft.incident.resolved_at + close.after / 2


def reopens_until(draft: Draft) -> datetime:
    """Until when a trigger of the same key reopens a resolved incident; later it opens a new one."""
    return (draft.incident.resolved_at or draft.now) + reopen_within(draft)


def reopen_within(draft: Draft) -> timedelta:
    """How long a trigger of the same key reopens: what the integration says, else the policy (rule 15)."""
    integration = draft.live.spec.integrations.get(draft.incident.integration)
    said = integration.reopens_within if integration is not None else None
    return draft.policy.spec.reopen_within if said is None else said
