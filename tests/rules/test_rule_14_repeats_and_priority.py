"""Rule 14: a repeat never pages again by itself; priority rises by itself and falls only by a person."""

from tests.domain.tale import Tale, tale

ROWS = [
    {"when": "has(attributes.worse)", "priority": 1},
    {"when": "has(attributes.bad)", "priority": 2},
    {"priority": 3},
]


def opened(**sections) -> Tale:
    story = tale(**({"priorities": ROWS} | sections))
    story.event(attributes={"bad": True})
    return story


def lowered(to: int = 4) -> Tale:
    story = opened()
    story.act("set", user="petra", role="lead", changes={"priority": to})
    return story


def test_a_repeat_counts_and_refreshes_and_pages_nobody():
    story = opened()
    story.event(description="still", attributes={"bad": True})
    assert (story.standing.events, story.standing.description, story.paged) == (2, "still", ["ana"])


def test_it_rises_by_itself_and_does_not_fall_when_the_facts_do():
    story = opened()
    story.event("update", attributes={"worse": True})
    assert story.standing.priority == 1
    story.act("set", changes={"attributes": {"worse": None, "bad": None}})
    assert (story.standing.priority, story.standing.attributes) == (1, {})


def test_to_lower_it_needs_a_lead():
    story = opened()
    refused = story.act("set", changes={"priority": 4}).refusal
    assert (refused.kind, story.standing.priority) == ("forbidden", 2)
    assert "needs the role lead; this key has responder" in refused.reason
    story.act("set", changes={"priority": 1})  # anybody who acts may raise it
    assert story.standing.priority == 1


def test_the_same_facts_do_not_raise_again_what_a_person_has_lowered():
    story = lowered()
    assert story.said("priority")[-1] == "priority falls from 2 to 4"
    for number in range(3):  # other words, the same facts: the rules are asked again
        story.event(description=f"still, {number}", attributes={"bad": True})
    assert (story.standing.priority, story.standing.priority_by) == (4, "user:petra")


def test_facts_that_are_worse_than_what_the_person_saw_raise_it_again():
    story = lowered()
    story.event(attributes={"worse": True})
    assert story.standing.priority == 1
    assert story.said("priority")[-1] == "priority rises from 4 to 1"


def test_who_raised_it_above_the_rules_is_not_overruled_either():
    story = opened()
    story.act("set", changes={"priority": 1})
    story.act("set", user="petra", role="lead", changes={"priority": 2})
    story.event(attributes={"bad": True})
    assert story.standing.priority == 2


def test_what_a_person_has_set_no_repeat_sets_back_but_facts_go_on():
    story = tale(services={"checkout": {}, "payments": {}}, kinds={"crisis": {}})
    story.event(service="checkout", attributes={"size": 1})
    story.act("set", changes={"service": "payments", "kind": "crisis", "customer": "acme"})
    story.event(service="checkout", kind="incident", customer="other", attributes={"size": 2})
    now = story.standing
    assert (now.service, now.kind, now.customer, now.tier) == ("payments", "crisis", "acme", "gold")
    assert now.attributes == {"size": 2}


def test_setting_fields_asks_again_for_tier_sla_competence_and_points():
    slas = [{"name": "vip", "when": "tier == 'gold'", "resolve": "1h"}, {"name": "all", "resolve": "1d"}]
    levels = [
        {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "handles": "kind == 'incident'"},
        {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "5m"},
    ]
    points = [{"name": "crisis", "when": "kind == 'crisis'", "do": [{"inform": ["user:karel"]}]}]
    story = tale(
        slas=slas,
        kinds={"crisis": {}},
        policies={"main": {"levels": levels, "points": points, "finally": {"notify": ["user:karel"]}}},
    )
    story.event()
    story.act("set", changes={"customer": "Acme Ltd", "kind": "crisis"})
    assert (story.standing.customer, story.standing.tier, story.standing.sla) == ("acme", "gold", "vip")
    assert story.paged == ["ana", "petra"]
    assert [notice.recipient.name for notice in story.notices] == ["karel"]
    assert story.said("set") == ["set: kind crisis, customer Acme"]


def test_what_cannot_be_set_is_refused_and_says_what_is_known():
    story = opened(kinds={"crisis": {}})
    for changes, why in (
        ({}, "at least one of priority, kind, service, customer, attributes"),
        ({"kind": "crissis"}, "known: crisis, incident"),
        ({"service": "checkuot"}, "known: checkout"),
        ({"attributes": {"x": "y" * 70_000}}, "too large"),
    ):
        refused = story.act("set", changes=changes).refusal
        assert (refused.kind, why in refused.reason) == ("invalid", True), refused
