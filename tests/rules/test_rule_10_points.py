"""Rule 10: points fire beside the levels and never stop them; no combination of them loops."""

from datetime import timedelta
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.domain.invariants import Watch
from tests.domain.tale import START, bundle, compiled, ladder, on_main, tale
from tests.domain.test_any_history import Watched

FINANCE = {
    "levels": [{"name": "controller", "notify": ["user:karel"], "acknowledge_within": "1d"}],
    "finally": {"notify": ["user:karel"], "every": "1d"},
}


def point(when="events >= 2", **more):
    return {"name": "p", "when": when} | more


def test_held_for_counts_from_when_it_became_true_and_is_dropped_when_it_is_not():
    points = [point("waiting_for == 'customer'", held_for="3d", do=[{"notify": ["user:karel"]}])]
    story = tale(**on_main(points=points, forgotten_after="90d"))
    story.event()
    story.act("acknowledge")
    story.act("wait", waiting_for="customer", until=story.now + timedelta(days=20))
    story.later(days=2)
    story.act("resume")
    story.act("wait", waiting_for="customer", until=story.now + timedelta(days=20))
    story.later(days=2)
    assert story.paged == ["ana"]
    story.later(days=1)
    assert story.paged == ["ana", "karel"]


def test_repeat_fires_again_while_it_holds_and_otherwise_once_an_opening():
    again = point("status == 'triggered'", name="again", repeat="2m", do=[{"inform": ["user:petra"]}])
    once = point("status == 'triggered'", name="once", do=[{"inform": ["user:karel"]}])
    story = tale(**on_main(points=[again, once]))
    story.event()
    story.later(minutes=4)
    told = [notice.recipient.name for notice in story.notices]
    assert (told.count("petra"), told.count("karel")) == (3, 1)
    story.act("resolve")
    story.event()
    assert [notice.recipient.name for notice in story.notices if notice.event == "inform"].count("karel") == 2


def test_a_point_sets_fields_and_the_priority_only_upwards():
    up = point(name="up", do=[{"set": {"priority": 1, "attributes": {"hot": True}}}])
    down = point("has(attributes.hot)", name="down", do=[{"set": {"priority": 4}}])
    story = tale(**on_main(points=[up, down]))
    story.event(severity="warning")
    story.event(severity="warning")
    assert (story.standing.priority, story.standing.attributes) == (1, {"hot": True})
    assert story.said("priority") == [
        "priority 3",
        "priority rises from 3 to 1",
        "the priority stays 1: it falls only by a person",
    ]


def test_a_point_hands_it_to_the_next_level_a_level_or_a_policy():
    for escalate, paged in (("next", "petra"), ({"level": "experts"}, "petra"), ({"policy": "f"}, "karel")):
        points = [point(do=[{"escalate": escalate, "because": "expertise"}])]
        story = tale(policies={"main": ladder(points=points), "f": FINANCE})
        story.event()
        story.event()
        assert story.paged == ["ana", paged]
        assert "escalation point p was reached (expertise)" in story.pages[-1].reason


@pytest.mark.parametrize("action", ["acknowledge", "assign", "escalate"])
def test_what_a_person_takes_or_hands_up_calls_off_the_page_of_a_point_that_was_not_sent_yet(action):
    """Karel was to look because nobody did: somebody does now."""
    looks = {"name": "half time", "at": "50% of resolve", "do": [{"notify": ["user:karel"]}]}
    story = tale(slas=[{"name": "s", "resolve": "4m"}], **on_main(points=[looks]))
    story.event()
    story.later(minutes=2)
    assert [(page.recipient.name, page.through) for page in story.pages] == [
        ("ana", "level"),
        ("karel", "point"),
    ]
    done = story.act(action, user="petra", role="lead", **({"to": "petra"} if action == "assign" else {}))
    assert done.message.settled is not None  # every page from before this version that was not sent
    assert "karel" not in [page.recipient.name for page in done.message.pages]


def test_a_point_assigns_it_to_the_first_user_that_its_target_names():
    points = [point(do=[{"assign": {"lead_of": "service"}}])]
    story = tale(**on_main(points=points))
    story.event(service="checkout")
    story.event(service="checkout")
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "petra")
    assert story.paged == ["ana", "petra"]
    assert story.pages[-1].reason == "it was assigned to you by escalation point p"


