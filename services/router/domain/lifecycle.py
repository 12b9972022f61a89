"""From triggered to closed: what events and people do to the status (POLICY.md, rules 3, 6, 9, 14–16)."""

from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from services.router.domain import chain, classify, clocks
from services.router.domain.decision import Reason
from services.router.domain.directory import Found
from services.router.domain.draft import Draft, derived_id
from services.router.domain.incident import Chain, Clock, Incident
from shared.events import IncidentEvent, Recipient

WAITING_ENDS_AFTER: Final = timedelta(days=1)  # rule 6: waiting needs an end; an event names none
_COMPETENCE: Final = frozenset({"priority", "kind", "attributes"})


def new_record(event: IncidentEvent, policy_hash: str, now: datetime, previous: str) -> Incident:
    """The record of a new incident, before anything was decided about it (version 0)."""
    return Incident(
        id=derived_id("incident", event.event_id),
        integration=event.integration,
        dedup_key=event.dedup_key,
        policy_hash=policy_hash,
        title=event.title or event.dedup_key,
        description=event.description or "",
        kind=event.kind or "incident",
        source=event.source or "",
        severity=event.severity,
        impact=event.impact or 0,
        urgency=event.urgency or 0,
        labels=event.labels,
        attributes=event.attributes,
        links=event.links,
        said_tier=event.tier or "",
        service=event.service or "",
        opened_at=now,
        touched_at=now,
        decided_at=now,
        chain=Chain(policy="", since=now),
        source_time=event.occurred_at,
        previous=previous,
        events=1,
        version=0,
    )


def open_new(draft: Draft, event: IncidentEvent) -> None:
    """Open it: customer, tier, priority, SLA, route, first level."""
    draft.actor = sender(event)
    draft.say("opened", f"opened: {draft.incident.title}", Reason("rule 15: no open incident has this key"))
    draft.change("opened")
    _notes(draft, event)
    draft.actor = "ladder"
    if draft.incident.previous:
        draft.say("linked", f"the same key had incident {draft.incident.previous} before")
    classify.name_customer(draft, event.customer or "")
    classify.set_tier(draft)
    classify.set_priority(draft)
    classify.choose_sla(draft)
    chosen = draft.policy.routes.first(draft.activation)
    if chosen.rule is None:  # the loader promises a last route that matches everything
        raise LookupError("no route matches: the last route must match everything")
    route = chosen.rule.spec
    chain.enter(draft, route.policy, start_at=route.start_at, reason=chosen.reason(draft.activation))
    if event.waiting_for:
        wait(draft, event.waiting_for, draft.now + WAITING_ENDS_AFTER)


def sender(event: IncidentEvent) -> str:
    """How a sender appears in a timeline."""
    return f"integration:{event.integration}"


def _notes(draft: Draft, event: IncidentEvent) -> None:
    for note in event.notes:
        draft.say("intake", note)


def merge_fields(draft: Draft, event: IncidentEvent) -> set[str]:
    """Take over what the event says; returns the names of the fields that changed."""
    incident = draft.incident
    said: dict[str, Any] = {
        name: value
        for name in ("title", "description", "kind", "source", "severity", "impact", "urgency", "service")
        if (value := getattr(event, name)) is not None
    }
    if event.tier is not None:
        said["said_tier"] = event.tier
    if event.labels:
        said["labels"] = {**incident.labels, **event.labels}
    if event.attributes:
        said["attributes"] = {**incident.attributes, **event.attributes}
    if event.links:
        said["links"] = tuple(dict.fromkeys((*incident.links, *event.links)))[:50]
    differing = {name: value for name, value in said.items() if getattr(incident, name) != value}
    if differing:
        draft.set(**differing)
    if event.customer is not None and event.customer not in {incident.customer, incident.customer_name}:
        classify.name_customer(draft, event.customer)
        differing["customer"] = event.customer
    return set(differing)


def refresh(draft: Draft, event: IncidentEvent) -> set[str]:
    """Take over fields and ask again for tier, priority, SLA and competence; returns what changed."""
    _notes(draft, event)
    changed = merge_fields(draft, event)
    if not changed or not draft.incident.is_open:
        return changed
    before = draft.incident.priority
    classify.set_tier(draft)
    classify.set_priority(draft)
    classify.choose_sla(draft)
    if draft.incident.priority < before:
        changed.add("priority")
        if draft.incident.waiting_for:
            resume(draft, "the priority rose")
    if changed & _COMPETENCE:
        classify.competence(draft)
    return changed


