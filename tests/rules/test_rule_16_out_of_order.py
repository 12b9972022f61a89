"""Rule 16: a sender's clock silences no page; a trigger from before the last resolve waits for two minutes."""

from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from services.intake.formats import FORMATS
from services.intake.formats.contract import Post
from services.router.domain.model.signals import EventReceived
from tests.domain.tale import START, Tale, on_main, tale
from tests.rules.crowd import crowd

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CALLS = {"restart": {"webhook": "https://automation.example/restart"}}


def alertmanager(story: Tale, status: str, *, starts: str, ends: str = "0001-01-01T00:00:00Z") -> None:
    """What Alertmanager posts of one alert, through its format."""
    labels = {"alertname": "DiskFull", "severity": "critical"}
    alert = {"status": status, "labels": labels, "startsAt": starts, "endsAt": ends, "fingerprint": "f1"}
    body = msgspec.json.encode({"version": "4", "status": status, "groupKey": "g", "alerts": [alert]})
    read = FORMATS["alertmanager"].read(body, Post("test", story.now))
    for event in read.events:
        story.tell(EventReceived(event))


def taken_and_timed_out() -> Tale:
    """Ana was paged at three; at ten past Alertmanager ended the alert by time-out."""
    story = tale()
    alertmanager(story, "firing", starts="2026-01-07T02:59:30Z")
    story.later(minutes=1)
    story.act("acknowledge")
    story.later(minutes=9)
    alertmanager(story, "resolved", starts="2026-01-07T02:59:30Z", ends="2026-01-07T03:09:45Z")
    assert (story.standing.status, story.paged) == ("resolved", ["ana"])
    return story


# --- the sender that keeps its first time -----------------------------------------------------------------


def test_alertmanager_fires_again_with_its_old_first_time_and_ana_is_paged_after_two_minutes():
    story = taken_and_timed_out()
    story.later(minutes=5)
    first = story.standing.id
    for _ in range(3):  # the group's interval: three repeats
        alertmanager(story, "firing", starts="2026-01-07T02:59:30Z")
        story.later(seconds=30)
    assert (story.standing.id, story.standing.status, story.paged) == (first, "triggered", ["ana"])
    story.later(seconds=29)
    assert story.paged == ["ana"]
    story.later(seconds=1)
    assert (story.standing.id, story.paged) == (first, ["ana", "ana"])
    assert story.pages[-1].through == "assignee"  # whoever had it, as with any other that comes back


def test_also_after_it_was_closed():
    story = taken_and_timed_out()
    story.later(hours=3)
    assert story.standing.status == "closed"
    first = story.standing.id
    for _ in range(3):
        alertmanager(story, "firing", starts="2026-01-07T02:59:30Z")
        story.later(seconds=30)
    assert (story.standing.previous, story.paged) == (first, ["ana"])
    story.later(seconds=30)
    assert story.paged == ["ana", "ana"]


def test_the_timeline_says_why_nobody_is_paged_yet_and_why_somebody_is_then():
    story = taken_and_timed_out()
    alertmanager(story, "firing", starts="2026-01-07T02:59:30Z")
    (line,) = [entry for entry in story.entries if entry.kind == "late"]
    assert line.text == (
        "nobody is paged for 2 min, a resolve until then ends it: its source time 2026-01-07 02:59:30 UTC is"
        " earlier than that of the last resolve, 2026-01-07 03:09:45 UTC"
    )
    assert line.reason is not None
    assert line.reason.values["occurred_at"] == "2026-01-07T02:59:30+00:00"
    story.later(minutes=2)
    assert "it still stands 2 min after a trigger from before the last resolve" in story.said("paged")[-1]


# --- what the sender's clock says -------------------------------------------------------------------------


@pytest.mark.parametrize("said", [timedelta(0), timedelta(minutes=3), None], ids=["now", "ahead", "nothing"])
def test_a_resolve_dated_twenty_minutes_ahead_swallows_no_trigger(said):
    story = tale()
    story.event(occurred_at=START)
    story.later(minutes=1)
    story.event("resolve", occurred_at=story.now + timedelta(minutes=20))
    story.later(minutes=1)
    story.event(occurred_at=None if said is None else story.now + said)
    assert story.paged == ["ana", "ana"]