def test_a_point_that_would_assign_it_to_nobody_says_so():
    points = [point(do=[{"assign": {"lead_of": "service"}}])]
    story = tale(**on_main(points=points))
    story.event()
    story.event()
    assert story.standing.assignee == ""
    assert "point p assigns it to nobody" in story.said("point")


def test_a_point_updates_the_stakeholders():
    points = [point(do=[{"update": "We have brought in more people."}])]
    heard = [{"who": ["customer"], "events": ["update"]}]
    story = tale(subscriptions=heard, **on_main(points=points))
    story.event(customer="acme")
    story.event()
    assert [(each.event, each.text) for each in story.notices] == [
        ("update", "We have brought in more people.")
    ]


def test_a_point_starts_automation():
    points = [point(do=[{"call": "restart"}])]
    calls = {"restart": {"webhook": "https://automation.example/restart"}}
    story = tale(calls=calls, **on_main(points=points))
    story.event()
    story.event()
    assert [(each.event, each.recipient.name) for each in story.notices] == [("call", "restart")]
    assert story.said("call") == ["call restart is started: escalation point p"]


def test_points_that_feed_each_other_fire_once_a_decision():
    """Two that set each other's condition, and one that listens to both."""
    ping = point(
        "!has(attributes.x) || attributes.x == 0.0", name="ping", do=[{"set": {"attributes": {"x": 1}}}]
    )
    pong = point(
        "has(attributes.x) && attributes.x == 1.0", name="pong", do=[{"set": {"attributes": {"x": 0}}}]
    )
    both = point(
        "has(attributes.x)", name="both", repeat="1s", do=[{"notify": ["user:karel"]}, {"assign": "user:ana"}]
    )
    story = tale(**on_main(points=[ping, pong, both]))
    first = story.event()
    fired = [entry.text for entry in first.entries if entry.kind == "point"]
    assert len([text for text in fired if text.startswith("escalation point")]) == 3
    for _ in range(20):
        done = story.event()
        assert len([entry for entry in done.entries if entry.kind == "point"]) <= 6


NASTY = st.lists(
    st.fixed_dictionaries(
        {
            "when": st.sampled_from(
                [
                    "true",
                    "events >= 1",
                    "status == 'triggered'",
                    "acknowledged",
                    "priority >= 2",
                    "has(attributes.n) && attributes.n > 1.0",
                    "!has(attributes.n)",
                    "assignee == 'ana'",
                    "assignee != 'ana'",
                    "level == 'desk' || level == 'controller'",
                ]
            ),
            "do": st.lists(
                st.sampled_from(
                    [
                        {"set": {"priority": 1}},
                        {"set": {"priority": 5}},
                        {"set": {"attributes": {"n": 2}}},
                        {"set": {"attributes": {"n": 0}}},
                        {"set": {"service": "checkout"}},
                        {"assign": "user:ana"},
                        {"assign": {"manager_of": "assignee"}},
                        {"assign": "team:desk"},
                        {"escalate": "next"},
                        {"escalate": {"level": "desk"}},
                        {"escalate": {"policy": "finance"}},
                        {"notify": ["team:desk"]},
                        {"update": "news"},
                        {"call": "restart"},
                    ]
                ),
                min_size=1,
                max_size=3,
            ),
        },
        optional={"repeat": st.sampled_from(["1s", "1m"]), "held_for": st.sampled_from(["1s", "5m"])},
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(NASTY, NASTY)
def test_no_combination_of_points_loops(points, others):
    """Whatever they do to each other: bounded work a signal, and no timer that spins."""

    def named(listed):
        return [{"name": f"p{number}", **each} for number, each in enumerate(listed)]

    finance = FINANCE | {"points": [each for each in named(others) if "desk" not in str(each["do"])]}
    story = Watched(
        compiled(
            bundle(
                policies={"main": ladder(points=named(points)), "finance": finance},
                calls={"restart": {"webhook": "https://automation.example/restart"}},
                slas=[{"name": "s", "acknowledge": "10m", "resolve": "1h"}],
            )
        )
    )
    story.watch = Watch()
    assert story.now == START
    began = perf_counter()
    for _ in range(3):
        done = story.event()
        assert len(done.entries) <= 60
        story.later(seconds=3)
    assert perf_counter() - began < 30
