"""The decision: one incident, one signal, one time → the new record, the reasons, what to publish.

Pure: no I/O, no clock, no randomness. The same arguments give the same decision, byte for byte; `explain`,
`simulate` and replay stand on that.
"""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from services.router.domain import actions, closing, next_due
from services.router.domain.actions import by_sender
from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import sender, user
from services.router.domain.draft.wording import span
from services.router.domain.escalation import chain, delivery_reports, handoff, paged_people, unsettled
from services.router.domain.lifecycle import (
    late_trigger,
    opening,
    ownership,
    pauses,
    reopening,
    sender_events,
    sender_silence,
    unsuppress,
    worsening,
)
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision, Orphan
from services.router.domain.model.incident import Incident
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    RelatedMessage,
    Signal,
    TimerFired,
    caused_at,
)
from services.router.domain.muting import grouping, suppression
from services.router.domain.points import points
from services.router.domain.relations import messages
from services.router.domain.sla import clocks
from services.router.domain.stakeholders import subscriptions, updates
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
    if incident is not None:
        now = max(now, incident.decided_at)
    match signal:
        case EventReceived(event) if incident is not None and incident.merged:
            passed_on = _passed_on(_draft(incident, signal, context, bundle, now), event)
            return sender_silence.with_siblings(passed_on, incident, event, now)
        case EventReceived(event):
            decision = _on_event(incident, event, context, bundle, now)
            return sender_silence.with_siblings(decision, incident, event, now)
        case TimerFired():
            return _on_timer(_draft(incident, signal, context, bundle, now))
        case ActionTaken():
            return _on_action(_draft(incident, signal, context, bundle, now), signal)
        case DeliveryReported():
            return _on_report(_draft(incident, signal, context, bundle, now), signal)
        case RelatedMessage(message):
            return _on_related(_draft(incident, signal, context, bundle, now), message)
        case _:
            assert_never(signal)


def _draft(
    incident: Incident | None, signal: Signal, context: Context, bundle: CompiledBundle, now: datetime
) -> Draft:
    assert incident is not None, "only an event may meet no incident"
    draft = Draft(incident, bundle, context, now, caused_at=caused_at(signal))
    if isinstance(signal, EventReceived):
        sender_silence.spoke(draft, signal.event)
    elif incident.last_event_at is None:
        draft.set(last_event_at=incident.decided_at)  # of an earlier release: not later than that
    clocks.watch_again(draft)
    if incident.is_open:
        suppression.begin(draft)
    return draft


def _conclude(draft: Draft, *, shifts: bool = False) -> Decision:
    """Points, stakeholders, the next due time, and the invariant that nothing stands still.

    `shifts`: look whether a shift has ended – when all is asked that is asked anyhow, so that nobody who
    comes on is asked twice.
    """
    if draft.is_open and draft.initial.version:
        unsuppress.check(draft)
    sender_silence.begin_anew(draft)
    if draft.is_open and not draft.is_muted:
        points.check_conditions(draft)
    if shifts and draft.is_open:
        handoff.check(draft)
        unsettled.check(draft)
    worsening.check(draft)
    if draft.incident.suppressed_by:
        clocks.pause_or_go_on(draft)
    suppression.explain(draft)
    grouping.after(draft)
    messages.name_upstream(draft)
    updates.before_telling(draft)
    subscriptions.fan_out(draft)
    updates.after_telling(draft)
    paged_people.conclude(draft)
    closing.after(draft)
    unsettled.keep(draft)
    draft.set(next_due_at=next_due.next_due(draft))
    assert draft.incident.status == "closed" or draft.incident.next_due_at is not None
    return draft.finish()


# --- events -----------------------------------------------------------------------------------------------


def _on_event(
    incident: Incident | None,
    event: IncidentEvent,
    context: Context,
    bundle: CompiledBundle,
    now: datetime,
) -> Decision:
    if event.action == "change":
        return _orphaned(event, "a change event: recorded, notifies nobody")
    if event.action == "trigger":
        return _on_trigger(incident, event, context, bundle, now)
    if incident is None:
        return _orphaned(event, f"{event.action}: no incident has this key")
    draft = _draft(incident, EventReceived(event), context, bundle, now)
    if incident.is_open:
        _on_open(draft, event)
        return _conclude(draft)
    if event.action in {"update", "note"} and incident.status == "resolved":
        (sender_events.update if event.action == "update" else sender_events.note)(draft, event)
        return _conclude(draft)
    if event.action == "resolve" and event.occurred_at is not None:
        draft.set(source_time=late_trigger.latest(event, incident.source_time))
    return _recorded(draft, event, f"{event.action} of an incident that is {incident.status}: recorded only")


def _orphaned(event: IncidentEvent, reason: str) -> Decision:
    return Decision(None, orphan=Orphan(event, reason), changed=False)


def _passed_on(draft: Draft, event: IncidentEvent) -> Decision:
    messages.pass_on(draft, event)
    return draft.finish()


def _recorded(draft: Draft, event: IncidentEvent, text: str) -> Decision:
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    draft.say("recorded", text)
    return draft.finish()


