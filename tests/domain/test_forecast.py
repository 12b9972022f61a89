"""What explain says comes next is what then comes."""

from datetime import timedelta

from services.router.domain.forecast import forecast
from services.router.domain.surroundings import Surroundings
from tests.domain.tale import START, on_main, tale


def test_the_end_of_the_waiting_and_what_follows_are_foretold():
    story = tale()
    story.event()
    story.event("update", waiting_for="customer")
    coming = forecast(story.standing, Surroundings(story.policy), story.policy)
    assert [step.at for step in coming][:2] == [START + timedelta(days=1)] * 2
    assert "no longer waiting for customer" in coming[0].what
    assert "level desk is paged" in coming[1].what


def test_a_breach_is_foretold_although_finally_repeats_before_it():
    story = tale(slas=[{"name": "s", "resolve": "4h"}])
    story.event()
    story.later(minutes=20)
    coming = forecast(story.standing, Surroundings(story.policy), story.policy)
    assert [step.what.partition(" ")[0] for step in coming] == ["finally", "breach:"]


def test_a_point_that_will_have_held_long_enough_is_foretold():
    points = [{"name": "p", "when": "events >= 1", "held_for": "2d", "do": [{"inform": ["user:karel"]}]}]
    story = tale(**on_main(points=points))
    story.event()
    story.act("acknowledge")
    coming = forecast(story.standing, Surroundings(story.policy), story.policy)
    assert any(step.at == START + timedelta(days=2) and "point p" in step.what for step in coming)
