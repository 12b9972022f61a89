"""When a shift ends in which somebody was asked and nothing is settled yet (docs/rules.md, rule 20).

Every schedule through which a level, `finally` or a point asked somebody is kept until the incident is taken,
the point's page is seen, or it goes elsewhere. When the person on call changes, for whatever reason, the next
one is asked or told, as the schedule's `handoff` says; nobody twice for the same in one turn. Taken incidents
are for `handoff`. While nobody may be told (`is_muted`) it waits.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import Found
from services.router.domain.draft.stages import Moment
from services.router.domain.escalation.handoff import RULE, THROUGH, Turn, turn_of
from services.router.domain.escalation.next_step import otherwise
from services.router.domain.model.parts import Asked, OpenPage
from services.router.domain.model.reason import Reason
from services.router.domain.model.vocabulary import Through
from shared.policy.model.targets import ScheduleTarget
from shared.policy.oncall.roster import Roster
from shared.policy.oncall.schedules import OVERRIDE, OnCall, Stretch

_TURNS_KEPT: Final = 20  # turns that are remembered; people of older ones may be asked again


def keep(draft: Draft) -> None:
    """After everything else in a decision: forget what is settled, keep what was asked now."""
    before, incident = draft.initial, draft.incident
    kept = incident.unsettled
    if not draft.is_open:
        kept = ()
    elif incident.chain.policy != before.chain.policy or (
        incident.assignee and incident.assignee != before.assignee
    ):
        kept = tuple(each for each in kept if each.point)
    if draft.is_open:
        sent = {page.page_id for page in draft.pages}
        for page in draft.asked:
            if page.page_id in sent:
                kept = _with(draft, kept, page)
    if kept != incident.unsettled:
        draft.set(unsettled=kept)


def seen(draft: Draft, page: OpenPage) -> None:
    """Somebody answered a point's page, or one that asked them to join: that is settled."""
    point = page.through == "point"
    kept = tuple(
        each
        for each in draft.incident.unsettled
        if not (each.schedule == page.schedule and each.point == point)
    )
    if len(kept) < len(draft.incident.unsettled):
        draft.set(unsettled=kept)


def check(draft: Draft) -> None:
    """Ask or tell the next person where a shift has ended; the next check then lies in the future."""
    if draft.is_muted:
        return
    for each in draft.incident.unsettled:
        roster = draft.directory.roster(each.schedule)
        after = _looked_at(draft, each, roster) if roster is not None and _hands_over(roster) else None
        kept = (after if one is each else one for one in draft.incident.unsettled)
        left = tuple(one for one in kept if one is not None)
        if left != draft.incident.unsettled:
            draft.set(unsettled=left)


def _earliest(draft: Draft) -> datetime:
    return min(each.until for each in draft.incident.unsettled)


SHIFTS_END: Final = Moment(
    "the shift of whoever was asked ends",
    _earliest,
    check,
    when=lambda draft: draft.incident.unsettled and not draft.is_muted,
)


def _hands_over(roster: Roster) -> bool:
    return roster.schedule.handoff != "none"


# --- what was asked ---------------------------------------------------------------------------------------


def _with(draft: Draft, kept: tuple[Asked, ...], page: OpenPage) -> tuple[Asked, ...]:
    """Also what this page asks through its schedule."""
    roster = draft.directory.roster(page.schedule)
    if roster is None or not _hands_over(roster):
        return kept
    made, point = _made(draft, roster, page), page.through == "point"
    for each in kept:
        if each.schedule == page.schedule and each.point == point:
            heard = _also(each.heard, *made.heard)
            ahead = _is_ahead(made, draft.now) and not _is_ahead(each, draft.now)
            after = each if ahead else made  # somebody asked as `next:` ends nobody's present shift
            after = replace(after, heard=heard, joins=page.joins)
            return tuple(after if one is each else one for one in kept)
    return (*kept, made)


def _is_ahead(asked: Asked, now: datetime) -> bool:
    """Asked as `next:`, with their shift still to come."""
    return asked.begins is not None and asked.begins > now


def _made(draft: Draft, roster: Roster, page: OpenPage) -> Asked:
    """It is checked again when their stretch ends, and only then how long their whole shift lasts."""
    now, point = draft.now, page.through == "point"
    found = roster.at(now)
    if found.user != page.name and (after := roster.on_call(now)).next_user == page.name:
        now = after.next_from  # asked as `next:`: their own shift is what counts
        found = roster.at(now)
    return Asked(
        schedule=page.schedule,
        user=page.name,
        begins=now,
        until=found.ends,
        on_call=page.name,
        point=point,
        joins=page.joins,
        heard=(_turn(roster, page.name, now, found),),
    )


def _turn(roster: Roster, user: str, at: datetime, found: Stretch) -> str:
    """Somebody's turn, which goes on after another stood in for a while; `found` is who has it then."""
    plain = Roster(roster.schedule, roster.users).at(at) if roster.overrides else found
    if plain.user == user:
        return f"{user}/{plain.layer}/{plain.number}"
    if found.override is not None:
        return f"{user}/{OVERRIDE}/{found.override.id}"
    return f"{user}/{found.layer}/{found.number}/{' '.join(found.absences)}"  # beneath whoever is absent


def _also(heard: Sequence[str], *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*heard, *more)))[-_TURNS_KEPT:]


# --- who follows ------------------------------------------------------------------------------------------


