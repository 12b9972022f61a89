"""Rule 14: a repeat never pages again by itself; priority rises by itself and falls only by a person."""

import pytest

from tests.domain.tale import Tale, on_main, tale
from tests.rules.crowd import Crowd, crowd

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
    assert (story.standing.priority, story.standing.priority_set.by) == (4, "user:petra")


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


# --- growing worse is news --------------------------------------------------------------------------------

LOUD = {"loud": "priority <= 2", "kinds": {"crisis": {}, "budget": {}}}


def taken(**sections) -> Tale:
    """A warning of priority 3 that ana has."""
    story = tale(**(LOUD | sections))
    story.event(severity="warning")
    story.act("acknowledge", user="ana")
    return story


def news(story: Tale) -> list[tuple[str, str]]:
    """Who heard what because it grew worse, by page or by word."""
    paged = [
        (page.recipient.name, f"{page.reason}, paged") for page in story.pages if page.through == "worse"
    ]
    return paged + [(n.recipient.name, n.text) for n in story.notices if n.text.startswith("It grew worse")]


def test_ana_who_has_a_warning_is_paged_when_it_becomes_critical_and_loud():
    story = taken()
    story.event(severity="critical")
    rises = "priority 3 → 1, severity warning → critical"
    assert news(story) == [("ana", f"it is assigned to you and grew worse: {rises}, paged")]
    assert story.pages[-1].loud
    assert story.said("paged")[-1] == f"Ana, who has it, is paged: it grew worse and is loud now: {rises}"
    assert story.paged == ["ana", "ana"]  # nobody else is paged by it


def test_what_grows_worse_and_is_not_loud_is_told_quietly():
    story = taken(loud="priority == 1")
    story.event(severity="error")
    assert news(story) == [("ana", "It grew worse: priority 3 → 2, severity warning → error.")]
    assert story.paged == ["ana"]
    assert story.said("informed") == [
        "Ana, who has it, hears that it grew worse: priority 3 → 2, severity warning → error"
    ]


def test_what_was_loud_already_and_grows_worse_still_is_told_without_a_page():
    story = taken()
    story.event(severity="error")
    story.event(severity="critical")
    assert [page.through for page in story.pages] == ["level", "worse"]
    assert news(story)[1:] == [("ana", "It grew worse: priority 2 → 1, severity error → critical.")]


def test_a_repeat_that_changes_nothing_is_no_news():
    story = taken()
    for _ in range(3):
        story.event(severity="critical", description="still")
    assert len(news(story)) == 1


def test_a_severity_that_goes_to_and_fro_is_news_once():
    story = taken()
    for severity in ("critical", "info", "critical", "warning", "critical"):
        story.event(severity=severity)
    assert len(news(story)) == 1


def test_another_kind_is_news_and_back_to_a_plain_incident_is_none():
    story = taken()
    for kind in ("crisis", "incident", "crisis", "budget"):
        story.event(kind=kind)
    assert news(story) == [
        ("ana", "It grew worse: kind incident → crisis."),
        ("ana", "It grew worse: kind crisis → budget."),
    ]


def test_ana_who_raised_it_herself_does_not_hear_that_she_did():
    story = taken()
    story.act("set", user="ana", changes={"priority": 1})
    assert news(story) == []


def test_ana_hears_that_petra_raised_it():
    story = taken()
    story.act("set", user="petra", role="lead", changes={"priority": 1})
    assert [who for who, _ in news(story)] == ["ana"]


def test_a_point_that_raises_it_tells_whoever_has_it():
    story = taken(slas=[{"name": "s", "resolve": "4h"}], **on_main(points=[half_time()]))
    story.later(hours=2)
    assert [who for who, _ in news(story)] == ["ana"]


def half_time() -> dict:
    return {"name": "half time", "at": "50% of resolve", "do": [{"set": {"priority": 1}}]}


def test_while_nobody_has_it_growing_worse_pages_nobody():
    story = tale(**LOUD)
    story.event(severity="warning")
    story.event(severity="critical")
    assert (news(story), story.paged) == ([], ["ana"])


def test_what_grows_worse_in_a_silence_stands_in_the_timeline_only():
    story = crowd(**LOUD)
    story.event("disk", severity="warning")
    story.act("disk", "acknowledge", user="ana")
    story.silence("true", hours=2)
    story.event("disk", severity="critical")
    assert (story.paged("disk"), story.notices("disk")) == (["ana"], [])
    assert any("Ana does not hear that it grew worse" in said for said in story.said("disk", "muted"))


def test_whoever_has_a_parent_hears_that_a_member_made_it_worse():
    story = crowd(grouping=[{"name": "all", "when": "true", "by": ["service"], "within": "1h"}], **LOUD)
    story.event("disk", service="checkout", severity="warning")
    story.act("disk", "acknowledge", user="ana")
    story.event("raid", service="checkout", severity="critical")
    assert [page.through for page in story.pages_of("disk")] == ["level", "worse"]


