"""What holds after every decision, whatever the policy and whatever happened before."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from services.router.domain import plan
from services.router.domain.draft.draft import Draft
from services.router.domain.model.clock import LIVE, Clock, Interval
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision, Entry
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    Signal,
    TimerFired,
)
from services.router.domain.model.stored import decode, encode
from services.router.domain.plan import SOONEST
from shared.policy.calendars.open_hours import Calendars
from shared.policy.oncall.roster import roster_of
from tests.domain.histories import SECRET

MOST_ENTRIES = 60
MOST_PAGES = 30
_ENDS = {"resolved", "closed"}
_MOVES = {"level_skipped", "paged", "escalated"}
HANDED_OVER = "rule 20: handoff"
_CLUMSY = re.compile(r"None|  |: ;|; $|, ,|\(\)|\bbecause of because\b|: $| $")


@dataclass
class Watch:
    """Looks at each decision of one history; raises AssertionError at the first that breaks a promise."""

    pages: set[str] = field(default_factory=set)
    notices: set[str] = field(default_factory=set)
    woken: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  # by incident: paged in this opening
    on_call: set[tuple[str, str]] = field(default_factory=set)  # page and schedule: asked of who was on call
    heard: set[str] = field(default_factory=set)  # who was paged or told since it was opened
    under: str = ""  # the policy in force meanwhile

    def look(
        self,
        before: Incident | None,
        signal: Signal,
        decision: Decision,
        policy_of: Callable[[Incident], CompiledBundle],
    ) -> None:
        if decision.refusal is not None:
            assert decision.incident is before
            assert not decision.entries
            return
        after = decision.incident
        for entry in decision.entries:
            readable(entry)
        no_trigger_is_ignored(signal, after)
        if after is None:
            assert decision.orphan is not None
            assert decision.message is None
            return
        assert len(decision.entries) <= MOST_ENTRIES
        assert decode(encode(after)) == after
        same = before if before is not None and before.id == after.id else None
        versions(same, after, decision)
        nothing_stands_still(same, after, signal, decision)
        clocks_only_run_forward(same, after)
        promises_are_watched(after, decision, policy_of(after).calendars)
        a_breach_is_told_once(same, decision)
        self._pages(after, decision)
        self._whoever_was_paged_hears_the_end(same, after, decision)
        passed_levels_are_told(same, after, decision)
        pages_are_called_off(same, after, signal, decision)
        a_silence_is_long_and_asked_about_once(same, after, signal, decision)
        nothing_internal_goes_out(decision)
        held_ones_page_nobody(after, signal, decision)
        a_machine_rests_nothing_that_grows_worse(same, after)

    def shift(self, signal: Signal, decision: Decision, context: Context, live: CompiledBundle) -> None:
        """Rule 20: of what was asked through a schedule and nobody took, whoever is on call now has heard."""
        after, message = decision.incident, decision.message
        if after is None or decision.refusal is not None:
            return
        if live.hash != self.under:  # other schedules: who was on call by them is found anew
            self.on_call, self.under = set(), live.hash
        if not after.is_open:
            self.on_call, self.heard = set(), set()
        pages = message.pages if message is not None else ()
        told = [each for each in (message.notices if message is not None else ()) if each.event == "handoff"]
        self.heard |= {each.recipient.name for each in (*pages, *told)}
        handed = [page.recipient.name for page in pages if page.through == "handoff"]
        assert len(handed) == len(set(handed)), "somebody was asked twice for the same"
        assert set(handed).isdisjoint(page.recipient.name for page in pages if page.through == "level")
        for page in after.pages:
            roster = roster_of(live.spec, page.schedule, context.overlay.overrides)
            if roster is None or roster.schedule.handoff == "none" or page.through == "handoff":
                continue
            made_now = page.page_id in {each.page_id for each in pages}
            if made_now and roster.at(after.decided_at).user == page.name:
                self.on_call.add((page.page_id, page.schedule))
            asked = (page.page_id, page.schedule) in self.on_call and page.through != "point"
            if not asked or after.assignee or after.is_muted or not isinstance(signal, TimerFired):
                continue
            assert roster.at(after.decided_at).user in {None, *self.heard}, "who came on call heard nothing"
            assert after.next_due_at is not None
            assert after.next_due_at <= roster.shift_end(after.decided_at) + SOONEST

    def _pages(self, after: Incident, decision: Decision) -> None:
        pages = decision.message.pages if decision.message is not None else ()
        notices = decision.message.notices if decision.message is not None else ()
        assert len(pages) <= MOST_PAGES
        for page in pages:
            assert page.page_id not in self.pages
            self.pages.add(page.page_id)
            assert page.act_by is None or page.act_by > after.decided_at
        for notice in notices:
            assert notice.notice_id not in self.notices
            self.notices.add(notice.notice_id)
        told = [entry for entry in decision.entries if entry.kind == "paged"]
        assert bool(pages) == any("nobody (it resolves to no one)" not in entry.text for entry in told)
        if after.status in {"resolved", "closed"}:
            assert not pages
        if after.assignee:
            joining = {page.page_id for page in after.pages if page.joins}
            assert all(page.through == "point" or page.page_id in joining for page in pages)

    def _whoever_was_paged_hears_the_end(
        self, before: Incident | None, after: Incident, decision: Decision
    ) -> None:
        """All of them, nobody whom no page was sent, and not who brought it; a page says whether it is one more."""
        message = decision.message
        if message is None:
            return
        if "reopened" in message.changes:
            self.woken.pop(after.id, None)
        woken = self.woken.setdefault(after.id, set())
        told = {(each.recipient.kind, each.recipient.name) for each in message.notices if each.event in _ENDS}
        bound = [each.recipient for each in message.notices if each.paged_since]
        assert all((each.kind, each.name) in woken for each in bound)
        if before is not None and before.is_open and not after.is_open:
            assert message.settled is not None
            by = {("user", name.removeprefix("user:")) for name in (message.actor, message.settled.by)}
            lasting = {each for each in woken if each[0] in {"user", "team", "address"}}
            assert lasting - by <= told, (woken, told)
            assert not {("user", each.name) for each in bound} & by
        for page in message.pages:
            key = (page.recipient.kind, page.recipient.name)
            assert page.again == (key in woken)
            assert page.through != "worse" or key == ("user", after.assignee)
        woken |= {(page.recipient.kind, page.recipient.name) for page in message.pages}


def readable(entry: Entry) -> None:
    """The text is no torn sentence and shows no secret part of an address; its reason can be stored."""
    assert entry.text
    assert not _CLUMSY.search(entry.text), entry.text
    assert "secret-path" not in entry.text, entry.text
    if entry.kind in {"level_skipped", "paged", "point", "priority", "sla", "route", "breach", "warn"}:
        assert entry.reason is not None, entry
    if entry.reason is not None:
        msgspec.json.encode(entry.reason.as_json())


def versions(before: Incident | None, after: Incident, decision: Decision) -> None:
    """Each decision that says something is one version; time does not run backwards."""
    said = bool(decision.entries) or decision.message is not None
    assert after.version == (before.version if before is not None else 0) + said
    assert before is None or after.decided_at >= before.decided_at
    assert decision.changed or not said
    if decision.message is not None:
        assert decision.message.incident.version == after.version


def nothing_stands_still(
    before: Incident | None, after: Incident, signal: Signal, decision: Decision
) -> None:
    """What is not closed has a next moment ahead; what nobody has taken and nobody waits for is asked about."""
    if after.status == "closed":
        assert after.next_due_at is None
        return
    assert after.next_due_at is not None
    left = before is not None and after.next_due_at == before.next_due_at
    overdue = left and not isinstance(signal, TimerFired)  # the timer is late already, and comes
    assert after.next_due_at > after.decided_at or overdue or not decision.changed
    if after.status == "triggered" and not after.stands_still:
        assert after.chain.due is not None
    if after.status == "acknowledged" and not after.assignee and not after.stands_still:
        assert after.chain.due is not None
    if isinstance(signal, DeliveryReported):
        assert before is not None
        assigned = any(entry.kind == "point" for entry in decision.entries) and bool(after.assignee)
        assert after.status == before.status or assigned  # by a point of the level that the report led to


ALONE = {due.moment.name for due in plan.WHILE_OPEN if due.alone}
EARLY = {due.moment.name for due in (*plan.WHILE_OPEN, *plan.WHILE_RESOLVED) if due.early}


def what_was_due_is_done(
    before: Incident,
    after: Incident,
    bundle: Callable[[Incident], CompiledBundle],
    context: Context,
    now: datetime,
) -> None:
    """What a timer found due is acted on: at that very moment it is due no longer.

    Where what ends the decision was due, the rest is due still, and comes by itself. A share may be due anew
    where the decision led to another policy, which has points of its own, or to another SLA.
    """
    was_due, is_due = (_due(incident, bundle(incident), context, now) for incident in (before, after))
    if before.is_open and was_due & ALONE:
        was_due &= ALONE
    if (before.chain.policy, before.promised_by) != (after.chain.policy, after.promised_by):
        was_due -= EARLY
    assert was_due.isdisjoint(is_due), f"due, and due again: {was_due & is_due}"


def _due(incident: Incident, bundle: CompiledBundle, context: Context, now: datetime) -> set[str]:
    if incident.status == "closed":
        return set()
    draft = Draft(incident, bundle, context, now)
    coming = plan.OPEN_MOMENTS if draft.is_open else plan.RESOLVED_MOMENTS
    found = {moment.name: moment.at(draft) for moment in coming if moment.when(draft)}
    return {name for name, at in found.items() if at is not None and at <= now}


def pages_are_called_off(
    before: Incident | None, after: Incident, signal: Signal, decision: Decision
) -> None:
    """When nobody is asked any more, what has not been sent is called off; waiting stops the levels."""
    if before is None:
        return
    if before.status == "triggered" and after.status in {"acknowledged", "resolved"} and not before.is_muted:
        assert decision.message is not None
        assert decision.message.settled is not None
    escalated = any(entry.kind == "escalated" or "point" in entry.text for entry in decision.entries)
    rested = after.waiting_for and not before.waiting_for
    if rested and after.status == "triggered" and not escalated:
        assert isinstance(signal, EventReceived | ActionTaken)
        assert after.chain.due is None


def no_trigger_is_ignored(signal: Signal, after: Incident | None) -> None:
    """Whatever its sender's clock says, what was triggered is open; or was merged, and is told there."""
    if isinstance(signal, EventReceived) and signal.event.action == "trigger":
        assert after is not None
        assert after.is_open or after.merged


