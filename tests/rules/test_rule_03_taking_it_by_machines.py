"""Rule 3: a machine's acknowledge rests the levels for a while; `solve_within` lets the next level join."""

from datetime import timedelta

from tests.domain.tale import on_main, tale

DESK = {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "solve_within": "1h"}
EXPERTS = {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m", "solve_within": "2h"}
CRISIS = {"name": "crisis", "notify": ["user:karel"], "acknowledge_within": "10m"}


def test_a_machines_acknowledge_sets_no_assignee_and_rests_the_levels_for_half_an_hour():
    story = tale()
    story.event()
    story.event("acknowledge")
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "")
    assert story.standing.next_due_at == story.now + timedelta(minutes=30)
    story.later(minutes=30)
    assert (story.standing.status, story.paged) == ("triggered", ["ana", "petra"])
    assert "no person has taken it since a machine did" in story.said("paged")[-1]


def test_it_rests_them_for_the_levels_solve_within_where_it_says_one():
    story = tale(**on_main(levels=[DESK, EXPERTS]))
    story.event()
    story.event("acknowledge")
    story.later(minutes=59)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "petra"]


def test_a_machine_that_says_it_again_rests_them_no_longer():
    story = tale()
    story.event()
    story.event("acknowledge")
    story.later(minutes=20)
    story.event("acknowledge")
    story.later(minutes=10)
    assert story.paged == ["ana", "petra"]


def test_unsolved_within_its_time_the_next_level_that_handles_it_joins_and_the_assignee_stays():
    levels = [DESK, EXPERTS | {"handles": "priority == 1"}, CRISIS]
    story = tale(**on_main(levels=levels))
    story.event(severity="error")
    story.act("acknowledge")
    story.later(hours=1)
    assert (story.paged, story.standing.assignee) == (["ana", "karel"], "ana")
    assert story.said("level_skipped") == ["level experts is passed: it does not handle this"]
    assert "Ana took it and it is not solved within 1 h" in story.said("paged")[-1]


def test_each_level_that_joined_has_its_own_time_and_past_the_top_finally_joins_once():
    story = tale(**on_main(levels=[DESK, EXPERTS]))
    story.event()
    story.act("acknowledge")
    story.later(hours=3)
    assert story.paged == ["ana", "petra", "karel"]
    story.later(hours=12)
    assert story.paged == ["ana", "petra", "karel"]


def test_whoever_joins_is_asked_all_at_once_whatever_the_mode():
    both = EXPERTS | {"notify": ["user:petra", "user:karel"], "mode": {"one_by_one": "2m"}}
    story = tale(**on_main(levels=[DESK, both]))
    story.event()
    story.act("acknowledge")
    story.later(hours=1, minutes=30)
    assert story.paged == ["ana", "petra", "karel"]
    assert {page.otherwise for page in story.pages[1:]} == {"it stays with Ana"}


def test_where_it_was_solved_is_the_level_that_stood_then():
    for hours, level in ((0.5, "desk"), (2, "experts")):
        story = tale(**on_main(levels=[DESK, EXPERTS, CRISIS]))
        story.event()
        story.act("acknowledge")
        story.later(hours=hours)
        story.act("resolve")
        assert story.standing.solved_at == level
