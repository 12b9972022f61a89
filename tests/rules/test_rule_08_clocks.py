"""Rule 8: one clock a target; they run, pause, are fulfilled, warned of, broken, cancelled – each told once."""

from datetime import UTC, datetime, timedelta

import pytest

from services.router.domain.model.clock import Clock
from services.router.domain.model.snapshot import snapshot
from services.router.domain.model.stored import decode, encode
from shared.policy import Bundle
from tests.domain.tale import START, Tale, bundle, compiled, ladder, on_main, tale

TARGETS = ("acknowledge", "respond", "update", "resolve", "close")
ALL = {
    "name": "gold",
    "acknowledge": "5m",
    "respond": "15m",
    "update": "30m",
    "resolve": "4h",
    "close": "30d",
}
OFFICE = {
    "office": {
        "timezone": "Europe/Prague",
        "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}],
        "holidays": {"country": "CZ"},
    }
}
HEARS = [{"who": ["customer"], "events": ["opened", "update", "resolved"]}]
WORDS = ("activate", "pause", "resume", "fulfil", "warn", "breach")


def clock(story: Tale, target: str) -> Clock:
    return next(clock for clock in story.standing.clocks if clock.target == target)


def states(story: Tale) -> dict[str, str]:
    return {clock.target: clock.state for clock in story.standing.clocks}


def elapsed(story: Tale, target: str) -> timedelta:
    return timedelta(seconds=clock(story, target).elapsed(story.now, story.policy.calendars))


def turns(story: Tale) -> list[tuple[str, str]]:
    """What happened to clocks, as the messages say it."""
    messages = [decision.message for decision in story.decisions if decision.message]
    return [(each.target, each.event) for message in messages for each in message.clock_events]


def shown(story: Tale, target: str) -> object:
    seen = snapshot(story.standing, "desk", story.now, story.policy.calendars)
    return next(each for each in seen.clocks if each.target == target)


# --- the words --------------------------------------------------------------------------------------------


def test_each_target_has_a_clock_and_each_says_that_it_is_activated():
    story = tale(slas=[ALL])
    story.event()
    assert states(story) == dict.fromkeys(TARGETS, "running")
    assert turns(story) == [(target, "activate") for target in TARGETS]
    assert story.said("activate")[3] == "clock resolve starts: 4 h"


def test_a_target_that_is_not_promised_has_no_clock():
    story = tale(slas=[{"name": "s", "resolve": "4h"}])
    story.event()
    assert list(states(story)) == ["resolve"]


def test_from_opening_to_close_every_turn_of_a_clock_is_told_by_one_word():
    sla = {"name": "s", "acknowledge": "5m", "resolve": "1h", "pause_while": ["customer"], "warn_at": ["50%"]}
    story = tale(slas=[sla])
    story.event()
    story.act("acknowledge")
    story.later(minutes=10)
    story.event("update", waiting_for="customer")
    story.later(minutes=10)
    story.event("update", waiting_for="")
    story.later(minutes=60)
    story.act("resolve")
    assert turns(story) == [
        ("acknowledge", "activate"),
        ("resolve", "activate"),
        ("acknowledge", "fulfil"),
        ("resolve", "pause"),
        ("resolve", "resume"),
        ("resolve", "warn"),
        ("resolve", "breach"),
        ("resolve", "fulfil"),
    ]
    told = [entry.kind for entry in story.entries if entry.kind in WORDS]
    assert told == [event for _, event in turns(story)]
    assert all(entry.reason is not None for entry in story.entries if entry.kind in WORDS)


def test_a_broken_clock_is_shown_as_breached_while_it_runs_and_keeps_it_on_record_when_fulfilled():
    story = tale(slas=[{"name": "s", "resolve": "1h"}])
    story.event()
    story.act("acknowledge")
    story.later(minutes=61)
    assert (shown(story, "resolve").state, shown(story, "resolve").breached) == ("breached", True)
    story.act("resolve")
    assert (shown(story, "resolve").state, shown(story, "resolve").breached) == ("fulfilled", True)
    assert story.said("fulfil")[-1] == "clock resolve is fulfilled after 1 h 1 min of 1 h, after its breach"


