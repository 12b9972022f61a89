"""Taken and unsolved: others join, the assignee stays (docs/rules.md, rules 1, 3)."""

from tests.domain.tale import ladder, on_main, tale

SLOW = [
    {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "solve_within": "1h"},
    {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"},
    {"name": "crisis", "notify": ["user:karel"], "acknowledge_within": "10m"},
]


def joined():
    story = tale(**on_main(levels=SLOW, rounds=2))
    story.event()
    story.act("acknowledge")
    story.later(hours=1)
    assert story.paged == ["ana", "petra"]
    return story


def test_the_page_to_join_promises_no_deadline_that_nothing_keeps():
    page = joined().pages[-1]
    assert (page.act_by, page.otherwise) == (None, "it stays with Ana")


def test_joining_does_not_use_up_the_rounds():
    story = joined()
    assert story.standing.chain.round == 1
    story.act("escalate")
    story.later(minutes=10)
    assert story.paged == ["ana", "petra", "karel", "ana"]


def test_whoever_is_asked_to_join_may_answer_and_the_assignee_stays():
    story = joined()
    decision = story.act("acknowledge", user="petra", page=story.pages[-1].page_id)
    assert decision.refusal is None
    assert (story.standing.assignee, story.said("seen")) == ("ana", ["Petra joins; Ana keeps it"])
    assert story.standing.followers == ("petra",)


def test_whoever_was_paged_before_it_was_taken_still_hears_who_has_it():
    both = [SLOW[0] | {"notify": ["user:ana", "user:petra"]}]
    story = tale(**on_main(levels=both))
    story.event()
    story.act("acknowledge")
    refusal = story.act("acknowledge", user="petra", page=story.pages[1].page_id).refusal
    assert refusal is not None
    assert refusal.reason == "it is taken already, by Ana"


def test_when_a_page_to_join_reaches_nobody_the_next_level_joins_at_once():
    story = joined()
    story.report(story.pages[-1], "unreachable")
    assert story.paged == ["ana", "petra", "karel"]
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "ana")


def test_no_longer_competent_the_next_level_joins_what_somebody_took():
    levels = [ladder()["levels"][0] | {"handles": "priority >= 3"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels, rounds=2))
    story.event(severity="warning")
    story.act("acknowledge")
    story.event(severity="critical")
    assert story.paged == ["ana", "petra"]
    assert story.standing.assignee == "ana"
    assert story.pages[-1].otherwise == "it stays with Ana"
    story.later(hours=3)
    assert story.paged == ["ana", "petra"]


def test_past_the_top_finally_joins_once():
    levels = [SLOW[0]]
    story = tale(**on_main(levels=levels))
    story.event()
    story.act("acknowledge")
    story.later(hours=5)
    assert story.paged == ["ana", "karel"]
    assert "again every" not in story.said("paged")[-1]
