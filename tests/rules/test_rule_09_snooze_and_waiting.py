"""Rule 9: snooze stops levels, never clocks; waiting stops levels, and the clocks that say so."""

from datetime import timedelta

import pytest

from tests.domain.tale import Tale, ladder, on_main, tale

PROMISE = {"name": "s", "acknowledge": "10m", "resolve": "4h", "pause_while": ["customer"]}
WORSE = [{"when": "has(attributes.worse)", "priority": 1}]


def opened(**sections) -> Tale:
    story = tale(**({"slas": [PROMISE]} | sections))
    story.event(severity="warning")
    return story


def states(story: Tale) -> dict[str, str]:
    return {clock.target: clock.state for clock in story.standing.clocks}


def test_a_snooze_stops_the_levels_and_never_a_clock():
    story = opened()
    done = story.act("snooze", until=story.now + timedelta(hours=1))
    assert done.message.settled.why == "snoozed"
    assert done.message.incident.snoozed_until == story.now + timedelta(hours=1)
    assert set(states(story).values()) == {"running"}
    story.later(minutes=59)
    assert story.paged == ["ana"]
    assert story.said("breach") == ["breach: acknowledge was promised within 10 min (SLA s)"]


def test_when_the_snooze_ends_the_level_has_its_full_time_again():
    story = opened()
    story.later(minutes=4)
    story.act("snooze", until=story.now + timedelta(hours=1))
    story.later(minutes=60)
    assert story.said("resumed") == ["no longer snoozed: its time is over"]
    assert story.paged == ["ana", "ana"]
    story.later(minutes=5)
    assert story.paged == ["ana", "ana", "petra"]


def test_waiting_stops_the_levels_and_the_clocks_that_say_so_until_its_end():
    story = opened()
    story.act("wait", waiting_for="customer", until=story.now + timedelta(hours=2))
    assert set(states(story).values()) == {"paused"}
    story.later(hours=2)
    assert set(states(story).values()) == {"running"}
    assert story.paged == ["ana", "ana"]
    assert not story.said("breach")


def test_waiting_for_somebody_whom_the_promise_does_not_name_pauses_no_clock():
    story = opened()
    story.act("wait", waiting_for="vendor", until=story.now + timedelta(hours=2))
    assert set(states(story).values()) == {"running"}
    story.later(hours=1)
    assert story.paged == ["ana"]


@pytest.mark.parametrize("both", [False, True])
def test_a_rise_in_priority_ends_both(both):
    story = opened(priorities=WORSE)
    story.act("snooze", until=story.now + timedelta(hours=8))
    if both:
        story.act("wait", waiting_for="customer", until=story.now + timedelta(hours=8))
    story.event("update", attributes={"worse": True})
    assert (story.standing.snooze, story.standing.waiting) == (None, None)
    assert story.paged == ["ana", "ana"]
    story.later(minutes=5)
    assert story.paged == ["ana", "ana", "petra"]


def test_a_person_who_raises_the_priority_ends_both_too():
    story = opened()
    story.act("wait", waiting_for="customer", until=story.now + timedelta(hours=8))
    story.act("set", changes={"priority": 1})
    assert story.standing.waiting_for == ""
    assert set(states(story).values()) == {"running"}
    assert story.paged == ["ana", "ana"]


def test_while_both_last_the_end_of_one_pages_nobody():
    story = opened()
    story.act("wait", waiting_for="customer", until=story.now + timedelta(hours=1))
    story.act("snooze", until=story.now + timedelta(hours=3))
    story.later(hours=2)
    assert (story.standing.waiting_for, story.paged) == ("", ["ana"])
    story.later(hours=1)
    assert story.paged == ["ana", "ana"]


def test_a_person_ends_it_before_its_time():
    story = opened()
    story.act("snooze", until=story.now + timedelta(hours=3))
    story.act("resume")
    assert story.said("resumed") == ["no longer snoozed: Ana said so"]
    assert story.paged == ["ana", "ana"]
    assert story.act("resume").refusal.reason == "it neither waits nor is it snoozed"


def test_what_is_taken_and_snoozed_starts_solve_within_when_it_wakes():
    levels = [ladder()["levels"][0] | {"solve_within": "1h"}, ladder()["levels"][1]]
    story = opened(**on_main(levels=levels))
    story.act("acknowledge")
    story.act("snooze", until=story.now + timedelta(hours=3))
    story.later(hours=3, minutes=59)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "petra"]


def test_points_go_on_while_it_sleeps():
    point = {"name": "half", "at": "50% of resolve", "do": [{"notify": ["user:karel"]}]}
    story = opened(**on_main(points=[point]))
    story.act("snooze", until=story.now + timedelta(hours=8))
    story.later(hours=2)
    assert story.paged == ["ana", "karel"]


def test_resolving_it_ends_both():
    story = opened()
    story.act("wait", waiting_for="customer", until=story.now + timedelta(hours=8))
    story.act("snooze", until=story.now + timedelta(hours=8))
    story.act("resolve")
    assert (story.standing.snooze, story.standing.waiting) == (None, None)


@pytest.mark.parametrize(
    ("ahead", "why"),
    [
        (None, "needs an end"),
        (timedelta(0), "has passed already"),
        (timedelta(days=31), "at most 30 d ahead"),
    ],
)
def test_both_need_an_end_that_lies_ahead_and_not_too_far(ahead, why):
    story = opened()
    until = story.now + ahead if ahead is not None else None
    for action in ("snooze", "wait"):
        refused = story.act(action, waiting_for="customer", until=until).refusal
        assert (refused.kind, why in refused.reason) == ("invalid", True), refused
    assert story.act("wait", until=story.now + timedelta(hours=1)).refusal.kind == "invalid"