def test_what_is_dated_ahead_counts_as_received():
    story = tale()
    story.event()
    story.later(minutes=2)
    story.event("resolve", occurred_at=story.now + timedelta(days=400))
    assert story.standing.source_time == story.now
    story.later(minutes=1)
    story.event(occurred_at=story.now - timedelta(seconds=90))  # half a minute before the resolve came
    story.later(minutes=1)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "ana"]


@pytest.mark.parametrize(
    ("resolve", "trigger"),
    [
        (START, START),  # senders write whole seconds
        (START + SECOND / 2, START),  # one of them does
        (START, START + SECOND),
        (START, None),  # without a time the log's order counts
        (None, START - SECOND),
    ],
    ids=["equal", "same second", "later", "trigger without", "resolve without"],
)
def test_a_trigger_after_a_resolve_in_the_same_whole_second_counts(resolve, trigger):
    story = tale()
    story.event(occurred_at=START - MINUTE)
    story.event("resolve", occurred_at=resolve)
    story.later(seconds=2)
    story.event(occurred_at=trigger)
    assert story.paged == ["ana", "ana"]


def test_of_several_resolves_the_latest_time_counts():
    story = tale()
    story.event(occurred_at=START)
    story.later(seconds=20)
    story.event("resolve", occurred_at=START + SECOND)
    story.event("resolve", occurred_at=START + 10 * SECOND)
    story.event("resolve", occurred_at=START + 2 * SECOND)
    story.event(occurred_at=START + 5 * SECOND)
    assert (story.standing.status, story.paged) == ("triggered", ["ana"])
    story.event(occurred_at=START + 11 * SECOND)
    assert story.paged == ["ana", "ana"]


def test_source_times_drive_no_timer():
    story = tale()
    story.event(occurred_at=START - timedelta(days=300))
    assert story.standing.chain.due == START + timedelta(minutes=5)
    ahead = tale()
    ahead.event(occurred_at=START + timedelta(days=300))
    assert ahead.standing.chain.due == START + timedelta(minutes=5)


# --- the late twin ----------------------------------------------------------------------------------------


def test_the_late_twin_of_a_pair_ends_unpaged():
    story = tale()
    story.event(occurred_at=START)
    story.later(minutes=5)
    told = len(story.pages)
    story.event("resolve", occurred_at=START + 4 * MINUTE)
    story.later(seconds=20)
    story.event(occurred_at=START + SECOND)  # the other one of the pair saw the same
    story.later(seconds=40)
    story.event("resolve", occurred_at=START + 4 * MINUTE)
    assert (story.standing.status, story.standing.reopened, len(story.pages)) == ("resolved", 0, told)
    assert story.said("late_over") == [
        "over before anybody was paged: the trigger was from before the last resolve"
    ]
    story.later(hours=3)
    assert (story.standing.status, len(story.pages)) == ("closed", told)


SUBSCRIBED = [{"who": ["customer"], "events": ["opened", "reopened", "resolved"]}]


def subscribed() -> Tale:
    """A customer hears how it goes on and is asked to confirm; it was resolved, and a late trigger came."""
    story = tale(subscriptions=SUBSCRIBED, **on_main(close={"confirmed_by": "customer", "after": "3d"}))
    story.event(customer="acme", occurred_at=START)
    story.act("acknowledge")
    story.later(seconds=20)
    story.event("resolve", occurred_at=START + 10 * SECOND)
    assert told_outside(story) == ["opened", "resolved", "confirm"]
    story.event(occurred_at=START)
    return story


def told_outside(story: Tale) -> list[str]:
    return [notice.event for notice in story.notices if notice.recipient.kind == "customer"]


def test_nobody_is_told_of_the_late_twin_either():
    story = subscribed()
    told = len(story.notices)
    story.event("resolve", occurred_at=START + 10 * SECOND)
    story.later(hours=1)
    assert len(story.notices) == told


