"""Rule 11: suppression stops notifying, never recording."""

from datetime import timedelta

import pytest

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import Found
from services.router.domain.model.context import Context
from shared.events import Recipient
from tests.domain.tale import START, ladder, on_main
from tests.rules.crowd import crowd

NIGHT = {"days": "wed", "from": "02:00", "to": "04:00", "timezone": "UTC"}  # the tale begins at 03:00
WINDOW = {"suppress": [{"name": "night", "when": "service == 'checkout'", "window": NIGHT}]}
DROPPING = {"suppress": [{**WINDOW["suppress"][0], "then": "drop"}]}
SLA = {"slas": [{"name": "all", "acknowledge": "5m", "resolve": "4h"}]}
TOLD = {"subscriptions": [{"who": ["user:karel"], "events": ["opened", "resolved"]}]}
CAUSES = {
    "suppress": [{"name": "payments", "when": "service == 'checkout'", "while_open": "service == 'payments'"}]
}


def test_in_a_window_everything_is_recorded_and_nobody_is_told():
    story = crowd(**WINDOW, **TOLD)
    incident = story.event("a", service="checkout")
    assert (incident.status, incident.suppressed_by) == ("triggered", "rule night")
    assert incident.suppression.until == START + timedelta(hours=1)
    assert (story.paged("a"), story.notices("a")) == ([], [])
    assert story.said("a", "suppressed") == [
        "nobody is notified: rule night, until 2026-01-07 04:00 UTC; then what still stands is paged"
    ]
    story.event("b", service="payments")
    assert story.paged("b") == ["ana"]


def test_what_still_stands_at_the_end_of_the_window_is_paged():
    story = crowd(**WINDOW, **TOLD)
    story.event("a", service="checkout")
    story.later(minutes=59)
    assert story.paged("a") == []
    story.later(minutes=1)
    assert story.paged("a") == ["ana"]
    assert story.pages_of("a")[0].reason.endswith("rule night is over and it still stands)")
    assert [each.event for each in story.notices("a")] == ["opened"], "subscribers hear of it only now"
    story.later(minutes=5)
    assert story.paged("a") == ["ana", "petra"]


def test_what_was_resolved_in_the_window_never_told_anybody():
    story = crowd(**WINDOW, **TOLD)
    story.event("a", service="checkout")
    story.event("a", "resolve")
    story.later(hours=3)
    assert story.of("a").status == "closed"
    assert (story.paged("a"), story.notices("a")) == ([], [])


def test_then_drop_drops_what_still_stands_at_the_end():
    story = crowd(**DROPPING, **TOLD, **SLA)
    story.event("a", service="checkout")
    story.later(hours=1)
    assert story.of("a").status == "resolved"
    assert {clock.state for clock in story.of("a").clocks} == {"cancelled"}
    assert (story.paged("a"), story.notices("a")) == ([], [])
    assert story.said("a", "dropped") == ["dropped: rule night is over and drops what still stands"]
    story.later(minutes=10)
    story.event("a", service="checkout")
    assert (story.of("a").reopened, story.paged("a")) == (1, ["ana"]), "outside the window it counts again"


def test_what_somebody_has_taken_is_not_dropped():
    story = crowd(**DROPPING)
    story.event("a", service="checkout")
    story.act("a", "acknowledge", user="petra")
    story.later(hours=1)
    assert (story.of("a").status, story.of("a").assignee) == ("acknowledged", "petra")


def test_clocks_start_when_the_suppression_ends():
    story = crowd(**WINDOW, **SLA)
    story.event("a", service="checkout")
    assert {clock.state for clock in story.of("a").clocks} == {"paused"}
    story.later(minutes=64)
    assert not any(clock.breached for clock in story.of("a").clocks)
    story.later(minutes=2)
    assert [clock.target for clock in story.of("a").clocks if clock.breached] == ["acknowledge"]


