"""Pages that reach nobody (docs/rules.md, rule 7)."""

from datetime import timedelta

from tests.domain.tale import on_main, tale


def test_a_step_held_back_for_a_minute_says_why_it_comes_then():
    story = tale()
    story.event()
    story.report(story.pages[0], "unreachable")
    story.later(seconds=10)
    story.report(story.pages[1], "unreachable")
    story.later(minutes=1)
    assert story.paged == ["ana", "petra", "karel"]
    assert "no page to level experts reached anybody" in story.said("paged")[-1]


def test_finally_that_reaches_nobody_is_followed_by_last_resort():
    story = tale(last_resort=["user:petra"])
    story.event()
    story.act("escalate")
    story.act("escalate", user="petra")
    story.later(minutes=2)
    story.report(story.pages[-1], "unreachable")
    assert story.pages[-1].through == "last_resort"
    assert story.paged[-1] == "petra"


def test_finally_that_reaches_nobody_within_the_minute_is_followed_by_last_resort_after_it():
    story = tale(last_resort=["user:petra"])
    story.event()
    story.act("escalate")
    story.report(story.pages[-1], "unreachable")
    assert story.pages[-1].through == "finally"
    story.report(story.pages[-1], "unreachable")
    story.later(minutes=1)
    assert [page.through for page in story.pages][-2:] == ["finally", "last_resort"]


def test_when_nobody_at_all_can_be_reached_it_is_tried_again_at_the_pace_of_finally():
    story = tale()
    story.event()
    for _ in range(60):
        for page in story.pages[-1:]:
            if page.page_id in {each.page_id for each in story.standing.pages if each.state == "sent"}:
                story.report(page, "unreachable")
        story.later(minutes=1)
    assert 6 <= len(story.pages) <= 14
    assert story.standing.next_due_at is not None
    assert story.standing.next_due_at <= story.now + timedelta(minutes=15)


def test_while_it_waits_a_report_sets_nothing_going():
    story = tale()
    story.event()
    story.event("update", waiting_for="customer")
    story.report(story.pages[0], "unreachable")
    assert story.paged == ["ana"]


def test_the_reopened_incidents_assignee_who_cannot_be_reached_is_followed_by_the_level():
    story = tale()
    story.event()
    story.later(minutes=5)
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra")
    story.event()
    story.report(story.pages[-1], "unreachable")
    assert story.paged == ["ana", "petra", "petra", "ana"]
    assert "no page to the assignee reached anybody" in story.said("paged")[-1]


def test_a_page_of_a_point_that_reaches_nobody_changes_nothing():
    points = [{"name": "p", "when": "events >= 2", "do": [{"notify": ["user:karel"]}]}]
    story = tale(**on_main(points=points))
    story.event()
    story.event()
    story.report(story.pages[-1], "unreachable")
    assert story.paged == ["ana", "karel"]
    story.report(story.pages[0], "unreachable")
    assert story.paged == ["ana", "karel", "petra"]
