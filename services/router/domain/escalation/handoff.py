"""Handoff: when the shift of the assignee ends, the next person on call hears of it (docs/rules.md, rule 20).

It follows the schedule through which the assignee was asked; if none named them, one that the levels name and
on which they are on call then. It is checked whenever a timer fires and when the shift was to end, so that
overrides and changed schedules are honoured. People and schedules are those of the policy in force (rule 17).
While nobody may be told (`is_muted`) it waits.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec.structs import replace

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import Found
from services.router.domain.draft.stages import Moment
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Duty
from services.router.domain.model.reason import Reason
from services.router.domain.model.vocabulary import EntryKind
from shared.events import Recipient
from shared.policy import Schedule
from shared.policy.calendars.wall_clock import local
from shared.policy.model.targets import ScheduleTarget, SkillTarget, Target
from shared.policy.oncall.roster import Roster
from shared.policy.oncall.schedules import OnCall

THROUGH: Final = "handoff"  # how a page came about; whoever answers it takes over
RULE: Final = "rule 20: handoff"


def begin(draft: Draft) -> None:
    """Somebody has just taken it: remember the shift in which they did, if any."""
    duty = _duty(draft) if draft.live.spec.schedules else None
    if duty != draft.incident.duty:
        draft.set(duty=duty)
    kept = tuple(page for page in draft.incident.pages if page.through != THROUGH)
    if len(kept) < len(draft.incident.pages):  # that page is answered, so nobody takes over by it any more
        draft.set(pages=kept)


def was_asked(incident: Incident, user: str) -> bool:
    """Whether this person was paged at a handoff, so that by acknowledging they take over."""
    return any(page.through == THROUGH and page.user and page.name == user for page in incident.pages)


def check(draft: Draft) -> None:
    """Hand it over if the shift has ended; the next check then lies in the future, or there is none."""
    incident, duty = draft.incident, draft.incident.duty
    if duty is None or incident.status != "acknowledged" or incident.is_muted:
        return
    roster = draft.directory.roster(duty.schedule)
    if incident.assignee != duty.user or roster is None or roster.schedule.handoff == "none":
        begin(draft)  # somebody else has it, or the policy in force hands nothing over any more
        return
    found = roster.on_call(draft.now)
    if duty.begins is not None and draft.now < duty.begins and found.user != duty.user:
        begin(draft)  # asked as `next:`, with their shift still to come
        return
    after = _noted(draft, duty, found, roster)
    if after != duty:
        draft.set(duty=after)
    if after.on_call in {duty.on_call, duty.user}:
        return  # the same person goes on, or the assignee is back
    if found.user is None:
        _say(draft, f"{_shift(draft, duty)} is over and nobody follows: {found.reason}", "nobody")
    else:
        _hand_over(draft, duty, roster, found)


def _noted(draft: Draft, duty: Duty, found: OnCall, roster: Roster) -> Duty:
    """The duty with who is on call now, and when to check again."""
    if found.user is None:
        return replace(duty, on_call="", until=found.until)
    return replace(duty, on_call=found.user, until=roster.shift_end(draft.now))


def _hand_over(draft: Draft, duty: Duty, roster: Roster, found: OnCall) -> None:
    """Tell or page the next person; tell the assignee who follows."""
    schedule, turn = roster.schedule, turn_of(draft, duty.schedule, roster, found)
    resolved = draft.directory.resolve((ScheduleTarget(duty.schedule),))
    draft.say_unnamed(resolved, _reason(schedule, duty, found))
    incoming = resolved.found[0]
    name, assignee = draft.directory.display(incoming.recipient.name), draft.directory.display(duty.user)
    stays = f"it stays with {assignee} until somebody takes it over"
    over = f"{name} {turn.stands_in}" if turn.stands_in else f"{_shift(draft, duty)} is over"
    who = name if turn.stands_in else f"{name}, who follows,"
    still = draft.stands_still
    paging = schedule.handoff == "page" and not still
    if paging:
        draft.say("paged", f"{over}: {who} is paged; {stays}", _reason(schedule, duty, found))
        why = f"{turn.why(incoming)}; {assignee}, who took it, is off {turn.now}"
        draft.page(incoming, through=THROUGH, why=why, otherwise=stays, joins=True)
        draft.change("paged")
    else:
        text = f"{turn.you} {assignee} took it and is off {turn.now}; {stays}."
        draft.notify(incoming.recipient, "handoff", text=text, reason=incoming.why)
        waits = f" ({still}: no page)" if still and schedule.handoff == "page" else ""
        draft.say("handoff", f"{over}: {who} is told{waits}; {stays}", _reason(schedule, duty, found))
    draft.follow(incoming.recipient.name)
    draft.change("handoff")
    if duty.user in draft.live.spec.users:
        heard = "was paged for this" if paging else "has heard of this"
        follows = f"Your shift on {duty.schedule} is over. {name} is on call now"
        follows = f"{name} {turn.stands_in}" if turn.stands_in else follows
        text = f"{follows} and {heard}; it stays with you until somebody takes it over."
        outgoing = Recipient(kind="user", name=duty.user)
        draft.notify(outgoing, "handoff", text=text, reason="it is assigned to you")


SHIFT_ENDS: Final = Moment(
    "the shift of whoever has it ends",
    attrgetter("incident.duty.until"),
    check,
    when=lambda draft: draft.incident.duty and draft.is_acknowledged and not draft.is_muted,
)


class Turn(NamedTuple):
    """The turn of the next person, in words: their own, or standing in while another's shift goes on."""

    until: str
    stands_in: str  # "stands in on desk until …"; '' where the turn is their own
    you: str  # for themselves: since when they are on call, and that this is open
    now: str  # for how long the person they stand in for is off

    def why(self, incoming: Found) -> str:
        """Why they are asked, and until when; for a stand-in that is already said."""
        if self.stands_in:
            return incoming.why
        because, mark, passed = incoming.why.partition("; ")
        return f"{because} until {self.until}{mark}{passed}"


