"""Rule 1: the route's `start_at`, else the first level that handles it; `handles` is asked again on changes."""

from tests.domain.tale import ladder, on_main, tale

DESK = {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "handles": "priority >= 3"}
EXPERTS = {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"}
CRISIS = {"name": "crisis", "notify": ["user:karel"], "acknowledge_within": "10m"}
LEVELS = [DESK, EXPERTS, CRISIS]


def skipped(story):
    return [entry for entry in story.entries if entry.kind == "level_skipped"]


def test_the_first_level_that_handles_it_is_the_right_person_from_the_start():
    story = tale(**on_main(levels=LEVELS))
    story.event(severity="critical")
    assert (story.paged, story.standing.handed_up) == (["petra"], 0)
    (entry,) = skipped(story)
    assert (entry.text, entry.reason.expression, entry.reason.values) == (
        "level desk is passed: it does not handle this",
        "priority >= 3",
        {"priority": 1},
    )


def test_the_routes_start_goes_before_what_levels_handle_and_says_what_it_skips():
    story = tale(routes=[{"policy": "main", "start_at": "crisis"}], **on_main(levels=LEVELS))
    story.event(severity="info")
    assert story.paged == ["karel"]
    assert [entry.text for entry in skipped(story)] == [
        "level desk is skipped: the route starts higher",
        "level experts is skipped: the route starts higher",
    ]
    assert all(entry.reason.rule == "routes[0]" for entry in skipped(story))


def test_a_rise_in_priority_hands_it_up_when_nobody_has_taken_it():
    story = tale(**on_main(levels=LEVELS))
    story.event(severity="warning")
    story.event(severity="critical")
    assert story.paged == ["ana", "petra"]
    assert "because level desk does not handle this any more" in story.said("paged")[-1]
    assert story.standing.handed_up == 1


def test_the_next_level_joins_when_somebody_has_taken_it():
    story = tale(**on_main(levels=LEVELS))
    story.event(severity="warning")
    story.act("acknowledge")
    story.event(severity="critical")
    assert (story.paged, story.standing.assignee) == (["ana", "petra"], "ana")
    assert story.said("paged")[-1].startswith("level experts joins")


def test_kind_and_attributes_ask_again_too():
    for handles, news in (
        ("kind == 'incident'", {"kind": "crisis"}),
        ("attributes.users < 10.0", {"attributes": {"users": 500}}),
    ):
        story = tale(
            kinds={"incident": {}, "crisis": {}}, **on_main(levels=[DESK | {"handles": handles}, EXPERTS])
        )
        story.event(attributes={"users": 1})
        story.event(**news)
        assert story.paged == ["ana", "petra"], handles


def test_a_level_that_was_asked_for_by_name_is_not_left_for_being_incompetent():
    story = tale(routes=[{"policy": "main", "start_at": "desk"}], **on_main(levels=LEVELS))
    story.event(severity="error")
    story.event(severity="critical")
    assert story.paged == ["ana"]


def test_while_automation_has_its_chance_a_rise_pages_nobody_and_the_start_is_chosen_after_it():
    story = tale(**on_main(levels=LEVELS, grace={"wait": "2m"}))
    story.event(severity="warning")
    story.event(severity="critical")
    assert story.paged == []
    story.later(minutes=2)
    assert story.paged == ["petra"]


def test_competence_is_asked_anew_in_each_round():
    levels = [DESK | {"handles": "round == 1"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels, rounds=2))
    story.event()
    story.later(minutes=16)
    assert story.paged == ["ana", "petra", "petra"]
