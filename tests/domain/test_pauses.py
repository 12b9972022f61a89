"""Waiting and resting: what stops the levels, and what sets them going again (docs/rules.md, rules 3, 6, 9)."""

from datetime import timedelta

from tests.domain.tale import START, ladder, on_main, tale

PAUSING = [{"name": "s", "acknowledge": "10m", "resolve": "1h", "pause_while": ["customer"]}]


def test_a_trigger_that_waits_already_pages_nobody_until_the_waiting_is_over():
    story = tale(slas=PAUSING)
    story.event(waiting_for="customer")
    assert (story.paged, story.said("paged")) == ([], [])
    assert {clock.state for clock in story.standing.clocks} == {"paused"}
    story.later(hours=3)
    story.event("update", waiting_for="")
    assert story.paged == ["ana"]
    story.later(minutes=5)
    assert story.paged == ["ana", "petra"]


def test_waiting_for_somebody_else_instead_pages_nobody():
    story = tale(slas=PAUSING)
    story.event()
    story.event("update", waiting_for="customer")
    before = len(story.said("paged"))
    story.event("update", waiting_for="vendor")
    assert (story.paged, len(story.said("paged"))) == (["ana"], before)
    assert {clock.state for clock in story.standing.clocks} == {"running"}


def test_an_update_that_brings_waiting_and_a_change_of_competence_pages_nobody():
    levels = [ladder()["levels"][0] | {"handles": "!has(attributes.hard)"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event()
    story.event("update", waiting_for="customer", attributes={"hard": True})
    assert (story.paged, len(story.said("paged"))) == (["ana"], 1)
    story.event("update", waiting_for="")
    assert story.paged == ["ana", "petra"]


def test_a_change_of_competence_while_waiting_pages_nobody_before_the_waiting_is_over():
    levels = [ladder()["levels"][0] | {"handles": "!has(attributes.hard)"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event()
    story.event("update", waiting_for="customer")
    story.event("update", attributes={"hard": True})
    assert story.paged == ["ana"]
    story.event("update", waiting_for="")
    assert story.paged == ["ana", "petra"]


def test_taking_it_while_it_waits_starts_solve_within_when_the_waiting_is_over():
    levels = [ladder()["levels"][0] | {"solve_within": "1h"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event()
    story.event("update", waiting_for="customer")
    story.act("acknowledge")
    story.later(hours=5)
    assert story.paged == ["ana"]
    story.event("update", waiting_for="")
    story.later(minutes=59)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "petra"]


def test_a_machines_rest_ends_although_there_was_waiting_in_between():
    story = tale()
    story.event()
    story.event("acknowledge")
    story.event("update", waiting_for="customer")
    story.event("update", waiting_for="")
    story.later(minutes=30)
    assert story.paged == ["ana", "petra"]


def test_a_machine_that_acknowledges_while_it_waits_does_not_end_the_waiting():
    story = tale()
    story.event()
    story.event("update", waiting_for="customer")
    story.event("acknowledge")
    story.later(hours=2)
    assert story.paged == ["ana"]


def test_a_machine_that_acknowledges_again_and_again_does_not_keep_the_levels_resting():
    story = tale()
    story.event()
    for _ in range(4):
        story.act("acknowledge", user="")
        story.later(minutes=10)
    assert story.paged[:2] == ["ana", "petra"]


def test_a_machines_acknowledge_with_news_that_ask_for_another_level_pages_it_and_says_so_once():
    levels = [ladder()["levels"][0] | {"handles": "priority >= 3"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event(severity="warning")
    story.event("acknowledge", severity="critical")
    assert story.paged == ["ana", "petra"]
    assert len(story.said("paged")) == 2


def test_a_person_may_take_what_a_machine_acknowledged_and_is_told_that_it_is_possible():
    story = tale()
    story.event()
    story.event("acknowledge")
    refusal = story.act("sing", user="ana").refusal
    assert refusal is not None
    assert "acknowledge" in refusal.possible
    story.act("acknowledge")
    assert story.standing.assignee == "ana"
    story.later(hours=12)
    assert story.paged == ["ana"]


def test_after_finally_a_machines_rest_leads_back_to_finally_not_to_a_new_round():
    story = tale(**on_main(rounds=3))
    story.event()
    story.act("escalate")
    story.act("escalate", user="petra")
    story.event("acknowledge")
    story.later(minutes=30)
    assert story.paged == ["ana", "petra", "karel", "karel"]


def test_handing_up_while_it_waits_pages_now_and_goes_on_up_the_ladder():
    story = tale()
    story.event()
    story.event("update", waiting_for="customer")
    story.act("escalate")
    assert story.paged == ["ana", "petra"]
    story.later(minutes=10)
    assert story.paged == ["ana", "petra", "karel"]
    assert story.standing.waiting_for == "customer"


def test_what_conditions_see_as_acknowledged_ends_when_it_is_triggered_again():
    points = [{"name": "lost", "when": "!acknowledged && events >= 2", "do": [{"inform": ["user:karel"]}]}]
    story = tale(**on_main(points=points))
    story.event()
    story.act("acknowledge")
    story.event()
    assert story.notices == []
    story.act("escalate")
    assert [notice.recipient.name for notice in story.notices] == ["karel"]


def test_waiting_has_an_end_even_when_it_began_with_the_trigger():
    story = tale()
    story.event(waiting_for="vendor")
    assert story.standing.next_due_at == START + timedelta(days=1)
    story.later(days=1)
    assert story.paged == ["ana"]