@pytest.mark.parametrize("how", ["time", "taken"])
def test_whoever_subscribed_hears_of_it_when_it_is_held_no_longer(how):
    story = subscribed()
    if how == "time":
        story.later(minutes=2)
    else:
        story.act("acknowledge")
    assert told_outside(story) == ["opened", "resolved", "confirm", "reopened"]


def test_while_it_is_held_a_trigger_that_is_not_late_counts_at_once():
    story = taken_and_timed_out()
    alertmanager(story, "firing", starts="2026-01-07T02:59:30Z")
    story.later(seconds=10)
    alertmanager(story, "firing", starts="2026-01-07T03:10:05Z")
    assert story.paged == ["ana", "ana"]
    assert "triggered again, and not from before the last resolve" in story.said("paged")[-1]


def test_a_repeat_of_what_stands_is_no_late_one():
    story = tale()
    story.event(occurred_at=START)
    story.event("resolve", occurred_at=START + SECOND)
    story.later(minutes=1)
    story.event(occurred_at=START + 30 * SECOND)
    story.event(occurred_at=START)
    assert story.said("late") == []
    assert story.paged == ["ana", "ana"]


# --- what happens in the two minutes ----------------------------------------------------------------------


def held(**sections) -> Tale:
    """A tale that a late trigger has just reopened."""
    story = tale(**sections)
    story.event(occurred_at=START)
    story.later(seconds=10)
    story.event("resolve", occurred_at=START + 10 * SECOND)
    story.later(minutes=1)
    story.event(occurred_at=START, severity="critical")
    return story


def test_no_point_pages_either_and_none_is_lost():
    points = [
        {"name": "came back", "when": "reopened >= 1", "do": [{"notify": ["user:petra"]}]},
        {"name": "slow", "at": "100% of acknowledge", "do": [{"notify": ["user:karel"]}]},
    ]
    story = held(**on_main(points=points), slas=[{"name": "s", "acknowledge": "90s"}])
    story.later(seconds=119)
    assert story.paged == ["ana"]
    story.later(seconds=1)
    assert story.paged == ["ana", "ana", "petra"]  # its clock was fulfilled when it was first resolved
    fresh = tale(**on_main(points=points[1:]), slas=[{"name": "s", "acknowledge": "90s"}])
    fresh.remembered = START
    fresh.event(occurred_at=START - MINUTE)
    fresh.later(seconds=119)
    assert fresh.paged == []
    fresh.later(seconds=1)
    assert fresh.paged == ["ana", "karel"]


def test_ana_may_take_it_before_anybody_is_paged():
    story = held()
    story.act("acknowledge")
    story.later(minutes=10)
    assert (story.standing.assignee, story.standing.late, story.paged) == ("ana", None, ["ana"])


def test_handed_up_by_a_person_somebody_is_paged_now():
    story = held()
    story.act("escalate")
    assert story.paged == ["ana", "ana"]


def test_a_machine_that_acknowledges_rests_the_levels_as_ever():
    story = held()
    story.event("acknowledge")
    story.later(minutes=30)
    assert story.paged == ["ana", "ana"]


def test_snoozed_meanwhile_it_wakes_when_the_snooze_is_over():
    story = held()
    story.act("snooze", until=story.now + timedelta(hours=1))
    story.later(minutes=59)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "ana"]


def test_what_is_resumed_meanwhile_is_held_all_the_same():
    story = held()
    story.act("snooze", until=story.now + timedelta(hours=1))
    story.later(seconds=30)
    story.act("resume")
    story.later(seconds=89)
    assert story.paged == ["ana"]
    story.later(seconds=1)
    assert story.paged == ["ana", "ana"]


def test_after_downtime_somebody_is_paged():
    story = held()
    story.down_for(hours=3)
    assert story.paged == ["ana", "ana"]


def test_a_replica_of_the_last_release_that_knows_no_hold_pages_when_it_is_over():
    story = held()
    story.incident = replace(story.standing, late=None)
    story.later(minutes=2)
    assert story.paged == ["ana", "ana"]


