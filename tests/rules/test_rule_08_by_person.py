"""Rule 8: what a person is to do is not done by a machine; reports tell them apart."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from services.router.domain.model.clock import Clock
from services.router.domain.model.signals import RelatedMessage
from services.router.domain.model.stored import decode, encode
from services.router.domain.reporting.report_facts import BY_PERSON, TARGETS, Outcome, outcome
from shared.events import RelatedChanged
from tests.domain.tale import START, Tale, bundle, compiled, on_main, tale

HEARS = [{"who": ["customer"], "events": ["update", "resolved"]}]
BY_PERSON_ONLY = {"name": "s", "acknowledge": {"within": "5m", "by": "person"}, "resolve": "4h"}


def story_of(*, points: list[Mapping[str, Any]] | None = None, **promised: Any) -> Tale:
    """One of acme's, whose customer hears updates; the SLA promises this."""
    slas = [{"name": "s", **promised}]
    story = tale(slas=slas, subscriptions=HEARS, **on_main(points=points or []))
    story.event(customer="acme")
    return story


def clock(story: Tale, target: str) -> Clock:
    return next(clock for clock in story.standing.clocks if clock.target == target)


def counted(story: Tale) -> Outcome:
    return outcome(story.standing)


# --- acknowledge ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["key", "sender"])
def test_a_machine_acknowledges_what_a_person_is_to_take_and_the_promise_runs_on_until_ana_takes_it(machine):
    story = story_of(acknowledge={"within": "5m", "by": "person"})
    assert story.said("activate") == ["clock acknowledge starts: 5 min, by a person"]
    story.later(minutes=1)
    story.act("acknowledge", "") if machine == "key" else story.event("acknowledge")
    assert (story.standing.status, clock(story, "acknowledge").state) == ("acknowledged", "running")
    why = "clock acknowledge goes on: it is promised by a person, this was a machine's"
    assert why in story.said("sla")
    story.later(minutes=4)
    assert [text.split()[1] for text in story.said("breach")] == ["acknowledge"]
    story.later(minutes=1)
    story.act("acknowledge")
    assert (clock(story, "acknowledge").state, clock(story, "acknowledge").took) == ("fulfilled", 360)


def test_unless_the_sla_says_otherwise_anybodys_acknowledge_and_update_count_and_a_persons_answer():
    story = story_of(acknowledge="5m", respond="15m", update="30m")
    assert [each.by for each in story.standing.clocks] == ["anybody", "person", "anybody"]
    story.act("acknowledge", "")
    assert clock(story, "acknowledge").state == "fulfilled"


def test_a_machine_names_ana_as_its_assignee_and_the_promise_is_kept_when_she_says_so_herself():
    story = story_of(acknowledge={"within": "5m", "by": "person"})
    story.act("acknowledge", "", assignee="ana")
    assert (story.standing.assignee, clock(story, "acknowledge").state) == ("ana", "running")
    story.later(minutes=2)
    story.act("acknowledge")
    assert clock(story, "acknowledge").took == 120
    assert story.said("seen") == ["Ana has it already, and now says so too"]
    assert story.act("acknowledge").changed is False  # once is enough


def test_a_lead_who_assigns_it_is_a_person_an_escalation_point_is_not():
    points = [{"name": "hers", "when": "events >= 2", "do": [{"assign": "user:ana"}]}]
    by_lead, by_point = (story_of(points=points, acknowledge={"within": "5m", "by": "person"}) for _ in "ab")
    by_lead.act("assign", "petra", "lead", to="ana")
    by_point.event()
    assert (by_lead.standing.assignee, by_point.standing.assignee) == ("ana", "ana")
    assert [clock(each, "acknowledge").state for each in (by_lead, by_point)] == ["fulfilled", "running"]


def test_what_its_sender_resolves_before_a_person_took_it_owes_no_acknowledge_until_it_is_reopened():
    story = story_of(acknowledge={"within": "5m", "by": "person"})
    story.later(minutes=3)
    story.event("resolve")
    assert clock(story, "acknowledge").state == "cancelled"
    story.event()
    assert clock(story, "acknowledge").state == "running"
    story.act("resolve")  # ana solved it: she had it
    assert clock(story, "acknowledge").state == "fulfilled"


def test_whoever_takes_the_parent_takes_its_members_as_a_person_or_as_a_machine():
    member = story_of(acknowledge={"within": "5m", "by": "person"})
    member.incident = decode(encode(member.standing).replace(b'"opened_at"', b'"parent":"p","opened_at"'))

    def told(**values: Any) -> None:
        message = RelatedChanged(
            message_id=f"m{len(member.decisions)}", to=member.standing.id, incident_id="p", relation="stands",
            at=member.now, title="the parent", status="acknowledged", values=values,
        )  # fmt: skip
        member.tell(RelatedMessage(message))

    told(assignee="ana", person=False)
    assert (member.standing.assignee, clock(member, "acknowledge").state) == ("ana", "running")
    told(assignee="ana", person=True)
    assert clock(member, "acknowledge").state == "fulfilled"


def test_a_promise_that_anybody_may_keep_now_is_kept_by_the_machine_that_took_it_before():
    slas = [
        BY_PERSON_ONLY | {"when": "priority == 1"},
        {"name": "rest", "acknowledge": "1h", "resolve": "1d"},
    ]
    story = tale(slas=slas)
    story.event(severity="critical")
    story.act("acknowledge", "")
    story.act("set", "petra", "lead", changes={"priority": 4})
    assert clock(story, "acknowledge").state == "fulfilled"
    story.later(hours=2)
    assert not [text for text in story.said("breach") if "acknowledge" in text]


