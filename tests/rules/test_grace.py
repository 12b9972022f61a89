"""A policy's `grace`: automation gets its chance; people are paged only if it still stands."""

from datetime import timedelta

from services.router.domain.model.signals import DeliveryReported
from shared.events import DeliveryReport
from tests.domain.tale import START, ladder, on_main, tale

CALLS = {"restart": {"webhook": "https://automation.example/restart"}}
GRACE = {"wait": "2m", "call": "restart"}


def graceful(**parts):
    return tale(calls=CALLS, **on_main(**({"grace": GRACE} | parts)))


def called(story):
    return [notice for notice in story.notices if notice.event == "call"]


def report(story, outcome, **said):
    """What the notifier says of the call."""
    fields = {
        "report_id": f"r-{outcome}",
        "incident_id": story.standing.id,
        "notice_id": "n",
        "event": "call",
    }
    fields |= {"recipient": "restart", "outcome": outcome, "at": story.now}
    story.tell(DeliveryReported(DeliveryReport(**(fields | said))))


def test_nobody_is_paged_while_automation_has_its_chance():
    story = graceful()
    story.event()
    assert story.paged == []
    assert story.standing.next_due_at == START + timedelta(minutes=2)
    (call,) = called(story)
    assert (call.recipient.kind, call.recipient.name, call.until) == (
        "call",
        "restart",
        START + timedelta(minutes=2),
    )
    assert story.said("grace") == ["nobody is paged for 2 min: automation gets its chance"]
    assert story.said("call") == ["call restart is started: people are paged only if it still stands"]


def test_when_it_still_stands_the_first_level_is_paged_because_automation_did_not_solve_it():
    story = graceful()
    story.event()
    story.later(minutes=2)
    assert story.paged == ["ana"]
    assert "because automation did not solve it within 2 min" in story.said("paged")[0]
    assert story.pages[0].act_by == START + timedelta(minutes=7)
    story.act("resolve")
    assert (story.standing.avoided, story.standing.solved_at, story.standing.handed_up) == (False, "desk", 0)


def test_resolved_in_that_time_the_escalation_is_avoided():
    story = graceful()
    story.event()
    story.later(seconds=90)
    decision = story.event("resolve")
    assert (story.standing.avoided, story.standing.solved_at, story.paged) == (True, "", [])
    assert story.said("avoided") == ["escalation avoided: it was resolved before anybody was paged"]
    assert "avoided" in decision.message.changes


def test_a_machine_that_acknowledges_and_solves_it_avoids_it_too():
    story = graceful()
    story.event()
    story.event("acknowledge")
    story.later(minutes=10)
    story.event("resolve")
    assert (story.standing.avoided, story.paged) == (True, [])


def test_a_machine_that_acknowledges_and_does_not_solve_it_is_followed_by_the_first_level():
    story = graceful()
    story.event()
    story.event("acknowledge")
    story.later(minutes=30)
    assert story.paged == ["ana"]


def test_a_person_may_take_it_before_anybody_is_paged():
    story = graceful()
    story.event()
    story.act("acknowledge")
    story.later(hours=2)
    assert (story.standing.assignee, story.paged) == ("ana", [])
    story.act("resolve")
    assert not story.standing.avoided


def test_a_repeat_and_a_rise_in_priority_leave_it_its_chance():
    story = graceful()
    story.event(severity="warning")
    story.event(severity="critical")
    story.later(seconds=119)
    assert story.paged == []
    assert len(called(story)) == 1


def test_handed_up_by_a_person_the_first_level_is_paged_now():
    story = graceful()
    story.event()
    story.act("escalate")
    assert story.paged == ["ana"]


def test_what_becomes_of_the_call_stands_in_the_timeline():
    story = graceful()
    story.event()
    report(story, "delivered")
    assert story.said("call")[-1] == "call restart reached its automation"
    report(story, "failed", reason="HTTP 404", attempts=3)
    assert story.said("call")[-1] == "call restart failed after 3 attempts: HTTP 404"
    assert story.paged == []


def test_a_call_that_the_policy_in_force_does_not_know_is_told_and_the_wait_goes_on():
    gone = tale(**on_main(grace=GRACE))
    gone.event()
    assert gone.said("call") == ["call restart is not started: the policy in force has no such call"]
    assert called(gone) == []
    gone.later(minutes=2)
    assert gone.paged == ["ana"]


def test_after_downtime_the_first_level_is_paged():
    story = graceful()
    story.event()
    story.down_for(hours=3)
    assert story.paged == ["ana"]
    assert story.standing.next_due_at == story.now + timedelta(minutes=5)


def test_what_came_back_pages_people_at_once():
    story = graceful()
    story.event()
    story.event("resolve")
    story.later(minutes=1)
    story.event()
    assert (story.paged, story.standing.avoided) == (["ana"], False)


def test_it_begins_when_the_waiting_with_which_it_opened_is_over():
    story = graceful()
    story.event(waiting_for="customer")
    assert called(story) == []
    story.event("update", waiting_for="")
    assert (story.paged, len(called(story))) == ([], 1)
    story.later(minutes=2)
    assert story.paged == ["ana"]


def test_another_policy_gives_automation_no_second_chance():
    other = ladder(levels=[{"name": "x", "notify": ["user:petra"], "acknowledge_within": "1d"}], grace=GRACE)
    story = tale(calls=CALLS, policies={"main": ladder(grace=GRACE), "other": other})
    story.event()
    story.act("escalate", policy="other")
    assert (story.paged, len(called(story))) == (["petra"], 1)


def test_when_a_point_has_paged_somebody_meanwhile_nothing_was_avoided():
    points = [{"name": "many", "when": "events >= 2", "do": [{"notify": ["user:karel"]}]}]
    story = graceful(points=points)
    story.event()
    story.event()
    story.event("resolve")
    assert (story.paged, story.standing.avoided, story.said("avoided")) == (["karel"], False, [])
