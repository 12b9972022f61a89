"""From triggered to closed: what events and people do to the status (POLICY.md, rules 3, 6, 9, 14–16)."""

from datetime import datetime, timedelta
from typing import Final

from services.router.domain.draft.draft import LADDER, Draft, derived_id
from services.router.domain.draft.names import sender, user
from services.router.domain.draft.recipients import Found
from services.router.domain.escalation import chain, grace, handoff, paged_people
from services.router.domain.lifecycle import classify, event_fields, late_trigger, pauses
from services.router.domain.model.incident import Chain, Incident
from services.router.domain.model.reason import Reason
from services.router.domain.muting import grouping, suppression
from services.router.domain.sla import by_person, clocks
from shared.events import LOOKING, IncidentEvent

WAITING_ENDS_AFTER: Final = timedelta(days=1)  # rule 6: waiting needs an end; an event names none
_COMPETENCE: Final = frozenset({"priority", "kind", "attributes"})


def new_record(
    event: IncidentEvent, policy_hash: str, now: datetime, previous: str, resolved: datetime | None = None
) -> Incident:
    """The record of a new incident, before anything was decided about it (version 0).

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
    _notes(draft, event)
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
        pauses.wait(draft, event.waiting_for, draft.now + WAITING_ENDS_AFTER)
    chosen = draft.bundle.routes.first(draft.activation)
    if chosen.rule is None:  # the loader promises a last route that matches everything
        raise LookupError("no route matches: the last route must match everything")
    route = chosen.rule.spec
    reason = chosen.reason(draft.activation)
    chain.enter(
        draft,
        route.policy,
        start_at=route.start_at,
        cause="",
        reason=reason,
        page=not draft.incident.stands_still,
        opening=True,
    )
    if draft.incident.stands_still == "held":
        late_trigger.stand_back(draft)


def _notes(draft: Draft, event: IncidentEvent) -> None:
    for note in event.notes:
        draft.say("intake", note)


def refresh(draft: Draft, event: IncidentEvent, *, moves: bool = True) -> set[str]:
    """Take over what the event says, and ask again for tier, priority, SLA and (`moves`) competence.

    Waiting comes first, so that nobody is paged for what is about to wait. Returns what changed.
    """
    _notes(draft, event)
    before = draft.incident
    changed = event_fields.merge_fields(draft, event)
    if not draft.incident.is_open:
        return changed
    if event.waiting_for:
        pauses.wait(draft, event.waiting_for, draft.now + WAITING_ENDS_AFTER)
    if changed or draft.bundle.restless:
        _classify(draft, changed)
    if "priority" in changed and not event.waiting_for:
        pauses.end(draft, "the priority rose")
    if moves and changed & _COMPETENCE:
        classify.competence(draft, before)
    if event.waiting_for == "" and draft.incident.waiting_for:
        pauses.resume(draft, "the sender said so")
    return changed


def _classify(draft: Draft, changed: set[str]) -> None:
    before = draft.incident.priority
    if changed:
        classify.set_tier(draft)
    classify.set_priority(draft)
    classify.choose_sla(draft)
    if draft.incident.priority < before:
        changed.add("priority")


def repeat(draft: Draft, event: IncidentEvent) -> None:
    """The same trigger again: it counts and refreshes, and pages nobody by itself (rule 14)."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    is_late = late_trigger.before_the_resolve(event, draft.incident.source_time) if _has_ended(draft) else ""
    if draft.incident.ended_itself:
        draft.set(ended_itself=False)
    changed = refresh(draft, event)
    text = f"repeated ({draft.incident.events} events)"
    if is_late:
        text += f"; {is_late}"
    if changed:
        text += f"; changed: {', '.join(sorted(changed))}"
        draft.change("changed")
    draft.say("repeated", text, Reason("rule 14: a repeat never pages again by itself"))
    late_trigger.repeated(draft, event)


def _has_ended(draft: Draft) -> bool:
    """Whether its sender said that it is over, so that a trigger's time is held against that (rule 16)."""
    return draft.incident.ended_itself or draft.incident.late is not None


def update(draft: Draft, event: IncidentEvent) -> None:
    """Change fields; start or end waiting."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    draft.touch()
    changed = refresh(draft, event)
    text = f"changed: {', '.join(sorted(changed))}" if changed else "updated, nothing changed"
    draft.say("updated", text)
    draft.change("changed")


def acknowledge(draft: Draft, event: IncidentEvent) -> None:
    """A machine acknowledges, perhaps with news (rule 3)."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    if draft.incident.status == "triggered":
        rest(draft, draft.actor)
    else:
        draft.say("recorded", "acknowledged again by a machine: nothing changes")
    refresh(draft, event)