def test_what_a_clock_took_stays_as_it_was_whatever_time_passes():
    story = tale(slas=[ALL], calendars=OFFICE)
    story.event()
    story.later(minutes=2)
    story.act("acknowledge")
    story.later(hours=3)
    assert clock(story, "acknowledge").took == 120
    assert clock(story, "acknowledge").elapsed(story.now, {}) == 120


def test_rows_of_the_last_release_still_read_and_measure_the_same():
    raw = b'{"target":"resolve","goal":3600.0,"intervals":[{"started":"2026-01-07T03:00:00Z"}],"sla":"s"}'
    story = tale(slas=[{"name": "s", "resolve": "1h"}])
    story.event()
    stored = encode(story.standing)
    old = decode(stored[: stored.index(b'"clocks":')] + b'"clocks":[' + raw + b"]}")
    assert old.clocks[0].elapsed(START + timedelta(minutes=5), {}) == 300
    assert old.clocks[0].reaches(1.0, {}) == START + timedelta(hours=1)


# --- waiting ----------------------------------------------------------------------------------------------


def test_clocks_stop_while_it_waits_for_any_of_the_parties_that_the_sla_names():
    sla = {"name": "s", "resolve": "4h", "pause_while": ["customer", "vendor"]}
    story = tale(slas=[sla])
    story.event()
    for party, minutes in (("customer", 30), ("vendor", 30), ("courier", 20)):
        story.event("update", waiting_for=party)
        story.later(minutes=minutes)
    assert elapsed(story, "resolve") == timedelta(minutes=20)
    assert states(story)["resolve"] == "running"


def test_a_snooze_stops_no_clock():
    story = tale(slas=[{"name": "s", "resolve": "4h"}])
    story.event()
    story.act("snooze", until=story.now + timedelta(hours=2))
    story.later(hours=1)
    assert elapsed(story, "resolve") == timedelta(hours=1)


# --- calendars --------------------------------------------------------------------------------------------


def test_only_office_hours_count_and_the_breach_comes_within_them():
    story = tale(slas=[{"name": "s", "calendar": "office", "resolve": "12h"}], calendars=OFFICE)
    story.event()  # on Wednesday at four in the morning in Prague
    story.act("acknowledge")
    assert clock(story, "resolve").reaches(1.0, story.policy.calendars) == datetime(2026, 1, 8, 9, tzinfo=UTC)
    story.later(hours=29, minutes=59)
    assert story.said("breach") == []
    story.later(minutes=2)
    assert story.said("breach") == ["breach: resolve was promised within 12 h of calendar office (SLA s)"]
    breach = next(entry for entry in story.entries if entry.kind == "breach")
    assert breach.at == datetime(2026, 1, 8, 9, tzinfo=UTC)
    assert breach.reason.values == {"elapsed": "12 h", "goal": "12 h", "calendar": "office"}


def test_warnings_and_points_at_shares_count_the_calendars_time_too():
    points = [{"name": "half", "at": "50% of resolve", "do": [{"inform": ["user:karel"]}]}]
    slas = [{"name": "s", "calendar": "office", "resolve": "2h", "warn_at": ["80%"]}]
    story = tale(slas=slas, calendars=OFFICE, **on_main(points=points))
    story.event()
    story.act("acknowledge")
    story.later(hours=5)  # it opens after four hours
    assert [notice.recipient.name for notice in story.notices] == ["karel"]
    assert story.said("warn") == []
    story.later(minutes=36)
    assert len(story.said("warn")) == 1


def test_an_incident_keeps_the_calendars_that_it_started_with():
    slas = [{"name": "s", "calendar": "office", "resolve": "2h"}]
    story = tale(slas=slas, calendars=OFFICE)
    story.event()
    longer = {"office": {"timezone": "Europe/Prague", "hours": [{"from": "00:00", "to": "24:00"}]}}
    story.policy = compiled(bundle(slas=slas, calendars=longer))
    story.later(hours=3)
    frozen = story.frozen[story.standing.policy_hash]
    assert clock(story, "resolve").elapsed(story.now, frozen.calendars) == 0
    assert story.said("breach") == []


