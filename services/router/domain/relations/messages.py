"""What one incident hears from another: about its group, its cause, what it was merged into.

Between two incidents messages may arrive late and in any order: each says what was true when it was sent, and
one that no longer fits is answered (`refused`) or ignored.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypedDict

import msgspec
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
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Acknowledged, Grouped, Members, Merged, Subscriber
from services.router.domain.model.reason import Reason
from services.router.domain.muting import grouping
from services.router.domain.sla import by_person, clocks
from shared.events import IncidentEvent, RelatedChanged


class _Heard(TypedDict):
    action: str
    said: str
    worse: bool | str


_RULE: Final = Reason("rule 11: grouped incidents have no ladder of their own")
_HIGHEST: Final = "rule 11: the parent has the highest priority among them"
_LISTED_EACH: Final = 50  # members listed in the parent's timeline; beyond that every hundredth
_LISTED_EVERY: Final = 100
_SUBSCRIBERS_KEPT: Final = 200
_SAID_KEPT: Final = 1024  # as long as a title


def handle(draft: Draft, message: RelatedChanged) -> None:
    """Apply the message."""
    draft.told_by = message.incident_id
    take = _TAKE.get(message.relation)
    if take is not None:
        take(draft, message)


# --- to a parent ------------------------------------------------------------------------------------------


def _joined(draft: Draft, message: RelatedChanged) -> None:
    incident = draft.incident
    if not incident.is_open or incident.parent:
        draft.send(message.incident_id, "refused")
        return
    again = bool(message.values.get("again"))
    group = incident.group or Members()
    draft.set(group=replace(group, total=group.total + (not again), open=group.open + 1))
    incident = draft.incident
    if _is_listed(incident.members):
        verb = "stands again" if again else "joined"
        more = f"; {grouping.count(incident.members)} in all" if incident.members > 1 else ""
        draft.say("joined", f"{message.title} ({message.incident_id}) {verb}{more}", _RULE)
    if not message.values.get("late"):
        _counts(draft, message)


def _counts(draft: Draft, message: RelatedChanged) -> None:
    """A member that is not held (any more): its priority counts for the group, and the owner hears of it."""
    if draft.incident.late is not None:
        late_trigger.end(draft, f"{message.title} joined it")
    _rise(draft, message)
    incident = draft.incident
    if incident.status == "acknowledged":
        draft.send(message.incident_id, "stands", **grouping.who_has(incident))
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
    when=("incident.group", "incident.assignee"),
)


def _rise(draft: Draft, message: RelatedChanged, rule: str = _HIGHEST) -> None:
    """The parent has the highest priority among them (rules 11 and 14)."""
    if draft.is_open and 0 < message.priority < draft.incident.priority:
        field_changes.change(draft, {"priority": message.priority}, reason=Reason(rule), by_person=False)


def _changed(draft: Draft, message: RelatedChanged) -> None:
    if message.values.get("counts") and draft.is_open and not draft.incident.parent:
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


def _left(draft: Draft, message: RelatedChanged) -> None:
    if message.values.get("open"):
        _ended(draft, message)
    group = draft.incident.group
    if group is not None:
        draft.set(group=replace(group, total=max(0, group.total - 1)))


# --- to a member ------------------------------------------------------------------------------------------


def _is_of_parent(draft: Draft, message: RelatedChanged) -> bool:
    return draft.incident.parent == message.incident_id and not draft.incident.merged


def _over(draft: Draft, message: RelatedChanged) -> None:
    if not _is_of_parent(draft, message) or not draft.is_open:
        return
    by = str(message.values.get("by") or LADDER)
    text = f"resolved with {message.title} ({message.incident_id}), under which it is grouped"
    person = by_person.is_person(by)
    transitions.resolve(draft, by=by, text=text, source_time=None, person=person)


def _stands(draft: Draft, message: RelatedChanged) -> None:
    """Whoever takes the parent takes all its members, and gives them all back."""
    incident = draft.incident
    if not _is_of_parent(draft, message) or not incident.is_open:
        return
    assignee = str(message.values.get("assignee") or "")
    person = bool(message.values.get("person", assignee))  # an older replica does not send it
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


def _moved(draft: Draft, message: RelatedChanged) -> None:
    """What it is grouped under, or was merged into, was merged itself: it follows."""
    into = str(message.values.get("to") or "")
    if draft.incident.parent != message.incident_id or not into:
        return
    if draft.incident.merged:
        draft.set(belongs_to=Merged(into))
        _goes_along(draft, message, into)
        return
    draft.set(belongs_to=Grouped(into))
    draft.say("grouped", f"{message.title} was merged into {into}: it is grouped under that one now", _RULE)
    if draft.is_open:
        draft.send(into, "joined", again=False, late=draft.incident.late is not None)


def _goes_along(draft: Draft, message: RelatedChanged, into: str) -> None:
    """It was merged: pass on what its key said last."""
    draft.say("merged", f"{message.title} was merged into {into}: so is this", Reason("rule 13: merge"))
    if message.values.get("action"):
        draft.send(into, "repeated", **_heard(message))


def _heard(message: RelatedChanged) -> _Heard:
    """What the key of a merged one said, to be passed on."""
    action, said, worse = (message.values.get(name, "") for name in ("action", "said", "worse"))
    return {"action": action, "said": said, "worse": worse}


def _refused(draft: Draft, message: RelatedChanged) -> None:
    """The parent is gone: it stands by itself again, so that nothing is lost."""
    incident = draft.incident
    why = f"{message.title} ({message.incident_id}) is {message.status} already"
    if _was_triggered_meanwhile(incident, message):
        reopening.by_person(draft, why=f"it was merged, and {why}", reason=Reason("rule 15"))
        return
    if incident.parent != message.incident_id:
        return
    if incident.merged and incident.resolved_at is not None and message.values.get("of") == "absorbed":
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


def _was_triggered_meanwhile(incident: Incident, message: RelatedChanged) -> bool:
    """Its key was triggered between the merge and its refusal, and that was refused as well."""
    again = message.values.get("of") == "repeated" and incident.parent != message.incident_id
    return again and incident.status == "resolved" and not incident.merged


# --- merged -----------------------------------------------------------------------------------------------


def pass_on(draft: Draft, event: IncidentEvent) -> None:
    """A later event of a merged incident's key: its parent hears of it (rule 15: the key stays)."""
    incident = draft.incident
    draft.actor = sender(event)
    draft.set(events=incident.events + 1)
    draft.say("recorded", f"{event.action}: passed on to {incident.parent}, into which it was merged")
    said = event.title or event.description or ""
    worse = _grows_worse(draft, event)
    draft.send(incident.parent, "repeated", action=event.action, said=said[:_SAID_KEPT], worse=worse)


