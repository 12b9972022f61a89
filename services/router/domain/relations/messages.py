"""What one incident hears from another: about its group, its cause, what it was merged into.

Between two incidents messages may arrive late and in any order: each says what was true when it was sent, and
one that no longer fits is answered (`refused`) or ignored.
"""

from datetime import datetime
from typing import Final, assert_never

from msgspec.structs import replace

from services.router.domain import closing
from services.router.domain.draft.draft import LADDER, Draft
from services.router.domain.draft.names import sender, user
from services.router.domain.draft.stages import Moment
from services.router.domain.lifecycle import (
    classify,
    event_fields,
    field_changes,
    late_trigger,
    reopening,
    sender_silence,
    transitions,
    unsuppress,
)
from services.router.domain.model import related
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Acknowledged, Grouped, Members, Merged
from services.router.domain.model.reason import Reason
from services.router.domain.model.related import (
    Absorbed,
    CameBack,
    CauseEnded,
    Changed,
    EndedUnder,
    Joined,
    Left,
    Look,
    Moved,
    Over,
    Refused,
    Repeated,
    Stands,
    Unnamed,
)
from services.router.domain.muting import grouping
from services.router.domain.sla import by_person, clocks
from shared.events import IncidentEvent, RelatedChanged

_RULE: Final = Reason("rule 11: grouped incidents have no ladder of their own")
_HIGHEST: Final = "rule 11: the parent has the highest priority among them"
_LISTED_EACH: Final = 50  # members listed in the parent's timeline; beyond that every hundredth
_LISTED_EVERY: Final = 100
_SUBSCRIBERS_KEPT: Final = 200
_SAID_KEPT: Final = 1024  # as long as a title


def handle(draft: Draft, message: RelatedChanged) -> None:
    """Apply the message."""
    draft.told_by = message.incident_id
    said = related.told_in(message)
    match said:
        case Joined() | Changed() | EndedUnder() | Left():
            _to_parent(draft, message, said)
        case Over() | Stands() | Moved() | Refused():
            _to_member(draft, message, said)
        case Absorbed():
            _absorbed(draft, message, said)
        case Repeated():
            _repeated(draft, message, said)
        case CameBack():
            closing.came_back(draft, message)
        case Unnamed():
            sender_silence.unnamed(draft, said)
        case Look() | CauseEnded():
            pass  # every decision checks the suppression, and this one is made for that
        case None:
            pass  # of a newer release
        case _:
            assert_never(said)


# --- to a parent ------------------------------------------------------------------------------------------


def _to_parent(draft: Draft, message: RelatedChanged, said: related.ToParent) -> None:
    match said:
        case Joined():
            _joined(draft, message, said)
        case Changed():
            _changed(draft, message, said)
        case EndedUnder():
            _ended(draft, message)
        case Left():
            _left(draft, message, said)
        case _:
            assert_never(said)


def _joined(draft: Draft, message: RelatedChanged, said: Joined) -> None:
    incident = draft.incident
    if not incident.is_open or incident.parent:
        draft.send(message.incident_id, Refused())
        return
    group = incident.group or Members()
    draft.set(group=replace(group, total=group.total + (not said.again), open=group.open + 1))
    incident = draft.incident
    if _is_listed(incident.members):
        verb = "stands again" if said.again else "joined"
        more = f"; {grouping.count(incident.members)} in all" if incident.members > 1 else ""
        draft.say("joined", f"{message.title} ({message.incident_id}) {verb}{more}", _RULE)
    if not said.late:
        _counts(draft, message)


def _counts(draft: Draft, message: RelatedChanged) -> None:
    """A member that is not held (any more): its priority counts for the group, and the owner hears of it."""
    if draft.incident.late is not None:
        late_trigger.end(draft, f"{message.title} joined it")
    _rise(draft, message)
    incident = draft.incident
    if incident.status == "acknowledged":
        draft.send(message.incident_id, grouping.who_has(incident))
        _tell_of_joins(draft, message.title)


