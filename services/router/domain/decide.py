"""The decision: one incident, one signal, one time → the new state, the reasons, what to publish.

Pure: no I/O, no clock, no randomness. The same arguments give the same decision, byte for byte; `explain`,
dry runs and replay rely on it. The stages, and why each stands where it does, are the tables in `plan`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeAlias, assert_never

from msgspec.structs import replace

from services.router.domain import actions, closing, plan
from services.router.domain.actions import by_sender
from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import sender
from services.router.domain.draft.wording import span
from services.router.domain.escalation import delivery_reports
from services.router.domain.lifecycle import late_trigger, opening, reopening, sender_events, sender_silence
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision, Orphan
from services.router.domain.model.incident import Incident
from services.router.domain.model.related import CameBack
from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    RelatedMessage,
    Signal,
    TimerFired,
)
from services.router.domain.relations import messages
from shared.events import IncidentEvent, RelatedChanged


def decide(
    incident: Incident | None,
    signal: Signal,
    context: Context,
    bundle: CompiledBundle,
    now: datetime,
) -> Decision:
    """Decide what the signal means for the incident.

    `incident` is the newest one of the event's key, or None; `bundle` the one it started with (the live one
    when there is none yet). `now` is aware UTC; time never runs backwards for an incident.
    """
    if isinstance(signal, EventReceived):
        now = max(now, incident.decided_at) if incident is not None else now
        decision = _on_event(incident, signal.event, context, bundle, now)
        if signal.event.alert_group_over:
            return sender_silence.with_siblings(decision, incident, signal.event, now)
        return decision
    assert incident is not None, "only an event may meet no incident"
    acted = isinstance(signal, ActionTaken)
    draft = Draft(incident, bundle, context, max(now, incident.decided_at), acted=acted)
    _run(plan.BEFORE, draft)
    match signal:
        case TimerFired():
            return _on_timer(draft)
        case ActionTaken():
            return _on_action(draft, signal)
        case DeliveryReported():
            return _on_report(draft, signal)
        case RelatedMessage(message):
            return _on_related(draft, message)
        case _:
            assert_never(signal)


def _conclude(draft: Draft, stages: plan.Stages = plan.AFTER_ANYTHING_ELSE) -> Decision:
    """Run the closing stages and set the next due time: an open incident always has one (rule 6)."""
    _run(stages, draft)
    if draft.incident.status == "closed":
        return draft.finish(None)
    at = _next_moment(draft) or draft.now + plan.FOLLOW_UP
    return draft.finish(max(at, draft.now + plan.SOONEST))


# --- following the plan ---------------------------------------------------------------------------------


def _run(stages: plan.Stages, draft: Draft) -> None:
    """Run each stage that applies, in order."""
    for stage in stages:
        if stage.when(draft):
            stage.does(draft)


def _run_due(draft: Draft) -> bool:
    """Do what has fallen due; returns whether everything due was reached."""
    for due in plan.WHILE_OPEN if draft.is_open else plan.WHILE_RESOLVED:
        moment = due.moment
        if not moment.when(draft):
            continue
        at = draft.now if due.early else moment.at(draft)
        if at is not None and at <= draft.now:
            moment.act(draft)
            if due.alone:
                return False
    return True


def _next_moment(draft: Draft) -> datetime | None:
    """The earliest moment at which something is to happen as things stand."""
    earliest: datetime | None = None
    for moment in plan.OPEN_MOMENTS if draft.is_open else plan.RESOLVED_MOMENTS:
        if moment.when(draft):
            at = moment.at(draft)
            if at is not None and (earliest is None or at < earliest):
                earliest = at
    return earliest


# --- events -----------------------------------------------------------------------------------------------

Said: TypeAlias = Callable[[Draft, IncidentEvent], None]
SAID_WHILE_OPEN: Final[Mapping[str, Said]] = {
    "trigger": sender_events.repeat,
    "update": sender_events.update,
    "note": sender_events.note,
    "acknowledge": sender_events.acknowledge,
    "resolve": sender_events.resolve,
    **dict.fromkeys(("unacknowledge", "snooze", "escalate", "assign"), by_sender.obey),
}
SAID_WHILE_RESOLVED: Final[Mapping[str, Said]] = {
    "update": sender_events.update,
    "note": sender_events.note,
}


def _on_event(
    incident: Incident | None,
    event: IncidentEvent,
    context: Context,
    bundle: CompiledBundle,
    now: datetime,
) -> Decision:
    """Apply a sender's event to the incident, bring it back, or open another one."""
    merged = incident is not None and incident.merged
    if event.action == "change" and not merged:
        return _orphaned(event, "a change event: recorded, notifies nobody")
    if incident is None and event.action == "trigger":
        return _open(event, context, now, "", context.remembered_resolve)
    if incident is None:
        return _orphaned(event, f"{event.action}: no incident has this key")
    draft = Draft(incident, bundle, context, now, event=event)
    _run(plan.BEFORE, draft)
    if merged:
        messages.pass_on(draft, event)
        return draft.finish(draft.incident.next_due_at)
    said = SAID_WHILE_OPEN if draft.is_open else SAID_WHILE_RESOLVED if draft.is_resolved else {}
    does = said.get(event.action)
    if does is not None:
        does(draft, event)
        return _conclude(draft)
    return _came_back(draft, event) if event.action == "trigger" else _recorded(draft, event)