def test_conditions_ask_whether_a_calendar_is_open():
    slas = [
        {"name": "by day", "when": "open('office')", "resolve": "1h"},
        {"name": "by night", "when": "open('always')", "resolve": "4h"},
    ]
    night, day = (tale(slas=slas, calendars=OFFICE) for _ in range(2))
    night.event()
    day.now = datetime(2026, 1, 7, 9, tzinfo=UTC)
    day.event()
    assert (night.standing.sla, day.standing.sla) == ("by night", "by day")


def test_a_promise_that_its_calendar_cannot_hold_in_ten_years_keeps_nothing_from_going_on():
    rare = {"timezone": "UTC", "hours": [{"days": "mon", "from": "08:00", "to": "08:30"}]}
    story = tale(slas=[{"name": "s", "calendar": "rare", "resolve": "3650d"}], calendars={"rare": rare})
    story.event()
    story.act("acknowledge")
    assert clock(story, "resolve").reaches(1.0, story.policy.calendars) is None
    assert shown(story, "resolve").due_at is None
    assert story.standing.next_due_at is not None


# --- another SLA applies ----------------------------------------------------------------------------------

_BOTH = [
    {"name": "urgent", "when": "priority == 1", "acknowledge": "5m", "resolve": "1h"},
    {"name": "office", "calendar": "office", "acknowledge": "1h", "resolve": "8h"},
]


def test_a_changed_priority_measures_the_same_time_on_the_calendar_that_applies_now():
    story = tale(slas=_BOTH, calendars=OFFICE)
    story.event(severity="warning")
    story.later(minutes=30)
    assert elapsed(story, "resolve") == timedelta(0)  # at night
    story.event(severity="critical")
    assert elapsed(story, "resolve") == timedelta(minutes=30)
    assert clock(story, "resolve").calendar == "always"
    assert "SLA urgent applies now" in story.said("sla")[-1]


def test_what_is_already_past_under_the_new_promise_is_one_breach():
    story = tale(slas=_BOTH, calendars=OFFICE)
    story.event(severity="warning")
    story.act("acknowledge")
    story.later(hours=3)
    assert story.said("breach") == []
    story.event(severity="critical")
    story.later(hours=3)
    assert [text.split()[1] for text in story.said("breach")] == ["resolve"]


def test_a_changed_tier_re_targets_too():
    slas = [{"name": "gold", "when": "tier == 'gold'", "resolve": "1h"}, {"name": "rest", "resolve": "8h"}]
    story = tale(slas=slas)
    story.event()
    story.later(minutes=10)
    story.event("update", tier="gold")
    assert (clock(story, "resolve").goal, elapsed(story, "resolve")) == (3600, timedelta(minutes=10))


def test_what_another_sla_promises_besides_counts_from_the_opening_and_what_it_does_not_is_cancelled():
    slas = [
        {"name": "urgent", "when": "priority == 1", "respond": "15m", "resolve": "1h"},
        {"name": "rest", "update": "1h", "resolve": "8h"},
    ]
    story = tale(slas=slas)
    story.event(severity="warning")
    story.later(minutes=10)
    story.event(severity="critical")
    assert states(story) == {"respond": "running", "update": "cancelled", "resolve": "running"}
    assert elapsed(story, "respond") == timedelta(minutes=10)
    assert turns(story)[-1] == ("respond", "activate")


# --- respond ----------------------------------------------------------------------------------------------


def test_the_first_update_that_the_customer_gets_is_the_response():
    story = tale(slas=[ALL], subscriptions=HEARS)
    story.event(customer="acme")
    assert states(story)["respond"] == "running"  # that it was opened is no answer
    story.later(minutes=10)
    story.act("update", text="We have found the cause.")
    assert states(story)["respond"] == "fulfilled"
    assert clock(story, "respond").took == 600
    story.later(minutes=5)
    story.act("update", text="We go on.")
    assert turns(story).count(("respond", "fulfil")) == 1


