"""An expression that fails at run time is known by its place, wherever it stands."""

from datetime import timedelta
from typing import Any

from services.router.batch.expression_failures import section
from services.router.domain.model.context import Overlay, Silence
from services.router.duty.overlay import condition_of, expressions_of
from tests.domain.tale import START, Tale, bundle, compiled, ladder

MISSING = "attributes.budget > 1.0"  # no event here says a budget
LEVELS = [
    {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "handles": MISSING},
    {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"},
]
POINT = {"name": "over budget", "when": MISSING, "do": [{"inform": ["user:karel"]}]}
ALL: dict[str, Any] = {
    "loud": MISSING,
    "priorities": [{"when": "kind == 'crisis'", "priority": 1}, {"when": MISSING, "priority": 2}],
    "slas": [{"name": "over budget", "when": MISSING, "acknowledge": "5m"}],
    "policies": {"main": ladder(levels=LEVELS, points=[POINT])},
    "routes": [{"when": MISSING, "policy": "main"}, {"policy": "main"}],
    "grouping": [{"name": "by budget", "when": MISSING, "by": ["service"], "within": "5m"}],
    "suppress": [
        {"name": "nights", "when": MISSING, "window": {"days": "mon-sun", "from": "00:00", "to": "24:00"}},
        {"name": "caused", "when": "kind == 'crisis'", "while_open": MISSING},
    ],
    "subscriptions": [{"who": [{"inbox": "board"}], "when": MISSING, "events": ["opened"]}],
}


def test_each_expression_that_could_not_be_evaluated_is_named_once_with_its_reason():
    policy = compiled(bundle(**ALL))
    silence = Silence(
        id="s1",
        when=MISSING,
        condition=condition_of(expressions_of(policy), MISSING, "silences s1"),
        starts=START,
        until=START + timedelta(hours=1),
        comment="",
        by="user:ana",
    )
    failures = Tale(policy, overlay=Overlay(silences=[silence])).event().failures
    assert {place for _, place in failures} == {
        "loud",
        "priorities[1].when",
        "slas[0].when",
        "policies.main.levels[0].handles",
        "policies.main.points[0].when",
        "routes[0].when",
        "grouping[0].when",
        "suppress[0].when",
        "suppress[1].while_open",
        "subscriptions[0].when",
        "silences s1",
    }
    assert {content_hash for content_hash, _ in failures} == {policy.hash}
    assert set(failures.values()) == {'Key not found in map : "budget"'}


def test_what_can_be_evaluated_is_not_counted():
    assert Tale(compiled(bundle(**ALL))).event(attributes={"budget": 0}).failures == {}


def test_an_incident_that_follows_an_earlier_policy_fails_by_that_ones_name():
    before, after = compiled(bundle(**ALL)), compiled(bundle())
    story = Tale(before)
    story.event()
    story.policy = after
    failures = story.event(severity="critical").failures
    assert (before.hash, "policies.main.points[0].when") in failures
    assert {content_hash for content_hash, _ in failures} == {before.hash}


def test_a_metric_has_one_label_for_a_part_of_the_language():
    places = {
        "loud": "loud",
        "slas[12].when": "slas",
        "policies.loud.levels[0].handles": "handles",
        "policies.handles.points[3].when": "points",
        "suppress[0].while_open": "suppress",
        "silences 0b0e7d8e": "silences",
        "maintenance 0b0e7d8e": "maintenance",
        "users.ana.quiet_hours.unless": "quiet_hours",
        "integrations.crm.map.title": "map",
    }
    assert {place: section(place) for place in places} == places