def test_points_wait_for_the_end_of_the_suppression_too():
    point = {"name": "urgent", "when": "priority == 1", "do": [{"notify": ["user:karel"]}]}
    story = crowd(**WINDOW, **on_main(points=[point]))
    story.event("a", service="checkout", severity="critical")
    assert story.paged("a") == []
    story.later(hours=1)
    assert sorted(story.paged("a")) == ["ana", "karel"]


def test_a_window_that_begins_stops_what_is_under_way():
    story = crowd(suppress=[{"name": "later", "window": {**NIGHT, "from": "03:08", "to": "05:00"}}])
    story.event("a")
    story.later(minutes=20)
    assert story.paged("a") == ["ana", "petra"], "the level after those would be paged at 03:15"
    assert story.of("a").suppressed_by == "rule later"
    story.later(hours=2)
    assert story.paged("a")[:3] == ["ana", "petra", "petra"], "it goes on where it stood"


def test_a_silence_posted_now_stops_the_ladder_and_calls_off_what_was_not_sent():
    story = crowd()
    story.event("a", service="checkout")
    story.silence("service == 'checkout'", hours=1)
    _, decision = story.decisions[-1]
    assert decision.message is not None
    assert decision.message.settled is not None
    assert decision.message.settled.why == "suppressed"
    story.later(minutes=59)
    assert story.paged("a") == ["ana"]
    story.later(minutes=1)
    assert story.paged("a") == ["ana", "ana"]


def test_a_silence_that_is_deleted_ends_early():
    story = crowd()
    story.silence("service == 'checkout'", hours=8)
    story.event("a", service="checkout")
    story.later(minutes=10)
    story.unsilence()
    assert story.paged("a") == ["ana"]


def test_maintenance_once_and_again_and_again():
    story = crowd()
    story.maintenance("service == 'checkout'", then="drop", hours=2)
    story.event("a", service="checkout")
    story.later(hours=2)
    assert (story.of("a").status, story.paged("a")) == ("resolved", [])
    story.maintenance(
        "service == 'checkout'", window={**NIGHT, "days": "wed,thu", "from": "12:00", "to": "13:00"}
    )
    story.later(hours=7, minutes=30)
    story.event("b", service="checkout")
    assert story.of("b").suppressed_by == "maintenance upgrade"
    story.later(minutes=30)
    assert story.paged("b") == ["ana"]