def held_ones_page_nobody(after: Incident, signal: Signal, decision: Decision) -> None:
    """While a late trigger is held nobody is paged; two minutes later at most it is held no longer."""
    if after.late is None:
        return
    assert after.is_open
    assert after.late.until - after.decided_at <= timedelta(minutes=2)
    assert decision.message is None or not decision.message.pages
    assert after.next_due_at is not None
    assert after.next_due_at <= max(after.late.until, after.decided_at + timedelta(milliseconds=1))
    assert not isinstance(signal, TimerFired) or after.decided_at < after.late.until


def a_machine_rests_nothing_that_grows_worse(before: Incident | None, after: Incident) -> None:
    """While only a machine has it, a rise in priority asks somebody again; what stands still goes on doing so."""
    if before is None or after.stands_still or after.priority >= before.priority:
        return
    assert not all(each.status == "acknowledged" and not each.assignee for each in (before, after))


def a_silence_is_long_and_asked_about_once(
    before: Incident | None, after: Incident, signal: Signal, decision: Decision
) -> None:
    """Nothing is ended or asked for a silence that any event has just ended, and nothing is asked twice."""
    if before is None or not any("has been silent for" in (each.text) for each in decision.entries):
        return
    assert not isinstance(signal, EventReceived)
    spoke = before.last_event_at or before.decided_at
    assert after.decided_at - spoke >= timedelta(minutes=90)
    ended = after.status == "resolved" or after.ended_itself  # a parent waits for its members
    assert ended or (after.still_asked and not before.still_asked)