def repeat(draft: Draft, event: IncidentEvent) -> None:
    """The same trigger again: it counts and refreshes, and pages nobody by itself (rule 14)."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1, source_time=event.occurred_at or draft.incident.source_time)
    changed = refresh(draft, event)
    text = f"repeated ({draft.incident.events} events)"
    if changed:
        text += f"; changed: {', '.join(sorted(changed))}"
        draft.change("changed")
    draft.say("repeated", text, Reason("rule 14: a repeat never pages again by itself"))


def update(draft: Draft, event: IncidentEvent) -> None:
    """Change fields; start or end waiting."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    draft.touch()
    changed = refresh(draft, event)
    if event.waiting_for and draft.incident.is_open:
        wait(draft, event.waiting_for, draft.now + WAITING_ENDS_AFTER)
    elif event.waiting_for == "" and draft.incident.waiting_for:
        resume(draft, "the sender said so")
    text = f"changed: {', '.join(sorted(changed))}" if changed else "updated, nothing changed"
    draft.say("updated", text)
    draft.change("changed")


def note(draft: Draft, event: IncidentEvent) -> None:
    """A sender's remark."""
    draft.actor = sender(event)
    draft.set(events=draft.incident.events + 1)
    draft.say("note", event.description or event.title or "(empty note)")
    _notes(draft, event)


def wait(draft: Draft, party: str, until: datetime) -> None:
    """Waiting stops the levels, and the clocks that say so (rule 9)."""
    incident = draft.incident
    if incident.waiting_for == party:
        draft.set(waiting_until=until)
        return
    if incident.waiting_for:
        resume(draft, f"it waits for {party} now")
    for clock in draft.incident.clocks:
        if party in clock.pause_while and clock.state == "running":
            _put(draft, clock.target, clocks.pause(clock, draft.now))
            draft.say("pause", f"clock {clock.target} pauses", Reason(f"slas {clock.sla}.pause_while"))
    draft.set(waiting_for=party, waiting_until=until)
    draft.set_chain(due=None)
    if draft.incident.status == "triggered":
        draft.settle("waiting", draft.actor)
    draft.say(
        "waiting", f"waiting for {party}, until {until:%Y-%m-%d %H:%M} UTC at the latest", Reason("rule 9")
    )
    draft.change("waiting")


def resume(draft: Draft, why: str) -> None:
    """The waiting is over: paused clocks go on, the level that stood still has its full time again."""
    party = draft.incident.waiting_for
    for clock in draft.incident.clocks:
        if clock.state == "paused":
            _put(draft, clock.target, clocks.resume(clock, draft.now))
            draft.say("resume", f"clock {clock.target} goes on")
    draft.set(waiting_for="", waiting_until=None)
    draft.say("resumed", f"no longer waiting for {party}: {why}", Reason("rule 9"))
    draft.change("resumed")
    if draft.incident.status == "acknowledged":
        chain.rest(draft)
    elif draft.incident.chain.due is None:
        chain.restart(draft, cause=f"the waiting for {party} is over", reason=Reason("rule 9"))


def _put(draft: Draft, target: str, clock: Clock) -> None:
    draft.set(clocks=clocks.changed(draft.incident.clocks, target, clock))


def fulfil(draft: Draft, target: str) -> None:
    """The clock's event happened."""
    for clock in draft.incident.clocks:
        if clock.target == target and clock.state in {"running", "paused"}:
            done = clocks.fulfil(clock, draft.now)
            _put(draft, target, done)
            taken = chain.span(timedelta(seconds=done.elapsed(draft.now)))
            late = ", after its breach" if done.breached else ""
            goal = chain.span(timedelta(seconds=done.goal))
            draft.say(
                "fulfil", f"clock {target} is fulfilled after {taken} of {goal}{late}", Reason("rule 8")
            )