def _grows_worse(draft: Draft, event: IncidentEvent) -> bool:
    """Whether the event raises its own priority: its parent's then rises with it (rule 14)."""
    if event.action not in {"trigger", "update", "acknowledge"}:
        return False
    before = draft.incident.priority
    event_fields.merge_fields(draft, event)
    classify.set_tier(draft)
    classify.set_priority(draft)
    return draft.incident.priority < before


def _absorbed(draft: Draft, message: RelatedChanged) -> None:
    if not draft.is_open or draft.incident.merged:
        draft.send(message.incident_id, "refused", of="absorbed")
        return
    values = message.values
    was_over = bool(values.get("resolved"))
    if draft.incident.late is not None and not was_over:
        late_trigger.end(draft, f"{message.title} was merged into it")
    for name in values.get("followers") or ():
        draft.follow(name)
    moved = [msgspec.convert(each, Subscriber) for each in values.get("subscribers") or ()]
    subscribers = tuple(dict.fromkeys((*draft.incident.subscribers, *moved)))[:_SUBSCRIBERS_KEPT]
    draft.set(subscribers=subscribers, events=draft.incident.events + int(values.get("events") or 0))
    already = "; it was resolved already" if was_over else ""
    text = f"{message.title} ({message.incident_id}) was merged into it{already}"
    draft.say("merged", text, Reason("rule 13: merge"))
    draft.change("changed")
    _rise(draft, message)


def _repeated(draft: Draft, message: RelatedChanged) -> None:
    if draft.incident.merged:
        draft.send(message.incident_id, "moved", to=draft.incident.parent, **_heard(message))
        return
    if not draft.is_open:
        if message.values.get("action") == "trigger":
            draft.send(message.incident_id, "refused", of="repeated")
        return
    said, action = str(message.values.get("said") or message.title), message.values.get("action")
    draft.set(
        events=draft.incident.events + 1, last_event_at=draft.now, still_asked=False, said_to_stand=False
    )
    if draft.incident.late is not None and action == "trigger":
        late_trigger.end(draft, f"merged incident {message.incident_id} was triggered again")
    text = f"{said} (merged incident {message.incident_id}): {_HEARD.get(str(action), action)}"
    draft.say("repeated", text, Reason("rule 14: a repeat never pages again by itself"))
    if message.values.get("worse"):
        _rise(draft, message, "rule 14: what was merged into it grew worse")


_HEARD: Final = {"trigger": "triggered again", "resolve": "its sender says that it is over"}


def _nothing(draft: Draft, message: RelatedChanged) -> None:
    """Nothing: every decision checks the suppression, and this one is made for that."""
    del draft, message


_TAKE: Final[Mapping[str, Callable[[Draft, RelatedChanged], None]]] = {
    "joined": _joined,
    "changed": _changed,
    "ended": _ended,
    "left": _left,
    "over": _over,
    "stands": _stands,
    "moved": _moved,
    "refused": _refused,
    "absorbed": _absorbed,
    "repeated": _repeated,
    "came_back": closing.came_back,
    "unnamed": sender_silence.unnamed,
    "look": _nothing,
    "cause_ended": _nothing,
}


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