def _is_listed(number: int) -> bool:
    return number <= _LISTED_EACH or number % _LISTED_EVERY == 0


def _tell_of_joins(draft: Draft, title: str) -> None:
    """Tell whoever has the parent who joined, at most every five minutes; those in between are counted."""
    incident = draft.incident
    if not incident.assignee:
        return
    group = incident.group or Members()
    untold = group.untold + (1 if title else 0)
    if group.told_at is not None and draft.now < group.told_at + grouping.BETWEEN_NOTICES:
        draft.set(group=replace(group, untold=untold))
        return
    draft.set(group=replace(group, untold=0, told_at=draft.now))
    what = title if untold == 1 and title else grouping.count(untold)
    text = f"{what} joined what you have; {grouping.count(incident.members_open)} stand grouped under it."
    draft.notify(user(incident.assignee), "inform", text=text, reason="it is assigned to you")


def _joins_told_at(draft: Draft) -> datetime | None:
    group = draft.incident.group
    told = group.told_at if group is not None and group.untold else None
    return told + grouping.BETWEEN_NOTICES if told is not None else None


def _tell_of_those_between(draft: Draft) -> None:
    _tell_of_joins(draft, "")


JOINS_TOLD: Final = Moment(
    "whoever has it hears who joined",
    _joins_told_at,
    _tell_of_those_between,
    when=lambda draft: draft.incident.group and draft.incident.assignee,
)


def _rise(draft: Draft, message: RelatedChanged, rule: str = _HIGHEST) -> None:
    """The parent has the highest priority among them (rules 11 and 14)."""
    if draft.is_open and 0 < message.priority < draft.incident.priority:
        field_changes.change(draft, {"priority": message.priority}, reason=Reason(rule), by_person=False)


def _changed(draft: Draft, message: RelatedChanged, said: Changed) -> None:
    if said.counts and draft.is_open and not draft.incident.parent:
        _counts(draft, message)
    else:
        _rise(draft, message)


def _ended(draft: Draft, message: RelatedChanged) -> None:
    incident, group = draft.incident, draft.incident.group
    if not incident.is_open or group is None or not group.open:
        return
    left = group.open - 1
    draft.set(group=replace(group, open=left))
    if left == 0 or _is_listed(left):
        standing = f"{left:,} still stand{'s' if left == 1 else ''}" if left else "none of them stands"
        draft.say("ended", f"{message.title} ({message.incident_id}) is over; {standing}", _RULE)
    if left == 0 and incident.ended_itself:
        text = "resolved: its sender said so, and the last incident grouped under it is over"
        transitions.resolve(draft, by=LADDER, text=text, source_time=incident.source_time)  # the sender's own


def _left(draft: Draft, message: RelatedChanged, said: Left) -> None:
    if said.open:
        _ended(draft, message)
    group = draft.incident.group
    if group is not None:
        draft.set(group=replace(group, total=max(0, group.total - 1)))


# --- to a member ------------------------------------------------------------------------------------------


def _to_member(draft: Draft, message: RelatedChanged, said: related.ToMember) -> None:
    match said:
        case Over():
            _over(draft, message, said)
        case Stands():
            _stands(draft, message, said)
        case Moved():
            _moved(draft, message, said)
        case Refused():
            _refused(draft, message, said)
        case _:
            assert_never(said)


def _is_of_parent(draft: Draft, message: RelatedChanged) -> bool:
    return draft.incident.parent == message.incident_id and not draft.incident.merged


def _over(draft: Draft, message: RelatedChanged, said: Over) -> None:
    if not _is_of_parent(draft, message) or not draft.is_open:
        return
    by = said.by or LADDER
    text = f"resolved with {message.title} ({message.incident_id}), under which it is grouped"
    person = by_person.is_person(by)
    transitions.resolve(draft, by=by, text=text, source_time=None, person=person)