@pytest.mark.parametrize("how", ["reapplied", "another one"])
def test_what_a_machine_acknowledged_is_owed_by_a_person_when_the_promise_now_is_a_persons(how):
    """Judged by the present goal: reapplied under a corrected policy, or with a higher priority."""
    persons = {"name": "s", "acknowledge": {"within": "30m", "by": "person"}}
    slas = [persons | {"name": "high", "when": "priority == 1"}, {"name": "s", "acknowledge": "30m"}]
    story = tale(slas=slas)
    story.event(severity="warning")
    story.later(minutes=1)
    story.act("acknowledge", "")
    assert clock(story, "acknowledge").state == "fulfilled"
    story.later(minutes=9)
    if how == "reapplied":
        story.policy = compiled(bundle(slas=[persons]))
        story.act("reapply", user="petra", role="lead")
    else:
        story.event(severity="critical")
    assert (clock(story, "acknowledge").state, clock(story, "acknowledge").by) == ("running", "person")
    assert (
        "acknowledge is promised by a person now, and only a machine did it so far" in story.said("sla")[-1]
    )
    story.later(minutes=20)  # it counts from the opening
    assert [text.split()[1] for text in story.said("breach")] == ["acknowledge"]
    story.act("acknowledge")
    assert clock(story, "acknowledge").state == "fulfilled"


def test_what_a_person_took_stays_kept_when_the_promise_becomes_a_persons():
    slas = [BY_PERSON_ONLY | {"when": "priority == 1"}, {"name": "s", "acknowledge": "1h"}]
    story = tale(slas=slas)
    story.event(severity="warning")
    story.later(minutes=1)
    story.act("acknowledge")
    story.event(severity="critical")
    assert (clock(story, "acknowledge").state, clock(story, "acknowledge").took) == ("fulfilled", 60)


def test_a_machines_answer_is_no_answer_when_the_promise_becomes_a_persons():
    slas = [
        {"name": "high", "when": "priority == 1", "respond": "15m"},
        {"name": "s", "respond": {"within": "1h", "by": "anybody"}},
    ]
    story = tale(slas=slas, subscriptions=HEARS)
    story.event(customer="acme", severity="warning")
    story.act("update", "", text="A robot is looking.")
    assert clock(story, "respond").state == "fulfilled"
    story.event(severity="critical")
    assert clock(story, "respond").state == "running"
    story.later(minutes=15)
    assert [text.split()[1] for text in story.said("breach")] == ["respond"]


# --- respond, update --------------------------------------------------------------------------------------


def test_what_a_machine_writes_to_the_customer_is_no_answer_until_a_person_writes():
    half = {"name": "half", "at": "50% of respond", "do": [{"update": "We have seen it."}]}
    story = story_of(points=[half], respond="15m")
    story.later(minutes=8)
    assert [notice.event for notice in story.notices] == ["update"]
    story.act("update", "", text="A robot is looking.")
    assert clock(story, "respond").state == "running"
    story.later(minutes=1)
    story.act("update", text="We have found the cause.")
    assert (clock(story, "respond").state, clock(story, "respond").took) == ("fulfilled", 540)


def test_an_sla_may_let_a_machine_answer():
    story = story_of(respond={"within": "15m", "by": "anybody"})
    story.act("update", "", text="A robot is looking.")
    assert clock(story, "respond").state == "fulfilled"


def test_hearing_that_its_sender_resolved_it_is_no_persons_answer():
    by_sender, by_ana = story_of(respond="15m"), story_of(respond="15m")
    by_sender.event("resolve")
    by_ana.act("resolve")
    assert [clock(each, "respond").state for each in (by_sender, by_ana)] == ["cancelled", "fulfilled"]


def test_news_that_a_person_owes_is_not_given_by_a_machine():
    story = story_of(update={"within": "30m", "by": "person"})
    story.act("acknowledge")
    story.later(minutes=20)
    story.act("update", "", text="Still broken, says a robot.")
    story.later(minutes=9)
    assert story.said("breach") == []
    story.later(minutes=1)
    assert [text.split()[1] for text in story.said("breach")] == ["update"]
    story.act("update", text="We go on.")
    assert clock(story, "update").elapsed(story.now, {}) == 0


# --- reports ----------------------------------------------------------------------------------------------


def test_reports_count_to_the_millisecond_when_a_machine_took_it_and_when_a_person_did():
    story = story_of(acknowledge="5m", respond="15m")
    story.now += timedelta(milliseconds=2345)
    story.act("acknowledge", "")
    told = counted(story)
    assert (told.taken_after, told.taken_ms, told.machine_first, told.person_after) == (2, 345, True, None)
    story.now = START + timedelta(seconds=60, microseconds=7999)
    story.act("acknowledge")
    story.now = START + timedelta(seconds=90, milliseconds=1)
    story.act("resolve")
    told = counted(story)
    assert (told.person_after, told.person_ms) == (60, 7)
    assert (told.solved_after, told.solved_ms) == (90, 1)
    assert told.promises >> BY_PERSON == 1 << TARGETS.index("respond")


def test_what_the_last_release_took_counts_as_a_persons_as_before():
    story = story_of(acknowledge="5m")
    story.later(seconds=30)
    story.act("acknowledge")
    stored = encode(story.standing).replace(b'"person_took_at"', b'"nothing"')
    told = outcome(decode(stored))
    assert (told.taken_after, told.machine_first, told.person_after) == (30, False, 30)