def note(draft: Draft, event: IncidentEvent) -> None:
    """A sender's remark."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    draft.say("note", event.description or event.title or "(empty note)")
    _notes(draft, event)


def take(draft: Draft, user: str, *, by: str) -> None:
    """A person takes it: assignee, levels rest, clock fulfilled, unsent pages called off (rule 3)."""
    person = by_person.taken(draft, by=by)
    late_trigger.over(draft)
    draft.set(status="acknowledged", assignee=user, acknowledged_at=draft.now, by_machine=not person)
    draft.touch()
    draft.say(
        "taken", f"taken by {draft.directory.display(user)}", Reason("rule 3: taking it rests the levels"), by
    )
    clocks.fulfil(draft, "acknowledge", person=person)
    chain.rest(draft)
    handoff.begin(draft)
    draft.settle("taken", user)
    draft.change("taken")


def assign(draft: Draft, name: str, *, by: str, reason: Reason) -> None:
    """Somebody else says who has it: they are asked to look, and whoever had it follows on (rule 13).

    It counts as taken. When no page to the new assignee arrives, the next level joins (rule 7).
    """
    had_it, display = draft.incident.assignee, draft.directory.display
    person, since = by_person.taken(draft, by=by), draft.incident.acknowledged_at
    if since is None:
        draft.set(acknowledged_at=draft.now, by_machine=not person)
    late_trigger.over(draft)
    draft.set(status="acknowledged", assignee=name)
    draft.touch()
    instead = f" instead of {display(had_it)}" if had_it else ""
    draft.say("taken", f"assigned to {display(name)}{instead}", reason, by)
    clocks.fulfil(draft, "acknowledge", person=person)
    chain.rest(draft)
    handoff.begin(draft)
    draft.settle("taken", name)
    draft.pages[:] = [page for page in draft.pages if page.through in LOOKING]  # asked in this very decision
    draft.change("taken")
    if f"user:{name}" != by and not draft.incident.is_muted:
        why = f"it was assigned to you by {_by(draft, by)}"
        draft.forget_step()
        draft.page(Found(user(name), why), through="assignee", why=why, joins=True)
        draft.say("paged", f"{display(name)} is paged: {why}", reason)
    draft.follow(had_it)


def _by(draft: Draft, actor: str) -> str:
    kind, _, name = actor.partition(":")
    return draft.directory.display(name) if kind == "user" else actor


def give_back(draft: Draft, *, cause: str, reason: Reason) -> None:
    """Nobody has it any more: the level on which it stands is asked again (rule 3)."""
    had_it = draft.incident.assignee
    draft.set(status="triggered", assignee="", duty=None)
    draft.touch()
    draft.say("given_back", cause, reason)
    draft.change("unacknowledged")
    if had_it in draft.live.spec.users and f"user:{had_it}" != draft.actor:
        draft.tell(user(had_it), "inform", text=f"{cause}.", reason="it was assigned to you")
    if draft.incident.stands_still:
        draft.set_chain(due=None, state="climbing")
        return
    chain.restart(draft, cause=cause, reason=reason)


def tell_who_had_it(draft: Draft, name: str, text: str) -> None:
    """Others are asked now: whoever had it hears that, unless they did it themselves or are asked again."""
    asked = any(page.recipient == user(name) for page in draft.pages)
    if name in draft.live.spec.users and f"user:{name}" != draft.actor and not asked:
        draft.tell(user(name), "inform", text=text, reason="it was assigned to you")


def tell_stakeholders(draft: Draft, text: str, *, person: bool = False) -> None:
    """An update: whoever subscribed to updates reads it (rule 8: it counts for `respond` and `update`)."""
    draft.touch()
    draft.update_text, draft.by_person = text, draft.by_person or person
    draft.say("update", text)
    draft.change("update")


def rest(draft: Draft, by: str) -> None:
    """A machine acknowledges: no assignee, the levels rest for a while (rule 3)."""
    by_person.taken(draft, by=by)
    late_trigger.over(draft)
    draft.set(status="acknowledged", acknowledged_at=draft.now, by_machine=True)
    draft.touch()
    chain.rest(draft)
    due = draft.incident.chain.due
    until = f" until {due:%H:%M:%S} UTC" if due else ""
    draft.say("taken", f"acknowledged by a machine: the levels rest{until}", Reason("rule 3"), by)
    clocks.fulfil(draft, "acknowledge", person=False)
    draft.settle("taken", by)
    draft.change("taken")


def resolved_by_sender(draft: Draft, event: IncidentEvent) -> None:
    """Whoever reported it says that it is over."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    _notes(draft, event)
    event_fields.merge_fields(draft, event)
    resolved = late_trigger.latest(event, draft.incident.source_time)
    if grouping.keeps_open(draft):
        draft.set(source_time=resolved)
        return
    resolve(draft, by=draft.actor, text="resolved by its sender", source_time=resolved)


def resolve(draft: Draft, *, by: str, text: str, source_time: datetime | None, person: bool = False) -> None:
    """Solved, by a person or not: clocks fulfilled, pages called off, whoever was asked hears of it."""
    draft.by_person = draft.by_person or person
    avoided, held = grace.is_enough(draft.incident, draft.policy), draft.incident.late
    draft.set(
        status="resolved",
        resolved_at=draft.now,
        avoided=avoided,
        solved_at=chain.solved_at(draft),
        waiting_for="",
        waiting_until=None,
        snoozed_until=None,
        snoozed_by="",
        source_time=source_time,
        late=None,
    )
    draft.touch()
    draft.say("resolved", text, None, by)
    if held is not None:
        late_trigger.solved(draft, held)
    if avoided:
        grace.tell_avoided(draft)
    clocks.resolved(draft, person=person)
    draft.set_chain(due=None, state="resting")
    draft.settle("resolved", by)
    draft.change("resolved")
    if held is not None:
        return  # nobody heard that it came back
    for name in dict.fromkeys([draft.incident.assignee, *draft.incident.followers]):
        if name in {"", by.removeprefix("user:")} or paged_people.has(draft, name):
            continue  # whoever was paged hears with all the others who were
        if name in draft.live.spec.users:
            told = draft.sentence("resolved")
            draft.tell(user(name), "resolved", text=told, reason="you have it or follow it")


def close(draft: Draft, *, why: str, reason: Reason) -> None:
    """The end: nothing is due any more."""
    draft.set(status="closed", closed_at=draft.now)
    draft.set_chain(due=None, state="resting")
    draft.say("closed", f"closed: {why}", reason)
    clocks.closed(draft)
    draft.change("closed")
