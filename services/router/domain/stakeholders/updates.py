"""What stakeholders are owed: a first answer to the customer, and regular news (docs/rules.md, rule 8).

The customer is answered by the first update that goes out to them, or by hearing that it is resolved. Every
update, whoever gets it, begins the next period of `update`. A period that passes in silence reminds the
assignee; later ones remind the level above, too.
"""

from datetime import timedelta

from msgspec.structs import replace

from services.router.domain.draft.draft import NEWS, Draft
from services.router.domain.draft.wording import span
from services.router.domain.escalation.next_step import level_above
from services.router.domain.model.clock import LIVE, TOLERANCE, Clock
from services.router.domain.sla import clocks, stopwatch
from shared.events import Recipient
from shared.policy import AtShare


def tell(draft: Draft, text: str, *, person: bool = False) -> None:
    """Send an update to its subscribers (rule 8: it counts for `respond` and `update`)."""
    draft.touch()
    draft.update_text, draft.by_person = text, draft.by_person or person
    draft.say("update", text)
    draft.change("update")


def before_telling(draft: Draft) -> None:
    """A promise that this update is too late for is broken first, so that subscribers hear of it."""
    for clock in draft.incident.clocks:
        late = clock.target in {"respond", "update"} and clock.state == "running" and not clock.breached
        if late and stopwatch.is_past(clock, draft.now, draft.calendars):
            clocks.breach(draft, clock)


def after_telling(draft: Draft) -> None:
    """Note who has now heard something, and what that fulfils."""
    if _customer_hears(draft):
        _answered(draft)
    if draft.incident.status == "resolved":
        clocks.cancel(draft, "respond", "it was resolved before the customer had an answer")
    if "update" in draft.changes:
        draft.set(told_at=draft.now)
        if draft.by_person:
            draft.set(person_told_at=draft.now)
        _next_period(draft)


def _answered(draft: Draft) -> None:
    """Note the first answer, and the first by a person."""
    incident, person = draft.incident, draft.by_person
    if incident.answered_at is None:
        draft.set(answered_at=draft.now)
    if person and incident.person_answered_at is None:
        draft.set(person_answered_at=draft.now)
    clocks.fulfil(draft, "respond", person=person)


def _customer_hears(draft: Draft) -> bool:
    """Whether they do, or would if they had not said that they want to hear nothing."""
    told = (notice.recipient.kind == "customer" and notice.event in NEWS for notice in draft.notices)
    return draft.customer_left or any(told)


def _next_period(draft: Draft) -> None:
    for clock in draft.incident.clocks:
        if clock.target == "update" and clock.state in LIVE:
            if not stopwatch.counts(clock, person=draft.by_person):
                clocks.fulfil(draft, "update", person=False)  # the update that says why it goes on
                continue
            waits = clock.state == "paused"
            clocks.fulfil(draft, "update")
            clocks.begin_again(draft, clock_of(draft, "update"))
            if waits:
                clocks.pause_or_go_on(draft)
            _points_count_anew(draft)


def clock_of(draft: Draft, target: str) -> Clock:
    """The incident's clock for this target, which must exist."""
    return next(clock for clock in draft.incident.clocks if clock.target == target)


def _points_count_anew(draft: Draft) -> None:
    """A point at a share of `update` acts once per period."""
    again = {
        rule.where
        for rule in draft.policy.shares
        if isinstance(rule.spec.at, AtShare) and rule.spec.at.target == "update"
    }
    if not again.isdisjoint(draft.incident.points):
        draft.set(points={where: was for where, was in draft.incident.points.items() if where not in again})


# --- silence ----------------------------------------------------------------------------------------------


def remind(draft: Draft, clock: Clock) -> None:
    """Periods have passed without an update: remind somebody, once however many there were."""
    periods = int((clock.elapsed(draft.now, draft.calendars) + TOLERANCE) / clock.goal)
    if periods <= clock.reminded:
        return
    first = clock.reminded == 0
    marked = replace(clock, reminded=periods)
    draft.set(clocks=stopwatch.changed(draft.incident.clocks, "update", marked))
    if draft.is_muted:
        return
    goal = span(timedelta(seconds=clock.goal))
    text = f"Stakeholders have heard nothing for too long: an update is promised every {goal}."
    reason = clocks.reached(draft, f"slas {clock.sla}.update", marked)
    reminded = _reminded(draft, text)
    if not first or not reminded:  # whoever has it may have left the policy, or a machine has it
        reminded += _level_above(draft, text, reminded)
    names = ", ".join(reminded) or "nobody: nobody has it, nobody is asked"
    draft.say("reminded", f"no update for too long: reminded {names}", reason)


def _reminded(draft: Draft, text: str) -> list[str]:
    """Remind the assignee; without one, whoever is asked to take it."""
    incident, known = draft.incident, draft.live.spec.users
    asked = [page.name for page in incident.pages if page.user and not page.looks]
    names = [incident.assignee] if incident.assignee else list(dict.fromkeys(asked))
    found = [Recipient(kind="user", name=name) for name in names if name in known]
    why = "it is assigned to you" if incident.assignee else "you were asked to take it"
    for recipient in found:
        draft.notify(recipient, "inform", text=text, reason=why)
    return [draft.directory.shown(recipient) for recipient in found]


def _level_above(draft: Draft, text: str, told: list[str]) -> list[str]:
    """Remind the next level that handles the incident, or `finally`."""
    name, found = level_above(draft)
    more = [each for each in found if each.recipient.kind != "customer"]
    more = [each for each in more if draft.directory.shown(each.recipient) not in told]
    for each in more:
        draft.notify(each.recipient, "inform", text=text, reason=f"{each.why} (level above: {name})")
    return [draft.directory.shown(each.recipient) for each in more]