def test_an_update_that_reaches_no_customer_is_no_response():
    inside = [{"who": ["user:karel"], "events": ["update"]}]
    story = tale(slas=[ALL], subscriptions=inside)
    story.event(customer="acme")
    story.act("update", text="We have found the cause.")
    story.later(minutes=16)
    assert states(story)["respond"] == "running"
    assert "respond" in " ".join(story.said("breach"))


def test_hearing_that_it_is_resolved_is_an_answer_too():
    story = tale(slas=[ALL], subscriptions=HEARS)
    story.event(customer="acme")
    story.act("resolve")
    assert states(story)["respond"] == "fulfilled"


def test_without_an_answer_the_response_is_owed_no_longer_once_it_is_resolved_and_again_when_reopened():
    story = tale(slas=[ALL])
    story.event()
    story.later(minutes=4)
    story.act("resolve")
    assert states(story)["respond"] == "cancelled"
    story.later(minutes=30)
    story.event()
    assert (states(story)["respond"], elapsed(story, "respond")) == ("running", timedelta(minutes=4))


# --- update -----------------------------------------------------------------------------------------------


def reminded(story: Tale) -> list[tuple[str, datetime]]:
    made = [(each.message.at, each.message.notices) for each in story.decisions if each.message]
    return [
        (notice.recipient.name, at)
        for at, notices in made
        for notice in notices
        if notice.text.startswith("Stakeholders have heard nothing")
    ]


def test_each_update_begins_the_next_period():
    story = tale(slas=[ALL])
    story.event()
    story.act("acknowledge")
    story.later(minutes=29)
    story.act("update", text="We are on it.")
    story.later(minutes=29)
    assert reminded(story) == []
    assert elapsed(story, "update") == timedelta(minutes=29)
    assert turns(story)[-2:] == [("update", "fulfil"), ("update", "activate")]


def test_when_no_update_comes_the_assignee_is_reminded_and_then_the_level_above():
    story = tale(slas=[ALL])
    story.event()
    story.act("acknowledge")
    story.later(minutes=61)
    first, second = START + timedelta(minutes=30), START + timedelta(minutes=60)
    assert reminded(story) == [("ana", first), ("ana", second), ("petra", second)]
    assert turns(story).count(("update", "breach")) == 1
    assert story.paged == ["ana"]  # the levels rest: somebody has it


def test_an_update_that_came_too_late_is_a_breach_of_its_period_and_the_next_one_can_be_kept():
    story = tale(slas=[ALL])
    story.event()
    story.act("acknowledge")
    story.later(minutes=31)
    assert shown(story, "update").state == "breached"
    story.act("update", text="We are on it.")
    assert (shown(story, "update").state, shown(story, "update").breached) == ("running", True)
    story.later(minutes=31)
    assert clock(story, "update").breaches == 2


def test_while_nobody_has_it_whoever_is_asked_is_reminded():
    story = tale(slas=[{"name": "s", "update": "3m"}])
    story.event()
    story.later(minutes=3)
    assert [name for name, _ in reminded(story)] == ["ana"]


def test_when_whoever_has_it_has_left_the_policy_the_level_above_is_reminded_at_once():
    story = tale(slas=[ALL])
    story.event()
    story.act("acknowledge")
    policy = bundle(slas=[ALL]).model_dump(mode="json", by_alias=True, exclude_none=True)
    del policy["users"]["ana"]
    policy["teams"] = {"desk": {"members": ["petra"], "lead": "petra"}}
    story.policy = compiled(Bundle.model_validate(policy))
    story.later(minutes=31)
    assert [name for name, _ in reminded(story)] == ["petra"]


def test_whoever_comes_after_hears_of_every_period_until_somebody_writes():
    story = tale(slas=[ALL])
    story.event()
    story.act("acknowledge")
    story.later(minutes=125)
    assert [name for name, _ in reminded(story)] == ["ana"] + ["ana", "petra"] * 3
    story.act("update", text="We are on it.")
    story.later(minutes=29)
    assert len(reminded(story)) == 7