def _on_trigger(
    incident: Incident | None,
    event: IncidentEvent,
    context: Context,
    bundle: CompiledBundle,
    now: datetime,
) -> Decision:
    if incident is None:
        return _open(event, context, now, "", context.remembered_resolve)
    draft = _draft(incident, EventReceived(event), context, bundle, now)
    if incident.is_open:
        sender_events.repeat(draft, event)
        return _conclude(draft)
    if incident.status == "resolved" and now < next_due.reopens_until(draft):
        window = span(next_due.reopen_within(draft))
        reopening.by_event(draft, event, why=f"triggered again within {window} of being resolved")
        return _conclude(draft)
    unconfirmed = _is_unconfirmed(draft)
    return _open(event, context, now, incident.id, incident.source_time, unconfirmed=unconfirmed)


def _is_unconfirmed(draft: Draft) -> bool:
    """Whether it is resolved and somebody is still to say so: then it hears that the problem came back."""
    return draft.incident.status == "resolved" and draft.policy.spec.close is not None


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
    draft = Draft(record, context.live, context, now, caused_at=event.received_at)
    opening.open_new(draft, event)
    if unconfirmed:
        draft.signal(previous, "came_back")
    return _conclude(draft)


def _on_open(draft: Draft, event: IncidentEvent) -> None:
    match event.action:
        case "update":
            sender_events.update(draft, event)
        case "note":
            sender_events.note(draft, event)
        case "acknowledge":
            sender_events.acknowledge(draft, event)
        case "resolve":
            sender_events.resolve(draft, event)
        case "unacknowledge" | "snooze" | "escalate" | "assign":
            by_sender.obey(draft, event)
        case _:
            raise AssertionError(f"{event.action} is handled before")


# --- timers -----------------------------------------------------------------------------------------------


def _on_timer(draft: Draft) -> Decision:
    incident, now = draft.incident, draft.now
    if incident.stuck is not None and now >= incident.stuck.retry_at:
        draft.set(stuck=None)
        draft.say("retried", f"decided again after an error: {incident.stuck.error}", Reason("rule 18"))
    if incident.status == "closed":
        return Decision(incident, changed=False)
    if incident.status == "resolved":
        closing.check(draft)
        return _conclude(draft)
    if sender_silence.resolves(draft):
        return _conclude(draft)
    pauses.check(draft)
    late_trigger.check(draft)
    messages.check(draft)
    points.check_shares(draft)
    position = draft.incident.chain
    if position.due is not None and now >= position.due:
        if delivery_reports.is_lost(draft):
            delivery_reports.step_past(draft)
        else:
            chain.time_out(draft)
    sender_silence.ask(draft)
    _ask_the_forgetful(draft)
    return _conclude(draft, shifts=True)


def _ask_the_forgetful(draft: Draft) -> None:
    """Taken and untouched: first the assignee is asked, then the level is paged again (rule 6)."""
    incident = draft.incident
    if incident.status != "acknowledged" or incident.stands_still or draft.now < next_due.forgotten_at(draft):
        return
    quiet = span(draft.policy.spec.forgotten_after)
    reason = Reason("rule 6: forgotten_after", values={"forgotten_after": quiet})
    if incident.asked_at is None and incident.assignee:
        draft.set(asked_at=draft.now)
        draft.say(
            "asked", f"untouched for {quiet}: {draft.directory.display(incident.assignee)} is asked", reason
        )
        text = f"You took it and nothing has happened for {quiet}. Are you still on it?"
        draft.tell(user(incident.assignee), "inform", text=text, reason="it is assigned to you")
        return
    draft.set(status="triggered", assignee="", asked_at=None, touched_at=draft.now)
    cause = f"it was taken and then untouched for {quiet}"
    chain.restart(draft, cause=cause, reason=reason)
    text = f"Others are asked now because {cause}: it is no longer assigned to you."
    ownership.tell_who_had_it(draft, incident.assignee, text)
    draft.change("escalated")


# --- people and reports -----------------------------------------------------------------------------------


def _on_action(draft: Draft, signal: ActionTaken) -> Decision:
    before = draft.initial
    refusal = actions.act(draft, signal)
    if refusal is not None:
        return Decision(before, refusal=refusal, changed=False)
    if not draft.entries:
        return Decision(before, changed=False)
    sender_silence.overruled(draft)
    return _conclude(draft)


def _on_related(draft: Draft, message: RelatedChanged) -> Decision:
    """What another incident said."""
    messages.told(draft, message)
    decision = _conclude(draft)
    if decision.entries or decision.signals or _differs(decision.incident, draft.initial):
        return decision
    return Decision(draft.initial, changed=False)


def _differs(after: Incident | None, before: Incident) -> bool:
    """Whether anything but the time of the decision is another one."""
    return after is not None and replace(after, decided_at=before.decided_at) != before


def _on_report(draft: Draft, signal: DeliveryReported) -> Decision:
    """What became of a page, or of a notice that could not be delivered."""
    report = signal.report
    if not report.page_id and report.outcome != "failed" and report.event != "call":
        return Decision(draft.incident, changed=False)
    if delivery_reports.take_in(draft, report) or draft.incident.suppressed_by != draft.initial.suppressed_by:
        return _conclude(draft)
    return draft.finish()  # nothing that conditions look at has changed