def ran_for(clock: Clock, now: datetime) -> float:
    """Seconds of wall time in which it ran."""
    return sum(((part.ended or now) - part.started).total_seconds() for part in clock.intervals)


def clocks_only_run_forward(before: Incident | None, after: Incident) -> None:
    """Elapsed time never shrinks, and stands while a clock is paused."""
    if before is None:
        return
    earlier = {clock.target: clock for clock in before.clocks}
    for clock in after.clocks:
        assert [part.ended is None for part in clock.intervals].count(True) == (clock.state == "running")
        was = earlier.get(clock.target)
        if was is None or was.state == "cancelled" or was.by != clock.by:  # kept by somebody else before
            continue
        passed = ran_for(clock, after.decided_at) - ran_for(was, before.decided_at)
        now = after.decided_at
        if clock.target == "update" and clock.intervals in {(), (Interval(now),), (Interval(now, now),)}:
            continue  # the next period has begun (and is promised no more), or begins when the waiting is over
        assert passed >= -0.001, (was, clock)
        limit = (after.decided_at - before.decided_at) / timedelta(seconds=1)
        assert passed <= (0.0 if was.state != "running" else limit) + 0.001


def promises_are_watched(after: Incident, decision: Decision, calendars: Calendars) -> None:
    """What runs towards its goal is looked at when it gets there, or when it is held no longer; only what is past
    its goal is broken.
    """
    held = after.late.until if after.late is not None else after.decided_at
    for clock in after.clocks:
        if clock.state not in LIVE:
            continue
        if clock.breached:
            assert clock.is_used_up(clock.elapsed(after.decided_at, calendars)), clock
            assert clock.breaches, clock
        due = clock.reaches(1.0, calendars)
        if clock.state == "running" and not clock.breached and due is not None and decision.changed:
            assert after.next_due_at is not None
            assert after.next_due_at <= max(due, held, after.decided_at + SOONEST), clock