def test_after_downtime_a_silence_of_many_periods_is_one_reminder():
    story = tale(slas=[ALL])
    story.event()
    story.act("acknowledge")
    story.down_for(hours=5)
    assert [name for name, _ in reminded(story)] == ["ana"]
    assert story.standing.next_due_at == START + timedelta(hours=5, minutes=30)


def test_a_point_at_a_share_of_update_acts_once_a_period():
    points = [{"name": "soon", "at": "80% of update", "do": [{"inform": ["user:karel"]}]}]
    story = tale(slas=[ALL], **on_main(points=points))
    story.event()
    story.act("acknowledge")
    for _ in range(2):
        story.later(minutes=25)
        story.act("update", text="We are on it.")
    assert [notice.text for notice in story.notices].count("Escalation point: soon") == 2


def test_updates_are_owed_no_longer_once_it_is_resolved_and_again_when_reopened():
    story = tale(slas=[ALL])
    story.event()
    story.act("resolve")
    assert states(story)["update"] == "fulfilled"
    story.later(minutes=40)
    story.event()
    assert (states(story)["update"], elapsed(story, "update")) == ("running", timedelta(0))


# --- resolve and close ------------------------------------------------------------------------------------


def test_reopening_goes_on_with_the_time_to_resolve():
    story = tale(slas=[ALL])
    story.event()
    story.later(minutes=20)
    story.act("resolve")
    story.later(minutes=30)
    story.event()
    story.later(minutes=10)
    assert elapsed(story, "resolve") == timedelta(minutes=30)
    assert ("resolve", "resume") in turns(story)


def test_the_promise_to_close_runs_from_the_opening_until_it_is_closed():
    story = tale(slas=[{"name": "s", "close": "30d"}], **on_main(close={"after": "3d"}))
    story.event()
    story.later(hours=1)
    story.act("resolve")
    assert states(story)["close"] == "running"
    story.later(days=3)
    assert (story.standing.status, states(story)["close"]) == ("closed", "fulfilled")
    assert clock(story, "close").took == timedelta(days=3, hours=1).total_seconds()


def test_the_promise_to_close_can_be_broken_while_it_is_resolved_and_nobody_is_paged_for_that():
    points = [{"name": "late", "at": "100% of close", "do": [{"notify": ["user:karel"]}]}]
    story = tale(
        slas=[{"name": "s", "close": "2d", "warn_at": ["50%"]}],
        **on_main(close={"after": "3d"}, points=points),
    )
    story.event()
    story.act("acknowledge")
    story.act("resolve")
    before = len(story.pages)
    story.later(days=2, minutes=1)
    assert [len(story.said(kind)) for kind in ("warn", "breach")] == [1, 1]
    assert [notice.recipient.name for notice in story.notices if notice.event == "inform"] == ["karel"]
    assert len(story.pages) == before


@pytest.mark.parametrize("party", ["customer", ""])
def test_the_end_of_the_waiting_at_the_resolve_lets_the_promise_to_close_go_on(party):
    story = tale(slas=[{"name": "s", "close": "30d", "pause_while": ["customer"]}])
    story.event()
    story.event("update", waiting_for=party)
    story.act("resolve")
    assert states(story)["close"] == "running"


# --- suppression ------------------------------------------------------------------------------------------


def test_the_clocks_of_what_is_suppressed_from_its_opening_start_when_the_suppression_ends():
    window = {"days": "wed", "from": "02:00", "to": "04:00", "timezone": "UTC"}
    story = tale(slas=[ALL], suppress=[{"name": "work", "window": window}])
    story.event()
    assert set(states(story).values()) == {"paused"}
    assert turns(story) == []
    story.later(hours=1, minutes=2)
    assert turns(story)[:5] == [(target, "activate") for target in TARGETS]
    assert elapsed(story, "resolve") == timedelta(minutes=2)


def test_finally_hears_of_the_silence_when_no_level_is_above():
    alone = ladder(levels=[{"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"}])
    story = tale(slas=[ALL], policies={"main": alone})
    story.event()
    story.act("acknowledge")
    story.later(minutes=61)
    assert [name for name, _ in reminded(story)] == ["ana", "ana", "karel"]