def _stands(draft: Draft, message: RelatedChanged, said: Stands) -> None:
    """Whoever takes the parent takes all its members, and gives them all back."""
    incident = draft.incident
    if not _is_of_parent(draft, message) or not incident.is_open:
        return
    assignee = said.assignee
    person = said.person if said.person is not None else bool(assignee)
    if (incident.status, incident.assignee) == (message.status, assignee):
        if person and message.status == "acknowledged" and incident.taken_by_person_at is None:
            by_person.confirmed(draft, by=f"user:{assignee}")
        return
    if message.status == "triggered":
        draft.set(status="triggered", assignee="", duty=None)
        draft.say("given_back", f"nobody has {message.title} any more, under which it is grouped", _RULE)
        draft.change("unacknowledged")
        return
    if person and incident.taken_by_person_at is None:
        draft.set(person_took_at=draft.now)
    taken = Acknowledged(draft.now, by_machine=not person)
    draft.set(status="acknowledged", assignee=assignee, acknowledged=taken)
    who = draft.directory.display(assignee) if assignee else "a machine"
    draft.say("taken", f"taken with {message.title} by {who}: it is grouped under it", _RULE)
    clocks.fulfil(draft, "acknowledge", person=person)
    draft.change("taken")


def _moved(draft: Draft, message: RelatedChanged, said: Moved) -> None:
    """What it is grouped under, or was merged into, was merged itself: it follows."""
    into = said.to
    if draft.incident.parent != message.incident_id or not into:
        return
    if draft.incident.merged:
        draft.set(belongs_to=Merged(into))
        _goes_along(draft, message, said)
        return
    draft.set(belongs_to=Grouped(into))
    draft.say("grouped", f"{message.title} was merged into {into}: it is grouped under that one now", _RULE)
    if draft.is_open:
        draft.send(into, Joined(again=False, late=draft.incident.late is not None))


def _goes_along(draft: Draft, message: RelatedChanged, moved: Moved) -> None:
    """It was merged: pass on what its key said last."""
    draft.say("merged", f"{message.title} was merged into {moved.to}: so is this", Reason("rule 13: merge"))
    if moved.action:
        worse = moved.worse if moved.worse is not None else ""
        draft.send(moved.to, Repeated(action=moved.action, said=moved.said or "", worse=worse))


def _refused(draft: Draft, message: RelatedChanged, said: Refused) -> None:
    """The parent is gone: it stands by itself again, so that nothing is lost."""
    incident = draft.incident
    why = f"{message.title} ({message.incident_id}) is {message.status} already"
    if _was_triggered_meanwhile(incident, message, said):
        reopening.by_person(draft, why=f"it was merged, and {why}", reason=Reason("rule 15"))
        return
    if incident.parent != message.incident_id:
        return
    if incident.merged and incident.resolved_at is not None and said.of == "absorbed":
        _stays_resolved(draft, why)
    elif incident.merged:
        draft.set(belongs_to=None, closed_at=None)
        reopening.by_person(draft, why=f"it was merged, and {why}", reason=Reason("rule 15"))
    elif incident.is_open:
        draft.set(belongs_to=None)
        draft.say("left", f"it stands alone: {why}", _RULE)
        draft.change("left")
        unsuppress.go_on(draft, cause=why)


def _stays_resolved(draft: Draft, why: str) -> None:
    """If it was resolved before it was to be merged, it stays as it was."""
    draft.set(belongs_to=None, closed_at=None, status="resolved")
    clocks.not_closed(draft)
    draft.say("left", f"it is not merged and stays resolved: {why}", Reason("rule 13: merge"))
    draft.change("left")


def _was_triggered_meanwhile(incident: Incident, message: RelatedChanged, said: Refused) -> bool:
    """Its key was triggered between the merge and its refusal, and that was refused as well."""
    again = said.of == "repeated" and incident.parent != message.incident_id
    return again and incident.status == "resolved" and not incident.merged