def turn_of(draft: Draft, name: str, roster: Roster, found: OnCall) -> Turn:
    """Whose turn it is now, in words."""
    schedule, stretch = roster.schedule, roster.at(draft.now)
    if stretch.override is None:
        until = local(found.until, schedule.timezone)
        return Turn(until, "", f"You are on call now, until {until}, and this is open.", "now")
    until = local(stretch.ends, schedule.timezone)
    stands_in = f"stands in on {name} until {until}"
    return Turn(until, stands_in, f"You stand in now, until {until}, and this is open.", "meanwhile")


def _shift(draft: Draft, duty: Duty) -> str:
    """Whose shift has ended: the assignee's, or later that of whoever followed."""
    return f"the shift of {draft.directory.display(duty.on_call or duty.user)} on {duty.schedule}"


def _say(draft: Draft, text: str, kind: EntryKind) -> None:
    duty = draft.incident.duty
    assert duty is not None
    draft.say(kind, text, Reason(RULE, values={"schedule": duty.schedule}))


def _reason(schedule: Schedule, duty: Duty, found: OnCall) -> Reason:
    values = {"schedule": duty.schedule, "handoff": schedule.handoff, "on_call": found.reason}
    return Reason(RULE, values=values)


# --- the shift in which somebody takes it -----------------------------------------------------------------


def _duty(draft: Draft) -> Duty | None:
    user = draft.incident.assignee
    if not user:
        return None
    asked = [page.schedule for page in draft.incident.pages if page.user and page.name == user]
    for schedule in dict.fromkeys(name for name in reversed(asked) if name):
        found = _on(draft, schedule, user, asked=True)
        if found is not None:
            return found
    for schedule in _named(draft):
        found = _on(draft, schedule, user, asked=False)
        if found is not None:
            return found
    return None


def _on(draft: Draft, name: str, user: str, *, asked: bool) -> Duty | None:
    """Their shift on this schedule; None when they have none, or the schedule never changes hands."""
    roster, now = draft.directory.roster(name), draft.now
    if roster is None or roster.schedule.handoff == "none":
        return None
    found = roster.on_call(now)
    if found.user == user:
        until = roster.shift_end(now)
        return Duty(schedule=name, user=user, until=until, begins=now, on_call=user)
    if not asked:
        return None
    if found.next_user == user:
        begins, until = found.next_from, roster.shift_end(found.next_from)
        return Duty(schedule=name, user=user, until=until, begins=begins, on_call=user)
    if any(each.schedule == name and each.on_call == found.user for each in draft.incident.unsettled):
        # it ended before they took it, and the next person has been asked
        until = roster.shift_end(now)
        return Duty(schedule=name, user=user, until=until, begins=now, on_call=found.user or "")
    return Duty(schedule=name, user=user, until=now, begins=now, on_call=user)  # it ended before they took it


def _named(draft: Draft) -> Iterator[str]:
    """The schedules that the policy's levels name."""
    for level in draft.policy.levels:
        for target in level.spec.notify:
            inner: Target = target
            while isinstance(inner, SkillTarget):
                inner = inner.among
            if isinstance(inner, ScheduleTarget):
                yield inner.name
