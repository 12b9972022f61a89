"""Handing up, rounds, named levels, other policies (docs/rules.md, rules 1, 3, 4, 5)."""

from tests.domain.tale import ladder, on_main, tale

THREE = [
    {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"},
    {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "5m"},
    {"name": "crisis", "notify": ["user:karel"], "acknowledge_within": "5m"},
]
MONEY = {"levels": [{"name": "finance", "notify": ["user:petra"], "acknowledge_within": "1d"}]}


def test_handing_up_stays_in_its_round_and_the_next_round_still_comes():
    story = tale(**on_main(levels=THREE, rounds=2))
    story.event()
    story.act("escalate")
    assert story.standing.chain.round == 1
    story.later(minutes=10)
    assert story.paged == ["ana", "petra", "karel", "ana"]


def test_a_named_level_is_paged_whatever_it_handles():
    levels = [THREE[0], THREE[1], THREE[2] | {"handles": "priority == 1"}]
    story = tale(**on_main(levels=levels))
    story.event(severity="warning")
    story.act("escalate", level="crisis")
    assert story.paged == ["ana", "karel"]
    assert story.said("level_skipped") == ["level experts is skipped: level crisis was asked for"]


def test_the_routes_start_at_is_paged_whatever_it_handles_and_a_repeat_does_not_hand_it_up():
    levels = [THREE[0], THREE[1] | {"handles": "priority <= 2"}, THREE[2]]
    story = tale(routes=[{"policy": "main", "start_at": "experts"}], **on_main(levels=levels))
    story.event(severity="warning")
    assert story.paged == ["petra"]
    story.event(attributes={"note": "still"})
    assert story.paged == ["petra"]


def test_the_page_into_another_policy_carries_the_note():
    story = tale(policies={"main": ladder(), "money": MONEY})
    story.event()
    story.act("escalate", policy="money", because="authority", note="it needs 50,000")
    assert "it needs 50,000" in story.pages[-1].reason
    assert "Ana handed it up (authority)" in story.said("paged")[-1]


def test_who_handed_it_up_follows_on_although_somebody_else_had_it():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.act("escalate", user="karel", role="admin")
    assert story.standing.followers == ("ana", "karel")


def test_the_assignee_follows_what_a_point_hands_up_and_hears_of_it():
    points = [
        {
            "name": "money",
            "when": "events >= 2",
            "do": [{"escalate": {"policy": "money"}, "because": "authority"}],
        }
    ]
    sections = on_main(points=points)
    story = tale(policies={**sections["policies"], "money": MONEY})
    story.event()
    story.act("acknowledge")
    story.event()
    assert story.paged == ["ana", "petra"]
    assert [(notice.recipient.name, notice.event) for notice in story.notices] == [("ana", "inform")]
    story.act("acknowledge", user="petra")
    assert [notice.recipient.name for notice in story.notices if notice.event == "taken"] == ["ana"]


def test_no_longer_competent_at_the_top_goes_to_finally_not_to_a_new_round():
    levels = [THREE[0] | {"handles": "priority >= 3"}, THREE[1] | {"handles": "priority >= 2"}]
    story = tale(**on_main(levels=levels, rounds=3))
    story.event(severity="error")
    assert story.paged == ["petra"]
    story.event(severity="critical")
    assert story.paged == ["petra", "karel"]
    assert story.standing.chain.state == "finally"


def test_a_level_may_ask_for_the_round_it_would_be_paged_in():
    levels = [THREE[2] | {"handles": "round >= 2"}, THREE[0]]
    story = tale(**on_main(levels=levels, rounds=2))
    story.event()
    assert story.pages[0].otherwise == "level crisis is paged (round 2)"
    story.later(minutes=10)
    assert [page.level for page in story.pages] == ["desk", "crisis", "desk"]


def test_levels_that_name_nobody_are_passed_once_however_many_rounds_there_are():
    empty = [{"name": f"level {n}", "notify": ["owner"], "acknowledge_within": "5m"} for n in range(3)]
    story = tale(**on_main(levels=empty, rounds=100))
    decision = story.event()
    assert story.paged == ["karel"]
    assert len(decision.entries) < 20


def test_levels_that_handle_nothing_are_passed_once_however_many_rounds_there_are():
    never = [level | {"handles": "priority == 5"} for level in THREE]
    story = tale(**on_main(levels=never, rounds=100))
    decision = story.event()
    assert story.pages[0].through == "finally"
    assert len(decision.entries) < 20


def test_what_a_page_says_comes_next_skips_a_level_that_names_nobody():
    levels = [THREE[0], THREE[1] | {"notify": ["owner"]}, THREE[2]]
    story = tale(**on_main(levels=levels))
    story.event()
    assert story.pages[0].otherwise == "level crisis is paged"


def test_that_competence_could_not_be_told_is_on_record():
    levels = [THREE[0] | {"handles": "attributes.size < 3.0"}, THREE[1]]
    story = tale(**on_main(levels=levels))
    story.event()
    assert "could not be evaluated" in story.said("competence")[0]


def test_after_reopening_whoever_takes_it_again_hands_it_up_from_where_they_had_it():
    story = tale(**on_main(levels=THREE))
    story.event()
    story.later(minutes=5)
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra")
    story.event()
    story.act("acknowledge", user="petra")
    story.act("escalate", user="petra")
    assert story.paged == ["ana", "petra", "petra", "karel"]


def test_after_reopening_a_machines_rest_leads_to_the_first_level():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.act("resolve")
    story.event()
    story.event("acknowledge")
    story.later(minutes=30)
    assert story.paged == ["ana", "ana", "ana"]
    assert story.pages[-1].level == "desk"


def test_reopening_with_news_that_the_level_cannot_handle_pages_once():
    levels = [THREE[0] | {"handles": "priority >= 3"}, *THREE[1:]]
    story = tale(**on_main(levels=levels))
    story.event(severity="warning")
    story.act("acknowledge")
    story.act("resolve")
    decision = story.event(severity="critical")
    assert decision.message is not None
    assert [page.recipient.name for page in decision.message.pages] == ["ana"]
    story.later(minutes=5)
    assert story.paged == ["ana", "ana", "petra"]


def test_reopening_lets_a_policy_be_entered_again():
    story = tale(policies={"main": ladder(), "money": MONEY})
    story.event()
    story.act("escalate", policy="money")
    story.act("resolve")
    story.event()
    story.act("escalate", policy="main")
    assert story.standing.chain.policy == "main"