# --- with the policy's own grace --------------------------------------------------------------------------


def late_opening(**grace: str) -> Tale:
    story = tale(calls=CALLS, **on_main(grace=grace))
    story.remembered = START
    story.event(occurred_at=START - MINUTE)
    return story


@pytest.mark.parametrize(
    ("wait", "minutes"), [("30s", 2), ("2m", 2), ("10m", 10)], ids=["shorter", "equal", "longer"]
)
def test_of_the_policys_grace_and_this_one_the_longer_counts_and_automation_is_called(wait, minutes):
    story = late_opening(wait=wait, call="restart")
    assert [notice.recipient.name for notice in story.notices if notice.event == "call"] == ["restart"]
    story.later(seconds=minutes * 60 - 1)
    assert story.paged == []
    story.later(seconds=1)
    assert story.paged == ["ana"]


def test_a_trigger_that_is_not_late_leaves_automation_its_chance():
    story = late_opening(wait="1m", call="restart")
    story.later(seconds=10)
    story.event(occurred_at=story.now)
    story.later(seconds=49)
    assert story.paged == []
    story.later(seconds=1)
    assert story.paged == ["ana"]


def test_what_the_late_twin_ended_is_no_escalation_that_automation_avoided():
    story = late_opening(wait="1m", call="restart")
    story.event("resolve")
    assert (story.standing.avoided, story.said("avoided")) == (False, [])


# --- a resolve for an unknown key -------------------------------------------------------------------------


def test_a_resolve_for_an_unknown_key_is_kept():
    story = tale()
    decision = story.event("resolve", occurred_at=START)
    assert (decision.incident, decision.orphan is not None) == (None, True)


@pytest.mark.parametrize(
    ("trigger", "paged"),
    [(START - SECOND, []), (START, ["ana"]), (START + SECOND, ["ana"]), (None, ["ana"])],
    ids=["before", "equal", "later", "no time"],
)
def test_a_trigger_from_before_a_remembered_resolve_opens_and_pages_after_two_minutes(trigger, paged):
    story = tale()
    story.remembered = START
    story.later(minutes=1)
    decision = story.event(occurred_at=trigger)
    assert (decision.orphan, story.standing.status, story.paged) == (None, "triggered", paged)
    story.later(minutes=2)
    assert story.paged == ["ana"]


# --- groups -----------------------------------------------------------------------------------------------

GROUP = [{"name": "g", "by": ["service"], "within": "5m"}]


def a_pair():
    """`a` is the parent, `b` is grouped under it."""
    story = crowd(grouping=GROUP)
    story.event("a", service="checkout", occurred_at=START)
    story.event("b", service="checkout", occurred_at=START)
    story.later(seconds=10)
    return story


def test_a_member_that_comes_back_with_its_old_time_stands_again_under_its_parent():
    story = a_pair()
    story.event("b", "resolve", occurred_at=START + SECOND)
    story.later(minutes=1)
    story.event("b", service="checkout", occurred_at=START)
    assert (story.of("b").status, story.of("b").parent) == ("triggered", story.of("a").id)
    assert story.of("a").members_open == 1


def taken_pair():
    """`b` is over, ana has `a`; nothing of it is loud yet."""
    story = crowd(grouping=GROUP, loud="priority <= 2")
    story.event("a", service="checkout", severity="warning", occurred_at=START)
    story.event("b", service="checkout", severity="warning", occurred_at=START)
    story.act("a", "acknowledge")
    story.later(seconds=10)
    story.event("b", "resolve", occurred_at=START + SECOND)
    story.event("b", service="checkout", severity="critical", occurred_at=START)
    return story


def test_ana_who_has_the_group_is_not_paged_for_a_member_that_is_held_and_is_when_it_still_stands():
    story = taken_pair()
    story.later(seconds=119)
    assert (story.of("a").priority, story.paged("a"), story.said("a", "informed")) == (3, ["ana"], [])
    story.later(seconds=1)
    assert (story.of("a").priority, story.paged("a")) == (1, ["ana", "ana"])
    assert (story.of("b").status, story.of("b").assignee, story.of("b").late) == ("acknowledged", "ana", None)


