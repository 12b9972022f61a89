"""Escalation points beside each other and beside the levels (docs/rules.md, rules 2, 3, 10, 15)."""

from tests.domain.tale import Tale, on_main, tale

MONEY = {"levels": [{"name": "controller", "notify": ["user:karel"], "acknowledge_within": "1d"}]}


def point(name: str, when: str, *do: dict, **more: str) -> dict:
    return {"name": name, "when": when, "do": list(do), **more}


def with_money(*points: dict) -> dict:
    sections = on_main(points=list(points))
    return {"policies": {**sections["policies"], "money": MONEY}}


def informed(story: Tale) -> list[str]:
    return [notice.recipient.name for notice in story.notices if notice.event == "inform"]


def test_a_points_page_is_still_seen_after_the_level_has_moved_on():
    story = tale(**on_main(points=[point("p", "events >= 2", {"notify": ["user:karel"]})]))
    story.event()
    story.event()
    of_point = story.pages[-1]
    story.later(minutes=6)
    story.act("acknowledge", user="karel", role="admin", page=of_point.page_id)
    assert (story.standing.status, story.standing.assignee) == ("triggered", "")
    assert story.said("seen") != []


def test_a_point_that_hands_it_up_does_not_call_off_what_another_point_asked_for():
    story = tale(
        **with_money(
            point("tell the boss", "events >= 2", {"notify": ["user:karel"]}),
            point("money", "events >= 2", {"escalate": {"policy": "money"}}),
        )
    )
    story.event()
    story.act("acknowledge")
    decision = story.event()
    assert decision.message is not None
    assert [page.through for page in decision.message.pages] == ["point", "level"]


def test_a_point_of_the_policy_just_left_still_tells_but_does_not_move_the_new_chain():
    story = tale(
        **with_money(
            point("money", "events >= 2", {"escalate": {"policy": "money"}}),
            point("experts", "events >= 2", {"escalate": {"level": "experts"}}),
            point("boss", "events >= 2", {"inform": ["user:petra"]}),
        )
    )
    story.event()
    story.event()
    assert (story.standing.chain.policy, story.standing.chain.level) == ("money", 0)
    assert informed(story) == ["petra"]
    assert "the incident has left policy main" in "; ".join(story.said("point"))


def test_one_points_two_verbs_do_not_stumble_over_each_other():
    both = point("both", "events >= 2", {"escalate": {"policy": "money"}}, {"escalate": {"level": "experts"}})
    story = tale(**with_money(both))
    story.event()
    story.event()
    assert story.standing.chain.policy == "money"


def test_the_new_policys_points_are_looked_at_as_soon_as_it_is_entered():
    money = MONEY | {"points": [point("big", "events >= 2", {"inform": ["user:petra"]})]}
    sections = with_money(point("money", "events >= 2", {"escalate": {"policy": "money"}}))
    story = tale(policies={**sections["policies"], "money": money})
    story.event()
    story.event()
    assert informed(story) == ["petra"]


def test_a_condition_on_where_the_incident_stands_sees_what_another_point_just_did():
    story = tale(
        **on_main(
            points=[
                point("told", "level == 'experts'", {"inform": ["user:karel"]}),
                point("up", "events >= 2", {"escalate": {"level": "experts"}}),
            ]
        )
    )
    story.event()
    story.event()
    assert informed(story) == ["karel"]


def test_a_condition_that_holds_again_must_hold_its_full_time_again():
    slow = point("slow", "waiting_for == 'customer'", {"inform": ["user:karel"]}, held_for="3h", repeat="3h")
    story = tale(**on_main(points=[slow]))
    story.event()
    story.event("update", waiting_for="customer")
    story.later(hours=3)
    assert len(story.notices) == 1
    story.event("update", waiting_for="")
    story.later(hours=2)
    story.event("update", waiting_for="customer")
    story.later(hours=2, minutes=59)
    assert len(story.notices) == 1
    story.later(minutes=1)
    assert len(story.notices) == 2


def test_a_share_that_was_passed_before_reopening_does_not_fire_again():
    slas = [{"name": "s", "resolve": "1h"}]
    points = [{"name": "half", "at": "50% of resolve", "do": [{"inform": ["user:karel"]}]}]
    story = tale(slas=slas, **on_main(points=points))
    story.event()
    story.act("acknowledge")
    story.later(minutes=40)
    story.act("resolve")
    story.event()
    story.later(minutes=10)
    assert [notice.event for notice in story.notices if notice.recipient.name == "karel"] == ["inform"]


def test_a_breach_found_late_does_not_swallow_the_highest_point():
    slas = [{"name": "s", "resolve": "1h"}]
    points = [
        {"name": "half", "at": "50% of resolve", "do": [{"notify": ["user:petra"]}]},
        {"name": "most", "at": "80% of resolve", "do": [{"notify": ["user:karel"]}]},
    ]
    story = tale(slas=slas, **on_main(points=points))
    story.event()
    story.act("acknowledge")
    story.down_for(hours=5)
    assert story.paged == ["ana", "karel"]
    assert len(story.said("breach")) == 1


def test_points_of_two_clocks_due_at_once_both_act_even_when_one_hands_it_to_another_policy():
    slas = [{"name": "s", "acknowledge": "10m", "resolve": "20m"}]
    points = [
        {"name": "a", "at": "100% of acknowledge", "do": [{"escalate": {"policy": "money"}}]},
        {
            "name": "r",
            "at": "100% of resolve",
            "do": [{"escalate": {"level": "experts"}}, {"inform": ["user:petra"]}],
        },
    ]
    sections = on_main(points=points)
    story = tale(slas=slas, policies={**sections["policies"], "money": MONEY})
    story.event()
    story.down_for(hours=1)
    assert story.standing.chain.policy == "money"
    assert informed(story) == []  # its ladder was left before
    assert len(story.said("breach")) == 2


def test_a_repeat_may_raise_the_priority_by_its_number_alone():
    priorities = [{"when": "events >= 3", "priority": 1}]
    story = tale(priorities=priorities)
    story.event(severity="warning")
    story.event(severity="warning")
    assert story.standing.priority == 3
    story.event(severity="warning")
    assert story.standing.priority == 1


def test_reopening_may_raise_the_priority_by_its_number_alone():
    story = tale(priorities=[{"when": "reopened >= 1", "priority": 1}])
    story.event(severity="warning")
    story.event("resolve")
    story.event()
    assert story.standing.priority == 1


def test_a_point_in_the_ladder_of_last_opening_fires_again_once_an_opening():
    story = tale(**on_main(points=[point("p", "reopened >= 1", {"inform": ["user:karel"]})]))
    for _ in range(3):
        story.event()
        story.event("resolve")
    assert [n.recipient.name for n in story.notices if n.event == "inform"] == ["karel", "karel"]