def _orphaned(event: IncidentEvent, reason: str) -> Decision:
    return Decision(None, orphan=Orphan(event, reason), changed=False)


def _recorded(draft: Draft, event: IncidentEvent) -> Decision:
    """The event changes nothing any more, but when its sender says it ended still counts (rule 16)."""
    incident = draft.incident
    if event.action == "resolve" and event.occurred_at is not None:
        draft.set(source_time=late_trigger.latest(event, incident.source_time))
    draft.actor = sender(event)
    draft.set(events=incident.events + 1)
    draft.say("recorded", f"{event.action} of an incident that is {incident.status}: recorded only")
    return draft.finish(draft.incident.next_due_at)


def _came_back(draft: Draft, event: IncidentEvent) -> Decision:
    """Triggered again after it was resolved or closed: reopen it, or open another one."""
    if draft.is_resolved and draft.now < closing.reopens_until(draft):
        window = span(closing.reopen_within(draft))
        reopening.by_event(draft, event, why=f"triggered again within {window} of being resolved")
        return _conclude(draft)
    before = draft.incident
    # Whoever was asked to confirm the solution hears that the problem came back.
    unconfirmed = draft.is_resolved and draft.policy.spec.close is not None
    return _open(event, draft.context, draft.now, before.id, before.source_time, unconfirmed=unconfirmed)


def _open(
    event: IncidentEvent,
    context: Context,
    now: datetime,
    previous: str,
    resolved: datetime | None,
    *,
    unconfirmed: bool = False,
) -> Decision:
    record = opening.new_record(event, context.live.hash, now, previous, resolved)
    draft = Draft(record, context.live, context, now, event=event)
    opening.open_new(draft, event)
    if unconfirmed:
        draft.send(previous, CameBack())
    return _conclude(draft)


# --- timers -----------------------------------------------------------------------------------------------


def _on_timer(draft: Draft) -> Decision:
    """Do what is due."""
    if draft.incident.status == "closed":
        return Decision(draft.incident, changed=False)
    looked_at_all = _run_due(draft)
    return _conclude(draft, plan.AFTER_A_TIMER if looked_at_all else plan.AFTER_ANYTHING_ELSE)


# --- people, other incidents, reports ---------------------------------------------------------------------


def _on_action(draft: Draft, signal: ActionTaken) -> Decision:
    before = draft.initial
    refusal = actions.act(draft, signal)
    if refusal is not None:
        return Decision(before, refusal=refusal, changed=False)
    if not draft.entries:
        return Decision(before, changed=False)
    return _conclude(draft)


def _on_related(draft: Draft, message: RelatedChanged) -> Decision:
    """Apply another incident's message."""
    messages.handle(draft, message)
    decision = _conclude(draft)
    if decision.entries or decision.outgoing or _differs(decision.incident, draft.initial):
        return decision
    return Decision(draft.initial, changed=False)


def _differs(after: Incident | None, before: Incident) -> bool:
    """Whether anything but the time of the decision differs."""
    return after is not None and replace(after, decided_at=before.decided_at) != before


def _on_report(draft: Draft, signal: DeliveryReported) -> Decision:
    """Apply a report: of a page, or of a notice that could not be delivered."""
    report = signal.report
    if not report.page_id and report.outcome != "failed" and report.event != "call":
        return Decision(draft.incident, changed=False)
    if delivery_reports.record(draft, report) or draft.incident.suppressed_by != draft.initial.suppressed_by:
        return _conclude(draft)
    return draft.finish(draft.incident.next_due_at)  # nothing that conditions see has changed
