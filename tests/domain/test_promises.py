"""Promises that change, end, begin late or are found broken late (docs/rules.md, rules 2, 8)."""

import pytest

from services.router.domain.model.clock import Clock
from tests.domain.tale import Tale, tale

FAST = {"name": "fast", "when": "priority == 1", "acknowledge": "5m", "resolve": "1h"}


def clocks(story: Tale) -> dict[str, Clock]:
    return {clock.target: clock for clock in story.standing.clocks}


def test_a_promise_to_acknowledge_that_comes_after_it_was_taken_is_kept_already():
    story = tale(slas=[FAST])
    story.event(severity="warning")
    story.later(minutes=1)
    story.act("acknowledge")
    story.event(severity="critical")
    assert clocks(story)["acknowledge"].state == "fulfilled"
    story.later(minutes=30)
    assert story.said("breach") == []


def test_a_promise_kept_under_the_old_sla_stays_as_it_was():
    slas = [FAST | {"acknowledge": "2m"}, {"name": "slow", "acknowledge": "1h", "resolve": "1d"}]
    story = tale(slas=slas)
    story.event(severity="warning")
    story.later(minutes=4)
    story.act("acknowledge")
    story.event(severity="critical")
    kept = clocks(story)["acknowledge"]
    assert (kept.state, kept.goal, kept.breached) == ("fulfilled", 3600, False)
    assert clocks(story)["resolve"].goal == 3600


def test_what_the_new_sla_does_not_promise_is_cancelled():
    slas = [FAST | {"resolve": None}, {"name": "slow", "acknowledge": "1h", "resolve": "30m"}]
    story = tale(slas=slas)
    story.event(severity="warning")
    story.event(severity="critical")
    assert clocks(story)["resolve"].state == "cancelled"
    assert "resolve is no longer promised" in story.said("sla")[-1]
    story.act("acknowledge")
    story.later(hours=2)
    assert story.said("breach") == []


def test_a_promise_that_begins_with_another_sla_counts_from_the_opening():
    story = tale(slas=[FAST])
    story.event(severity="warning")
    story.act("acknowledge")
    story.later(minutes=20)
    story.event(severity="critical")
    assert clocks(story)["resolve"].elapsed(story.now, story.policy.calendars) == 20 * 60
    story.later(minutes=40)
    assert len(story.said("breach")) == 1


def test_when_no_sla_applies_any_more_its_clocks_are_cancelled():
    story = tale(slas=[{"name": "gold", "when": "tier == 'gold'", "resolve": "1h"}])
    story.event(customer="acme")
    story.event("update", tier="standard")
    assert {clock.state for clock in story.standing.clocks} == {"cancelled"}
    story.later(hours=2)
    assert story.said("breach") == []
    said = len(story.said("sla"))
    story.event("update", description="more")
    assert len(story.said("sla")) == said


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ([], ["customer"], "paused"),  # the new SLA pauses while the customer is awaited
        (["customer"], [], "running"),  # the new SLA does not
        (["customer"], ["customer"], "paused"),
    ],
)
def test_a_new_sla_pauses_its_clocks_for_what_the_incident_is_waiting_for(before, after, state):
    slas = [
        {"name": "gold", "when": "tier == 'gold'", "resolve": "1h", "pause_while": after},
        {"name": "other", "resolve": "1d", "pause_while": before},
    ]
    story = tale(slas=slas)
    story.event()
    story.event("update", waiting_for="customer")
    story.event("update", tier="gold")
    assert clocks(story)["resolve"].state == state


def test_a_promise_that_begins_while_it_waits_is_paused():
    slas = [{"name": "gold", "when": "tier == 'gold'", "resolve": "1h", "pause_while": ["customer"]}]
    story = tale(slas=slas)
    story.event()
    story.event("update", waiting_for="customer")
    story.event("update", tier="gold")
    story.later(hours=5)
    assert story.said("breach") == []


def test_a_breach_that_nothing_noticed_in_time_is_told_when_it_is_resolved():
    subscriptions = [{"who": ["user:karel"], "events": ["breached", "resolved"]}]
    story = tale(slas=[FAST | {"when": "true"}], subscriptions=subscriptions)
    story.event()
    story.act("acknowledge")
    story.now += story.now - story.now.replace(hour=0)  # three hours in which nothing runs
    story.act("resolve")
    assert len(story.said("breach")) == 1
    assert clocks(story)["resolve"].breached
    assert [notice.event for notice in story.notices] == ["breached", "resolved"]


def test_a_breach_is_told_once_through_a_reopening():
    story = tale(slas=[FAST | {"when": "true"}])
    story.event()
    story.later(hours=2)
    story.act("resolve")
    story.event()
    story.later(hours=1)
    assert len([text for text in story.said("breach") if "resolve" in text]) == 1


def test_a_longer_promise_warns_again_at_its_own_share():
    slas = [
        {"name": "gold", "when": "tier == 'gold'", "resolve": "1h", "warn_at": ["50%"]},
        {"name": "other", "resolve": "10h", "warn_at": ["50%"]},
    ]
    story = tale(slas=slas)
    story.event(tier="gold")
    story.act("acknowledge")
    story.later(minutes=35)
    assert len(story.said("warn")) == 1
    story.event("update", tier="standard")
    story.later(hours=6)
    assert len(story.said("warn")) == 2