def take(draft: Draft, user: str, *, by: str) -> None:
    """A person takes it: assignee, levels rest, clock fulfilled, unsent pages called off (rule 3)."""
    draft.set(status="acknowledged", assignee=user, acknowledged_at=draft.now)
    draft.touch()
    draft.say(
        "taken", f"taken by {draft.directory.display(user)}", Reason("rule 3: taking it rests the levels"), by
    )
    fulfil(draft, "acknowledge")
    chain.rest(draft)
    draft.settle("taken", user)
    draft.change("taken")


def rest(draft: Draft, by: str) -> None:
    """A machine acknowledges: no assignee, the levels rest for a while (rule 3)."""
    draft.set(status="acknowledged", acknowledged_at=draft.now)
    draft.touch()
    chain.rest_for_machine(draft)
    due = draft.incident.chain.due
    until = f" until {due:%H:%M:%S} UTC" if due else ""
    draft.say("taken", f"acknowledged by a machine: the levels rest{until}", Reason("rule 3"), by)
    fulfil(draft, "acknowledge")
    draft.settle("taken", by)
    draft.change("taken")


def resolve(draft: Draft, *, by: str, text: str, source_time: datetime | None) -> None:
    """Solved: clocks fulfilled, pages called off, whoever was asked hears of it."""
    asked = [page for page in draft.incident.pages if page.user and page.name != by]
    draft.set(
        status="resolved",
        resolved_at=draft.now,
        waiting_for="",
        waiting_until=None,
        source_time=source_time,
    )
    draft.touch()
    draft.say("resolved", text, None, by)
    for target in ("acknowledge", "resolve"):
        fulfil(draft, target)
    draft.set_chain(due=None, state="resting")
    draft.settle("resolved", by)
    draft.change("resolved")
    concerned = dict.fromkeys(
        [*(page.name for page in asked), draft.incident.assignee, *draft.incident.followers]
    )
    for name in concerned:
        if name and name != by and name in draft.live.bundle.users:
            draft.tell(user(name), "resolved", text=text, reason="you were asked to take it or follow it")


def user(name: str) -> Recipient:
    """A user as a recipient."""
    return Recipient(kind="user", name=name)


def reopen(draft: Draft, event: IncidentEvent | None, *, why: str) -> None:
    """Triggered again: the clocks go on, and whoever had it is paged first (rule 15)."""
    incident = draft.incident
    draft.set(
        status="triggered",
        reopened=incident.reopened + 1,
        resolved_at=None,
        closed_at=None,
        acknowledged_at=None,
        points={},
        clocks=tuple(
            clocks.reopen(clock, draft.now) if clock.target == "resolve" else clock
            for clock in incident.clocks
        ),
        source_time=event.occurred_at if event else None,
    )
    draft.touch()
    draft.say("reopened", f"reopened ({draft.incident.reopened}): {why}", Reason("rule 15"))
    draft.change("reopened")
    if event is not None:
        draft.set(events=draft.incident.events + 1)
        refresh(draft, event)
    _page_assignee_or_level(draft)


def _page_assignee_or_level(draft: Draft) -> None:
    position, ladder = draft.incident.chain, draft.ladder
    known = draft.incident.assignee
    draft.set(assignee="")
    start = position.lowest
    if known and known in draft.live.bundle.users:
        window = ladder.rungs[min(start, len(ladder.rungs) - 1)].spec.acknowledge_within
        draft.set(
            chain=replace(
                position, level=start, round=1, since=draft.now, state="assignee", due=draft.now + window
            )
        )
        draft.set(pages=())
        draft.page(
            Found(user(known), "you had it before it was reopened"),
            through="assignee",
            why="you had it before it was reopened",
            act_by=draft.now + window,
            otherwise=f"level {ladder.level_name(start)} is paged",
        )
        name = draft.directory.display(known)
        draft.say(
            "paged", f"{name} is paged first, who had it; {chain.span(window)} to take it", Reason("rule 15")
        )
        draft.change("paged")
        return
    draft.set_chain(round=1, level=start)
    chain.climb(draft, start, 1, cause="it was reopened", reason=Reason("rule 15"))


def close(draft: Draft, *, why: str, reason: Reason) -> None:
    """The end: nothing is due any more."""
    draft.set(status="closed", closed_at=draft.now)
    draft.set_chain(due=None, state="resting")
    draft.say("closed", f"closed: {why}", reason)
    draft.change("closed")