def a_breach_is_told_once(before: Incident | None, decision: Decision) -> None:
    """One a promise: only what was not broken yet breaks; `update` can begin again in the same decision."""
    told = Counter(entry.text.split()[1] for entry in decision.entries if entry.kind == "breach")
    broken = {clock.target for clock in before.clocks if clock.breached} if before is not None else set()
    for target in told.keys() - {"update"}:
        assert told[target] == 1, told
        assert target not in broken, decision.entries


def passed_levels_are_told(before: Incident | None, after: Incident, decision: Decision) -> None:
    """A level between where it stood and where it stands is in the timeline, with the reason."""
    if before is None or before.chain.policy != after.chain.policy or before.chain.round != after.chain.round:
        return
    if before.policy_hash != after.policy_hash:  # its ladder is another one now: that passes nobody
        return
    if before.chain.unasked or after.chain.unasked or before.chain.state == "assignee":
        return
    told = " ".join(entry.text for entry in decision.entries if entry.kind in _MOVES)
    for index in range(before.chain.level + 1, after.chain.level):
        assert f"level l{index}" in told or "finally is paged instead" in told


def nothing_internal_goes_out(decision: Decision) -> None:
    """No outsider reads notes, reasons or the names of points."""
    if decision.message is None:
        return
    outside = [
        (notice.text, notice.reason)
        for notice in decision.message.notices
        if notice.stakeholder and notice.recipient.kind == "customer"
    ]
    outside += [
        (page.reason, page.otherwise) for page in decision.message.pages if page.recipient.kind == "customer"
    ]
    for texts in outside:
        assert not any(SECRET in text or "scalation point" in text or "level l" in text for text in texts)
    assert all(
        notice.stakeholder for notice in decision.message.notices if notice.recipient.kind == "customer"
    )
    assert all(SECRET not in notice.text for notice in decision.message.notices if notice.stakeholder)