# --- merged -----------------------------------------------------------------------------------------------


def pass_on(draft: Draft, event: IncidentEvent) -> None:
    """A later event of a merged incident's key: its parent hears of it (rule 15: the key stays)."""
    incident = draft.incident
    draft.actor = sender(event)
    draft.set(events=incident.events + 1)
    draft.say("recorded", f"{event.action}: passed on to {incident.parent}, into which it was merged")
    said = (event.title or event.description or "")[:_SAID_KEPT]
    worse = _grows_worse(draft, event)
    draft.send(incident.parent, Repeated(action=event.action, said=said, worse=worse))


def _grows_worse(draft: Draft, event: IncidentEvent) -> bool:
    """Whether the event raises its own priority: its parent's then rises with it (rule 14)."""
    if event.action not in {"trigger", "update", "acknowledge"}:
        return False
    before = draft.incident.priority
    event_fields.merge_fields(draft, event)
    classify.set_tier(draft)
    classify.set_priority(draft)
    return draft.incident.priority < before


def _absorbed(draft: Draft, message: RelatedChanged, said: Absorbed) -> None:
    if not draft.is_open or draft.incident.merged:
        draft.send(message.incident_id, Refused(of=said.relation))
        return
    if draft.incident.late is not None and not said.resolved:
        late_trigger.end(draft, f"{message.title} was merged into it")
    for name in said.followers:
        draft.follow(name)
    subscribers = tuple(dict.fromkeys((*draft.incident.subscribers, *said.subscribers)))
    draft.set(subscribers=subscribers[:_SUBSCRIBERS_KEPT], events=draft.incident.events + said.events)
    already = "; it was resolved already" if said.resolved else ""
    text = f"{message.title} ({message.incident_id}) was merged into it{already}"
    draft.say("merged", text, Reason("rule 13: merge"))
    draft.change("changed")
    _rise(draft, message)


def _repeated(draft: Draft, message: RelatedChanged, heard: Repeated) -> None:
    if draft.incident.merged:
        into, action = draft.incident.parent, heard.action
        draft.send(message.incident_id, Moved(to=into, action=action, said=heard.said, worse=heard.worse))
        return
    if not draft.is_open:
        if heard.action == "trigger":
            draft.send(message.incident_id, Refused(of=heard.relation))
        return
    draft.set(
        events=draft.incident.events + 1, last_event_at=draft.now, still_asked=False, said_to_stand=False
    )
    if draft.incident.late is not None and heard.action == "trigger":
        late_trigger.end(draft, f"merged incident {message.incident_id} was triggered again")
    said, what = heard.said or message.title, _HEARD.get(heard.action, heard.action)
    text = f"{said} (merged incident {message.incident_id}): {what}"
    draft.say("repeated", text, Reason("rule 14: a repeat never pages again by itself"))
    if heard.worse:
        _rise(draft, message, "rule 14: what was merged into it grew worse")


_HEARD: Final = {"trigger": "triggered again", "resolve": "its sender says that it is over"}


def name_upstream(draft: Draft) -> None:
    """Record which open incident upstream of its service may be the cause; nothing is suppressed."""
    upstream = draft.live.upstream.get(draft.incident.service)
    if not upstream:
        return
    found = tuple(
        each
        for service in upstream
        for each in draft.context.open_by_service.get(service, ())
        if each.id != draft.incident.id
    )[:_UPSTREAM_TOLD]
    known = {each.id for each in draft.incident.may_follow_from}
    draft.set(may_follow_from=found)
    fresh = [each for each in found if each.id not in known]
    if fresh:
        named = "; ".join(f"{each.service}: {each.title} ({each.id})" for each in fresh)
        reason = Reason(
            f"services.{draft.incident.service}.depends_on", values={"depends_on": list(upstream)}
        )
        draft.say("upstream", f"it may follow from {named}", reason, LADDER)


_UPSTREAM_TOLD: Final = 5