def test_ana_who_has_the_group_never_hears_of_a_late_twin_of_a_member():
    story = taken_pair()
    story.later(seconds=30)
    story.event("b", "resolve", occurred_at=START + 2 * SECOND)
    story.later(minutes=10)
    assert (story.of("a").priority, story.paged("a"), story.of("a").members_open) == (3, ["ana"], 0)


def test_a_member_that_is_held_and_triggered_again_in_time_counts_for_its_group_at_once():
    story = taken_pair()
    story.later(seconds=30)
    story.event("b", service="checkout", severity="critical", occurred_at=story.now)
    assert (story.of("a").priority, story.paged("a")) == (1, ["ana", "ana"])


def test_taking_the_group_meanwhile_ends_no_members_hold():
    story = crowd(grouping=GROUP, loud="priority <= 2")
    story.event("a", service="checkout", severity="warning", occurred_at=START)
    story.event("b", service="checkout", severity="warning", occurred_at=START)
    story.later(seconds=10)
    story.event("b", "resolve", occurred_at=START + SECOND)
    story.event("b", service="checkout", severity="critical", occurred_at=START)
    story.act("a", "acknowledge")
    assert (story.of("b").status, story.of("a").priority, story.paged("a")) == ("acknowledged", 3, ["ana"])
    story.later(minutes=2)
    assert (story.of("a").priority, story.paged("a")) == (1, ["ana", "ana"])


def test_a_member_that_comes_back_with_its_old_time_after_its_group_pages_after_two_minutes():
    story = a_pair()
    story.event("b", "resolve", occurred_at=START + SECOND)
    story.event("a", "resolve", occurred_at=START + SECOND)
    story.later(minutes=10)
    story.event("b", service="checkout", occurred_at=START)
    story.later(seconds=119)
    assert story.paged("b") == []
    story.later(seconds=1)
    assert story.paged("b") == ["ana"]


def test_a_member_that_ended_with_its_parent_and_goes_on_firing_pages_at_once():
    story = a_pair()
    story.act("a", "resolve")
    assert story.of("b").status == "resolved"
    story.later(minutes=10)
    story.event("b", service="checkout", occurred_at=START)  # its sender never said that it was over
    assert story.paged("b") == ["ana"]


def test_a_late_trigger_of_a_parent_that_waits_for_its_members_counts_until_its_own_resolve():
    story = a_pair()
    story.event("a", "resolve", occurred_at=START + SECOND)
    story.event("a", service="checkout", occurred_at=START)
    story.event("b", "resolve")
    assert story.of("a").status == "triggered"
    assert "is earlier than that of the last resolve" in story.said("a", "repeated")[0]
    story.event("a", "resolve", occurred_at=START + SECOND)
    assert story.of("a").status == "resolved"


def test_what_joins_a_held_one_and_is_not_late_is_paged_for_at_once():
    story = crowd(grouping=GROUP)
    story.event("a", service="checkout", occurred_at=START)
    story.later(seconds=10)
    story.event("a", "resolve", occurred_at=START + 10 * SECOND)
    story.later(hours=2)
    story.event("a", service="checkout", occurred_at=START)
    assert story.paged("a") == ["ana"]
    story.event("b", service="checkout", occurred_at=story.now)
    assert (story.of("b").parent, story.paged("a")) == (story.of("a").id, ["ana", "ana"])


def test_a_held_one_silences_nothing_of_which_it_would_be_the_cause():
    suppress = [{"name": "x", "when": "service == 'checkout'", "while_open": "service == 'payments'"}]
    story = crowd(suppress=suppress, services={"checkout": {}, "payments": {}})
    story.event("p", service="payments", occurred_at=START)
    story.later(seconds=10)
    story.event("p", "resolve", occurred_at=START + 10 * SECOND)
    story.later(hours=2)
    story.event("p", service="payments", occurred_at=START)
    story.event("c", service="checkout")
    assert story.paged("c") == ["ana"]
    story.later(minutes=2)
    assert story.of("c").suppressed_by == "rule x"
