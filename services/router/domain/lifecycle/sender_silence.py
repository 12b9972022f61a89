"""When its sender goes quiet: the incident is resolved, or somebody is asked (docs/rules.md, rule 22).

The rule is the integration's in the policy in force. The time counts from the key's last event, and again
from the end of whatever kept the incident still or closed; only while Ladder can hear senders. Where nothing
proves that they can get through, silence resolves nothing: somebody is asked instead. That happens once per
silence; the next event begins another one.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from services.router.domain.draft.draft import LADDER, Draft, derived_id
from services.router.domain.draft.names import user
from services.router.domain.draft.recipients import Found
from services.router.domain.draft.stages import Moment
from services.router.domain.draft.wording import span
from services.router.domain.escalation import chain
from services.router.domain.lifecycle import transitions
from services.router.domain.model.decision import Decision, Spread
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Doubt
from services.router.domain.model.reason import Reason
from services.router.domain.model.related import Unnamed
from services.router.domain.muting import grouping
from shared.events import BY_SILENCE, LOOKING, IncidentEvent, RelatedChanged

NAMED_WITHIN: Final = timedelta(minutes=1)  # events on their way may still name members
_SOONEST: Final = timedelta(seconds=10)  # before checking again whether Ladder has listened for that long
_LATEST: Final = timedelta(minutes=5)
_RULE: Final = "rule 22: what its sender forgot"
_UNPROVEN: Final = ", or could not reach Ladder (that is not known without canaries)"
_NO_CANARIES: Final = (
    "then: resolve: LADDER_CANARY_SECONDS is 0, so nothing proves that its sender could be heard"
)
_STILL: Final = "whether it still stands is asked"


class Silence(msgspec.Struct, frozen=True):
    """A rule that still applies to this silence, and when the silence is long enough for it."""

    at: datetime
    since: datetime
    length: timedelta
    proven: bool  # Ladder has listened up to then
    resolves: bool
    unproven: bool  # it would resolve, but nothing proves that its sender could be heard


# --- what the sender says ---------------------------------------------------------------------------------


def spoke(draft: Draft) -> None:
    """An event of its key: what was asked about its silence is answered."""
    incident, event = draft.incident, draft.event
    assert event is not None
    draft.set(
        last_event_at=draft.now,
        still_asked=False,
        said_to_stand=False,
        doubt=None,
        alert_group=event.alert_group or incident.alert_group,
        alert_group_cut=incident.alert_group_cut or event.left_out > 0,
    )


def date(draft: Draft) -> None:
    """Date an incident of an earlier release: its last event was no later than its last decision."""
    draft.set(last_event_at=draft.incident.decided_at)


def begin_anew(draft: Draft) -> None:
    """What kept it still, or closed, is over: the silence counts from now."""
    draft.set(quiet_from=draft.now)
    if not draft.initial.is_open:
        draft.set(doubt=None)


def overruled(draft: Draft) -> None:
    """A person reopened it: it stays open although its sender is silent."""
    if draft.is_open and not draft.initial.is_open:
        draft.set(said_to_stand=True)


def answered(draft: Draft, user: str, who: str) -> None:
    """Whoever has it answers the question: it still stands."""
    kept = tuple(page for page in draft.incident.pages if page.through != BY_SILENCE or page.name != user)
    if len(kept) < len(draft.incident.pages):
        draft.set(pages=kept, said_to_stand=True)
        draft.touch()
        draft.say("seen", f"{who} says that it still stands", Reason(_RULE))


# --- what a silence means ---------------------------------------------------------------------------------


def _ends_at(draft: Draft) -> datetime | None:
    """When the silence ends it; while that is not proven, when to check again."""
    found = _silence(draft)
    return _long_enough(draft, found) if found is not None and found.resolves else None


def _end(draft: Draft) -> None:
    """Its sender has been silent for so long that it is over."""
    found = _silence(draft)
    assert found is not None
    cause = _cause(draft, found)
    draft.say("silent", f"{cause}: with `then: resolve` that is its end", _reason(draft, found))
    if not grouping.keeps_open(draft):
        transitions.resolve(draft, by=LADDER, text=f"resolved: {cause}", source_time=None)


def _asked_at(draft: Draft) -> datetime | None:
    """When somebody is to be asked, or to look again when nobody can be asked now."""
    found, doubt = _silence(draft), draft.incident.doubt
    asks = found is not None and not found.resolves
    coming = [doubt.at] if doubt is not None else []
    coming += [found.at] if found is not None and asks and found.proven else []
    if coming and not _can_be_asked(draft):
        coming.clear()
    if found is not None and asks and found.at > draft.now:
        coming.append(found.at)
    elif found is not None and asks and not found.proven:
        coming.append(_long_enough(draft, found))
    return min(coming, default=None)


def _ask_first(draft: Draft) -> None:
    """Ask whoever has it, else the level, whether it still stands."""
    found, doubt = _silence(draft), draft.incident.doubt
    if not _can_be_asked(draft):
        return
    if doubt is not None and draft.now >= doubt.at:
        _ask(draft, doubt.at, doubt.why, Reason(_RULE))
    elif found is not None and _is_a_question(found) and draft.now >= found.at:
        _ask(draft, found.at, _cause(draft, found), _reason(draft, found))


def _is_a_question(found: Silence) -> bool:
    return not found.resolves and found.proven


ENDS_IT: Final = Moment(
    "its sender's silence ends it", _ends_at, _end, when=lambda draft: draft.live.ends_by_silence
)
IS_ASKED: Final = Moment(
    "its sender's silence is asked about",
    _asked_at,
    _ask_first,
    when=lambda draft: draft.live.listens or draft.incident.doubt,
)


def _long_enough(draft: Draft, found: Silence) -> datetime:
    if found.at > draft.now or found.proven:
        return found.at
    return draft.now + _until_proven(draft, found.at)


def _can_be_asked(draft: Draft) -> bool:
    """Not while it stands still, nor before its first level has been asked."""
    incident = draft.incident
    if draft.stands_still or incident.still_asked or incident.said_to_stand:
        return False
    return bool(incident.assignee) or not (incident.chain.unasked or incident.chain.state == "held")


def _silence(draft: Draft) -> Silence | None:
    incident = draft.incident
    spec = draft.live.spec.integrations.get(incident.integration) if draft.live.listens else None
    if spec is None or spec.silent_after is None or incident.said_to_stand:
        return None
    if incident.suppression is not None or incident.snooze is not None or incident.waiting is not None:
        return None
    heard, last = draft.context.heard, incident.last_event_at or incident.decided_at
    proven = heard is None or heard.proven
    does = spec.on_silence == "resolve" and proven
    if (incident.ended_itself and (does or not incident.members_open)) or (
        incident.belongs_to is not None and not does
    ):
        return None
    ended = draft.was_quiet and not draft.stands_still  # what kept it still ends in this decision
    quiet_from = draft.now if ended else incident.quiet_from or last
    since = max(last, quiet_from, heard.since if heard is not None else last)
    at = since + spec.silent_after
    unproven = spec.on_silence == "resolve" and not proven
    return Silence(at, since, spec.silent_after, heard is None or heard.until >= at, does, unproven)


def _cause(draft: Draft, found: Silence) -> str:
    """The reason in words."""
    incident, length = draft.incident, span(found.length)
    unproven = _UNPROVEN if found.unproven else ""
    if incident.ended_itself:
        left = grouping.count(incident.members_open)
        said = f"its sender said {length} ago that it is over, and what is grouped under it stands: {left}"
        return said + unproven
    return f"its sender ({incident.integration}) has been silent for {length}" + unproven


def _reason(draft: Draft, found: Silence) -> Reason:
    incident, heard = draft.incident, draft.context.heard
    last, spec = incident.last_event_at or incident.decided_at, draft.live.spec.integrations
    does = spec[incident.integration].on_silence
    values = {"last_event_at": last.isoformat(), "silent_after": span(found.length), "then": does}
    if found.since > last:
        values["counts_from"] = found.since.isoformat()
    if heard is not None and found.since == heard.since > last:
        values["ladder_has_listened_since"] = found.since.isoformat()
    where = f"integrations.{incident.integration}.silent_after"
    return Reason(where, values=values, instead_of=[_NO_CANARIES] if found.unproven else [])


def _until_proven(draft: Draft, at: datetime) -> timedelta:
    heard = draft.context.heard
    return max(_SOONEST, min(at - heard.until, _LATEST)) if heard is not None else _SOONEST


def _ask(draft: Draft, at: datetime, cause: str, reason: Reason) -> None:
    incident, position = draft.incident, draft.incident.chain
    draft.set(still_asked=True, doubt=None)
    if incident.assignee in draft.live.spec.users:
        _ask_assignee(draft, cause, reason)
    elif incident.status == "triggered" and position.since >= at and position.state != "resting":
        draft.say("silent", f"{cause}: whoever has been paged since is asked by that page", reason)
    else:
        if incident.status == "acknowledged":
            draft.set(status="triggered", assignee="", duty=None)
        chain.restart(draft, cause=f"{cause} (does it still stand?)", reason=reason)
        draft.change("escalated")


def _ask_assignee(draft: Draft, cause: str, reason: Reason) -> None:
    assignee = draft.incident.assignee
    name, why = draft.directory.display(assignee), f"it is assigned to you, and {cause}"
    draft.say("paged", f"{name} is asked whether it still stands: {cause}", reason)
    if all(page.through in LOOKING for page in draft.pages):  # who joins in this very decision is still asked
        draft.forget_step()
    draft.page(
        Found(user(assignee), why),
        through=BY_SILENCE,
        why=why,
        joins=True,
        otherwise=f"it stays with {name}",
    )
    draft.change("paged")


# --- a group that is over and does not name everybody -----------------------------------------------------


def of_group(integration: str, group: str) -> str:
    """The value by which the shell looks up siblings."""
    return msgspec.json.encode([integration, group]).decode()


def with_siblings(
    decision: Decision, incident: Incident | None, event: IncidentEvent, now: datetime
) -> Decision:
    """The decision, and a message to the open incidents of a group that is over and was cut.

    `incident` is the one before the decision. A group whose earlier posts were cut may be over without naming
    those that were left out.
    """
    cut = event.left_out > 0 or (incident is not None and incident.alert_group_cut)
    if not (event.alert_group_over and event.alert_group and cut):
        return decision
    of = of_group(event.integration, event.alert_group)
    left_out = f"; its sender left {event.left_out} out" if event.left_out else ""
    said = Unnamed(group=of, at=now.isoformat(), left_out=left_out)
    message = RelatedChanged(
        message_id=derived_id("siblings", event.identity),
        to="",
        incident_id=incident.id if incident is not None else "",
        relation=said.relation,
        at=now,
        values=msgspec.to_builtins(said),
    )
    return msgspec.structs.replace(decision, spreads=(*decision.spreads, Spread("siblings", of, message)))


def unnamed(draft: Draft, said: Unnamed) -> None:
    """Its group is over without naming it, or so a member of its own group says."""
    incident = draft.incident
    if not incident.is_open or incident.still_asked or incident.doubt is not None:
        return
    if said.member is not None:
        _doubt(draft, f"{said.member}, grouped under it: {said.doubt}", draft.now)
        return
    if said.group != of_group(incident.integration, incident.alert_group):
        return
    if incident.last_event_at is not None and incident.last_event_at > _said_at(said):
        return  # named since
    if incident.ended_itself:
        return  # named, and kept open by those grouped under it: they are asked about
    doubt = f"its alert group is over and did not name it{said.left_out or ''}"
    if incident.parent:
        draft.set(still_asked=True)
        draft.say("silent", f"{doubt}: whoever has {incident.parent} is asked", Reason(_RULE))
        member = f"{incident.title} ({incident.id})"
        draft.send(incident.parent, Unnamed(member=member, doubt=doubt))
        return
    _doubt(draft, doubt, draft.now + NAMED_WITHIN)


def _said_at(said: Unnamed) -> datetime:
    return datetime.fromisoformat(said.at).astimezone(UTC)


def _doubt(draft: Draft, doubt: str, at: datetime) -> None:
    draft.set(doubt=Doubt(at, doubt))
    when = f" in {span(at - draft.now)} unless it is heard of" if at > draft.now else ""
    draft.say("silent", f"{doubt}: {_STILL}{when}", Reason(_RULE))
