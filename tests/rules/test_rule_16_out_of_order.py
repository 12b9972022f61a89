"""Rule 16: what arrives out of order is held against the senders' own times, where both carry one."""

from datetime import timedelta

import pytest

from tests.domain.tale import START, tale
from tests.rules.crowd import crowd

SECOND = timedelta(seconds=1)


def test_a_resolve_for_an_unknown_key_is_kept():
    story = tale()
    decision = story.event("resolve", occurred_at=START)
    assert (decision.incident, decision.orphan is not None) == (None, True)


@pytest.mark.parametrize(
    ("trigger", "opens"),
    [
        (START - SECOND, False),  # from before it
        (START, False),  # not later
        (START + SECOND, True),
        (None, True),  # without a time the log's order counts
    ],
)
def test_a_trigger_is_held_against_a_remembered_resolve(trigger, opens):
    story = tale()
    story.remembered = START
    decision = story.event(occurred_at=trigger)
    assert (decision.incident is not None) is opens
    if not opens:
        assert decision.orphan is not None
        assert "rule 16" in decision.orphan.reason


@pytest.mark.parametrize(
    ("resolve", "trigger", "reopens"),
    [
        (START, START - SECOND, False),
        (START, START, False),
        (START, START + SECOND, True),
        (START, None, True),
        (None, START - SECOND, True),  # the resolve carries no time
    ],
)
def test_a_late_trigger_of_a_resolved_incident_is_recorded_and_opens_nothing(resolve, trigger, reopens):
    story = tale()
    story.event(occurred_at=START - 2 * SECOND)
    story.event("resolve", occurred_at=resolve)
    decision = story.event(occurred_at=trigger)
    assert (story.standing.status == "triggered") is reopens
    if not reopens:
        assert story.paged == ["ana"]
        assert decision.entries[0].text.startswith("a trigger from before the resolve")
        assert story.standing.events == 3


def test_a_later_resolve_moves_the_time_that_triggers_are_held_against():
    story = tale()
    story.event(occurred_at=START)
    story.event("resolve", occurred_at=START + SECOND)
    story.event("resolve", occurred_at=START + 10 * SECOND)
    story.event(occurred_at=START + 5 * SECOND)
    assert story.standing.status == "resolved"


def test_source_times_drive_no_timer():
    story = tale()
    story.event(occurred_at=START - timedelta(days=300))
    assert story.standing.chain.due == START + timedelta(minutes=5)
    ahead = tale()
    ahead.event(occurred_at=START + timedelta(days=300))
    assert ahead.standing.chain.due == START + timedelta(minutes=5)


def test_a_parent_that_waits_for_its_members_is_not_triggered_again_by_what_is_older_than_its_end():
    story = crowd(grouping=[{"name": "g", "by": ["service"], "within": "5m"}])
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.event("a", "resolve", occurred_at=START + SECOND)
    story.event("a", service="checkout", occurred_at=START)
    story.event("b", "resolve")
    assert story.of("a").status == "resolved"