def test_a_page_that_it_grew_worse_is_seen_and_does_not_ask_anybody_else_when_it_is_lost():
    story = taken()
    story.event(severity="critical")
    story.report(story.pages[-1], "unreachable")
    assert story.paged == ["ana", "ana"]
    story.act("acknowledge", user="ana", page=story.pages[-1].page_id)
    assert story.said("seen") == ["Ana has seen the page; it grew worse"]


# --- while only a machine has it --------------------------------------------------------------------------


def acknowledged_by_a_machine(**sections) -> Tale:
    """A warning of priority 3 whose sender acknowledged it: the levels rest for half an hour."""
    story = tale(**(LOUD | sections))
    story.event(severity="warning")
    story.event("acknowledge")
    story.later(minutes=5)
    return story


def test_a_warning_that_only_a_machine_has_becomes_critical_and_ana_is_asked_at_once():
    story = acknowledged_by_a_machine()
    story.event(severity="critical")
    assert (story.standing.status, story.standing.priority, story.paged) == ("triggered", 1, ["ana", "ana"])
    assert story.pages[-1].loud
    assert story.said("paged")[-1] == (
        "level desk is paged because it grew worse while only a machine had it:"
        " priority 3 → 1, severity warning → critical: Ana; 5 min to take it"
    )
    story.later(minutes=5)
    assert story.paged == ["ana", "ana", "petra"]  # and the levels climb again


@pytest.mark.parametrize("worse", [{"severity": "error"}, {"kind": "crisis"}, {"attributes": {"bad": True}}])
def test_whatever_makes_it_worse_ends_a_machines_rest(worse):
    rows = [{"when": "has(attributes.bad)", "priority": 2}, {"priority": 3}]
    story = acknowledged_by_a_machine(priorities=rows)
    story.event("update", **worse)
    assert (story.standing.status, story.paged) == ("triggered", ["ana", "ana"])


def test_who_raises_what_only_a_machine_has_makes_it_be_asked_again():
    story = acknowledged_by_a_machine()
    story.act("set", user="petra", role="lead", changes={"priority": 1})
    assert story.paged == ["ana", "ana"]


def test_a_repeat_that_is_no_worse_leaves_a_machines_rest_alone():
    story = acknowledged_by_a_machine()
    for severity in ("warning", "info"):
        story.event(severity=severity)
    story.event("acknowledge", severity="info")
    assert (story.standing.status, story.paged) == ("acknowledged", ["ana"])


def test_a_machine_that_says_in_one_breath_that_it_is_worse_and_acknowledged_rests_the_levels():
    story = tale(**LOUD)
    story.event(severity="warning")
    story.event("acknowledge", severity="critical")
    assert (story.standing.status, story.standing.priority, story.paged) == ("acknowledged", 1, ["ana"])


def test_what_grows_worse_while_a_machine_has_it_and_it_is_suppressed_says_why_nobody_is_asked():
    story = crowd(**LOUD)
    story.event("disk", severity="warning")
    story.event("disk", "acknowledge")
    story.silence("true", hours=2)
    story.event("disk", severity="critical")
    assert story.paged("disk") == ["ana"]
    assert "nobody is asked although it grew worse" in story.said("disk", "muted")[-1]


def test_a_parent_that_only_a_machine_has_is_asked_again_when_a_member_makes_it_worse():
    story = crowd(grouping=[{"name": "all", "when": "true", "by": ["service"], "within": "1h"}], **LOUD)
    story.event("disk", service="checkout", severity="warning")
    story.event("disk", "acknowledge")
    story.event("raid", service="checkout", severity="critical")
    assert story.paged("disk") == ["ana", "ana"]
    assert [story.of(key).status for key in ("disk", "raid")] == ["triggered", "triggered"]


# --- what was merged --------------------------------------------------------------------------------------


def merged(**sections) -> Crowd:
    """Two warnings that are one problem: ana has it."""
    story = crowd(**(LOUD | sections))
    story.event("disk", severity="warning")
    story.event("raid", severity="warning")
    story.act("disk", "acknowledge", user="ana")
    story.act("raid", "merge", into=story.of("disk").id)
    return story


@pytest.mark.parametrize("action", ["trigger", "update"])
def test_what_was_merged_grows_worse_and_whoever_has_it_hears_of_that(action):
    story = merged()
    story.event("raid", action, severity="critical")
    assert [story.of(key).priority for key in ("disk", "raid")] == [1, 1]
    assert [page.through for page in story.pages_of("disk")] == ["level", "worse"]
    why = [each.reason.rule for each in story.entries("disk") if each.text == "priority rises from 3 to 1"]
    assert why == ["rule 14: what was merged into it grew worse"]


def test_the_same_facts_of_what_was_merged_do_not_raise_what_a_lead_has_lowered():
    story = merged()
    story.event("raid", severity="critical")
    story.act("disk", "set", user="petra", changes={"priority": 4})
    story.event("raid", severity="critical")
    assert story.of("disk").priority == 4


def test_what_was_merged_and_merged_again_still_raises_the_one_that_stands():
    story = merged()
    story.event("rack", severity="warning")
    story.act("disk", "merge", into=story.of("rack").id)
    story.event("raid", severity="critical")
    assert story.of("rack").priority == 1