def _looked_at(draft: Draft, asked: Asked, roster: Roster) -> Asked:
    """What is kept of it from now on, after the next person has been asked or told."""
    now = roster.at(draft.now)
    if asked.begins is not None and draft.now < asked.begins and now.user != asked.user:
        return replace(asked, until=asked.begins)
    if now.user == asked.on_call:
        return replace(asked, until=roster.shift_end(draft.now))
    found = roster.on_call(draft.now)
    if found.user is None:
        if asked.on_call:
            reason = _reason(asked, roster, found)
            draft.say("nobody", f"{_shift(draft, asked)} is over and nobody follows: {found.reason}", reason)
        return replace(asked, on_call="", until=found.until)
    turn, until = _turn(roster, found.user, draft.now, now), roster.shift_end(draft.now)
    after = replace(asked, on_call=found.user, until=until, heard=_also(asked.heard, turn))
    if turn in asked.heard or _knows(draft, asked, found.user):
        name = draft.directory.display(found.user)
        text = f"{_shift(draft, asked)} is over: {name}, who follows, has been asked or has it already"
        draft.say("handoff", text, _reason(asked, roster, found))
        return after
    _hand_over(draft, asked, roster, found)
    return after


def _knows(draft: Draft, asked: Asked, user: str) -> bool:
    """Whether they have it, were asked at this very step, or just now through another schedule."""
    incident = draft.incident
    if incident.assignee == user:
        return True
    told = [page.recipient.name for page in draft.pages]
    told += [notice.recipient.name for notice in draft.notices if notice.event == "handoff"]
    told += [
        page.name
        for page in incident.pages
        if page.user and (page.through == "point") == asked.point and page.schedule != asked.schedule
    ]
    return user in told


def _hand_over(draft: Draft, asked: Asked, roster: Roster, found: OnCall) -> None:
    resolved = draft.directory.resolve((ScheduleTarget(asked.schedule),))
    incoming, turn = resolved.found[0], turn_of(draft, asked.schedule, roster, found)
    still = draft.stands_still or _machine_has_it(draft)
    draft.say_unnamed(resolved, Reason(RULE))
    if roster.schedule.handoff == "page" and not still:
        _ask(draft, asked, incoming, turn, _reason(asked, roster, found))
    else:
        waits = f" ({still}: no page)" if still and roster.schedule.handoff == "page" else ""
        text = f"{turn.you} {_before(draft, asked, turn)}{_how_it_stands(draft, asked)}."
        draft.notify(incoming.recipient, "handoff", text=text, reason=incoming.why)
        said = f"{_change(draft, asked, incoming, turn)} is told{waits}"
        draft.say("handoff", said, _reason(asked, roster, found))
    draft.follow(incoming.recipient.name)
    draft.change("handoff")


def _machine_has_it(draft: Draft) -> str:
    """The levels are paused because a machine acknowledged it: nobody is paged meanwhile (rule 3)."""
    rests = draft.incident.status == "acknowledged" and not draft.incident.assignee
    return "a machine has acknowledged it" if rests else ""


def _ask(draft: Draft, asked: Asked, incoming: Found, turn: Turn, reason: Reason) -> None:
    taken = draft.incident.assignee
    draft.say("paged", f"{_change(draft, asked, incoming, turn)} is paged", reason)
    through: Through = "point" if asked.point else "level" if taken else THROUGH
    standing = draft.incident.chain
    waits = standing.state in {"held", "resting"} or standing.waits_at_the_end
    due = None if waits else standing.due
    draft.page(
        incoming,
        through=through,
        why=f"{turn.why(incoming)}; {_before(draft, asked, turn)}{_how_it_stands(draft, asked)}",
        act_by=None if taken or asked.point else due,
        otherwise=_then(draft, asked),
        joins=bool(taken),
    )
    draft.change("paged")


def _then(draft: Draft, asked: Asked) -> str:
    taken = draft.incident.assignee
    if asked.point:
        return ""
    return f"it stays with {draft.directory.display(taken)}" if taken else otherwise(draft)


def _change(draft: Draft, asked: Asked, incoming: Found, turn: Turn) -> str:
    """What has changed, how it stands, and who is asked or told because of it."""
    name, stands = draft.directory.display(incoming.recipient.name), _how_it_stands(draft, asked)
    if turn.stands_in:
        return f"{name} {turn.stands_in}{stands}: {name}"
    return f"{_shift(draft, asked)} is over{stands}: {name}, who follows,"


def _before(draft: Draft, asked: Asked, turn: Turn) -> str:
    """Who was asked until now: their shift is over, or somebody stands in for a while."""
    before = draft.directory.display(asked.on_call or asked.user)
    return f"{before} was asked and is off {turn.now}"


def _how_it_stands(draft: Draft, asked: Asked) -> str:
    """In words, what is not settled."""
    if asked.point:
        return ", and what a point asked is not seen"
    taken = draft.incident.assignee
    if taken:
        return f"; {draft.directory.display(taken)} has it, and it is not solved"
    return ", and nobody has taken it"


def _shift(draft: Draft, asked: Asked) -> str:
    """What has ended: a shift, a stand-in's time, or a stretch with nobody on call."""
    if not asked.on_call:
        return f"the time without anybody on {asked.schedule}"
    if asked.heard and asked.heard[-1].startswith(f"{asked.on_call}/{OVERRIDE}/"):
        return f"the time of {draft.directory.display(asked.on_call)} as a stand-in on {asked.schedule}"
    return f"the shift of {draft.directory.display(asked.on_call)} on {asked.schedule}"


def _reason(asked: Asked, roster: Roster, found: OnCall) -> Reason:
    values = {"schedule": asked.schedule, "handoff": roster.schedule.handoff, "on_call": found.reason}
    return Reason(RULE, values=values)