def test_a_taken_incident_is_quiet_too_and_stays_with_whoever_has_it():
    story = crowd(
        policies={
            "main": ladder(
                levels=[
                    {
                        "name": "desk",
                        "notify": ["user:ana"],
                        "acknowledge_within": "5m",
                        "solve_within": "20m",
                    },
                    {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"},
                ]
            )
        }
    )
    story.event("a")
    story.act("a", "acknowledge", user="ana")
    story.silence("true", hours=1)
    story.later(minutes=59)
    assert story.paged("a") == ["ana"]
    story.later(minutes=22)
    assert (story.paged("a"), story.of("a").assignee) == (["ana", "petra"], "ana")


def test_a_point_that_hands_up_what_is_grouped_or_suppressed_asks_nobody_until_it_ends():
    """Points wait while it is suppressed; a share of a clock that was reached before stands at its level."""
    point = {"name": "up", "when": "severity == 'critical'", "do": [{"escalate": {"level": "experts"}}]}
    story = crowd(**WINDOW, **on_main(points=[point]))
    story.event("a", service="checkout", severity="critical")
    assert story.paged("a") == []
    story.later(hours=1)
    assert "petra" in story.paged("a")


def test_a_person_who_hands_up_what_is_suppressed_hears_that_nobody_would_be_paged():
    story = crowd(**WINDOW)
    story.event("a", service="checkout")
    refusal = story.act("a", "escalate", level="experts").refusal
    assert refusal is not None
    assert refusal.reason == "rule night suppresses it: nobody would be paged"


def test_a_condition_that_fails_does_not_suppress_and_says_so():
    story = crowd(suppress=[{"name": "night", "when": "attributes.rack == 'r1'", "window": NIGHT}])
    story.event("a")
    assert story.paged("a") == ["ana"]
    assert "could not be evaluated" in story.said("a", "suppression")[0]


def test_a_change_that_no_longer_matches_ends_it():
    story = crowd(suppress=[{"name": "minor", "when": "priority > 1", "window": NIGHT, "then": "drop"}])
    story.event("a", severity="warning")
    assert story.paged("a") == []
    story.event("a", severity="critical")
    assert story.paged("a") == ["ana"]


# --- while_open -------------------------------------------------------------------------------------------


def test_while_its_cause_is_open_an_incident_is_quiet_and_names_it():
    story = crowd(**CAUSES)
    cause = story.event("p", service="payments")
    story.event("c", service="checkout")
    assert (story.paged("p"), story.paged("c")) == (["ana"], [])
    assert cause.id in story.said("c", "suppressed")[0]
    story.later(hours=3)
    assert story.paged("c") == []


def test_it_ends_two_minutes_after_its_cause_is_resolved():
    story = crowd(**CAUSES)
    story.event("p", service="payments")
    story.event("c", service="checkout")
    story.later(minutes=30)
    story.event("p", "resolve")
    story.later(seconds=119)
    assert story.paged("c") == []
    story.later(seconds=2)
    assert story.paged("c") == ["ana"]


def test_what_is_over_within_those_two_minutes_never_tells_anybody():
    story = crowd(**CAUSES)
    story.event("p", service="payments")
    story.event("c", service="checkout")
    story.event("p", "resolve")
    story.later(minutes=1)
    story.event("c", "resolve")
    story.later(hours=2)
    assert story.paged("c") == []


def test_what_opens_within_those_two_minutes_is_still_explained():
    story = crowd(**CAUSES)
    story.event("p", service="payments")
    story.event("p", "resolve")
    story.later(minutes=1)
    story.event("c", service="checkout")
    assert story.paged("c") == []
    story.later(seconds=61)
    assert story.paged("c") == ["ana"]


def test_a_cause_that_comes_later_quiets_what_is_open_already():
    story = crowd(**CAUSES)
    story.event("c", service="checkout")
    story.event("p", service="payments")
    assert story.of("c").suppressed_by == "rule payments"
    story.later(minutes=20)
    assert story.paged("c") == ["ana"]


def test_of_two_causes_the_last_one_counts():
    story = crowd(**CAUSES)
    for key in ("p", "q"):
        story.event(key, service="payments")
    story.event("c", service="checkout")
    story.event("p", "resolve")
    story.later(minutes=30)
    assert story.paged("c") == []
    story.event("q", "resolve")
    story.later(minutes=2)
    assert story.paged("c") == ["ana"]


def test_an_incident_never_silences_itself():
    story = crowd(suppress=[{"name": "self", "when": "true", "while_open": "service == 'payments'"}])
    story.event("p", service="payments")
    assert story.paged("p") == ["ana"]


@pytest.mark.parametrize("first", ["a", "b"])
def test_two_that_explain_each_other_do_not_silence_each_other(first):
    rules = [
        {"name": "b by a", "when": "service == 'b'", "while_open": "service == 'a'"},
        {"name": "a by b", "when": "service == 'a'", "while_open": "service == 'b'"},
    ]
    second = "b" if first == "a" else "a"
    story = crowd(suppress=rules, services={"a": {}, "b": {}})
    story.event(first, service=first)
    story.event(second, service=second)
    assert (story.paged(first), story.paged(second)) == (["ana"], [])
    story.later(hours=2)
    assert story.of(first).suppressed_by == ""
    assert len(story.paged(first)) > 3
    story.event(first, "resolve")
    story.later(minutes=3)
    assert story.paged(second) == ["ana"]


def test_two_that_opened_at_the_same_moment_settle_who_is_the_cause():
    """Two routers: neither saw the other one when it opened, and each is a cause of the other."""
    rules = [
        {"name": "b by a", "when": "service == 'b'", "while_open": "service == 'a'"},
        {"name": "a by b", "when": "service == 'a'", "while_open": "service == 'b'"},
    ]
    story = crowd(suppress=rules, services={"a": {}, "b": {}})
    story.event("a", service="a")
    known, story.board.causes = story.board.causes, {}
    story.event("b", service="b")
    story.board.causes |= known
    assert story.of("a").explains
    assert story.of("b").explains
    story.later(minutes=30)
    quiet = [key for key in "ab" if story.of(key).suppressed_by]
    assert len(quiet) == 1
    story.later(hours=5)
    assert [key for key in "ab" if story.of(key).suppressed_by] == quiet


def test_whatever_asks_for_a_page_of_a_muted_incident_gets_none_out():
    """The one place through which every page goes."""
    story = crowd(**WINDOW)
    incident = story.event("a", service="checkout")
    live = story.board.live
    draft = Draft(incident, live, Context(live), story.now)
    draft.page(Found(Recipient(kind="user", name="ana"), "test"), through="level", why="test")
    draft.notify(Recipient(kind="user", name="ana"), "inform")
    assert (draft.pages, draft.notices, draft.incident.pages) == ([], [], ())


# --- dependencies -----------------------------------------------------------------------------------------


def test_what_its_service_depends_on_is_named_and_suppresses_nothing():
    services = {"checkout": {"depends_on": ["payments"]}, "payments": {"depends_on": ["bank"]}, "bank": {}}
    story = crowd(services=services)
    bank = story.event("b", service="bank", title="The bank is away")
    incident = story.event("c", service="checkout")
    assert story.paged("c") == ["ana"]
    assert [each.id for each in incident.may_follow_from] == [bank.id]
    assert story.said("c", "upstream") == [f"it may follow from bank: The bank is away ({bank.id})"]
    _, decision = next(pair for pair in story.decisions if pair[0].dedup_key == "c")
    assert decision.message is not None
    assert decision.message.incident.may_follow_from[0].title == "The bank is away"


def test_a_cause_that_opens_later_is_named_with_the_next_page():
    services = {"checkout": {"depends_on": ["payments"]}, "payments": {}}
    story = crowd(services=services)
    story.event("c", service="checkout")
    cause = story.event("p", service="payments")
    assert story.of("c").may_follow_from == ()
    story.later(minutes=5)
    assert [each.id for each in story.of("c").may_follow_from] == [cause.id]


def test_services_that_depend_on_each_other_do_not_turn_in_circles():
    services = {"a": {"depends_on": ["b"]}, "b": {"depends_on": ["a"]}}
    story = crowd(services=services)
    story.event("a", service="a")
    assert [each.service for each in story.event("b", service="b").may_follow_from] == ["a"]


# --- windows ----------------------------------------------------------------------------------------------


def test_a_rule_may_have_several_windows_and_go_by_a_calendar():
    nights = {"timezone": "UTC", "hours": {"from": "02:00", "to": "04:00"}, "holidays": {"add": ["01-08"]}}
    windows = [{"calendar": "nights"}, {"days": "wed", "from": "04:00", "to": "05:00", "timezone": "UTC"}]
    story = crowd(calendars={"nights": nights}, suppress=[{"name": "work", "window": windows}])
    story.event("a", service="checkout")
    assert story.of("a").suppression.until == START + timedelta(hours=2), "windows that touch are one"
    story.later(hours=24)
    story.event("b", service="checkout")
    assert story.paged("b") == ["ana"], "the 8th is a holiday of that calendar"


def test_maintenance_may_go_by_a_calendar_too():
    nights = {"timezone": "UTC", "hours": {"from": "02:00", "to": "04:00"}}
    story = crowd(calendars={"nights": nights})
    story.maintenance("service == 'checkout'", window={"calendar": "nights"})
    story.event("a", service="checkout")
    assert story.of("a").suppression.until == START + timedelta(hours=1)
