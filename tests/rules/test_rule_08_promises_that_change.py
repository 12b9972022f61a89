"""Rule 8: what was promised changes; what is not past under the new promise is watched again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.router.domain.forecast import forecast
from services.router.domain.model.clock import Clock
from services.router.domain.model.context import Context
from services.router.domain.model.snapshot import snapshot
from services.router.domain.reporting.report_facts import BREACHED, BY_PERSON, FULFILLED, TARGETS, outcome
from shared.events import ClockSnapshot
from tests.domain.invariants import Watch
from tests.domain.tale import START, Tale, bundle, compiled, on_main, tale
from tests.domain.test_any_history import Watched

URGENT = {"name": "urgent", "when": "priority == 1", "resolve": "1h", "warn_at": ["50%", "80%"]}
STANDARD = {"name": "standard", "resolve": "1d", "warn_at": ["50%", "80%"]}
HEARS = [{"who": ["user:karel"], "events": ["at_risk", "breached"]}]
ANY_DAY = {"timezone": "UTC", "hours": [{"from": "00:00", "to": "24:00"}]}


def clock(story: Tale, target: str = "resolve") -> Clock:
    return next(clock for clock in story.standing.clocks if clock.target == target)


def shown(story: Tale, target: str = "resolve") -> ClockSnapshot:
    calendars = story.frozen[story.standing.policy_hash].calendars
    seen = snapshot(story.standing, "desk", story.now, calendars)
    return next(each for each in seen.clocks if each.target == target)


def at(story: Tale, kind: str) -> list[timedelta]:
    """How long after the opening the timeline's lines of one kind came."""
    return [entry.at - START for entry in story.entries if entry.kind == kind]


def heard(story: Tale) -> list[str]:
    return [notice.event for notice in story.notices if notice.reason.startswith("subscribed to ")]


def told(story: Tale) -> list[str]:
    """What happened to clocks, as messages and the metric have it."""
    messages = [each.message for each in story.decisions if each.message is not None]
    return [each.event for message in messages for each in message.clock_events]


def broken(**sections: object) -> Tale:
    """Urgent, taken, and an hour later not solved."""
    story = tale(**{"slas": [URGENT, STANDARD], "subscriptions": HEARS} | sections)
    story.event(severity="critical")
    story.act("acknowledge")
    story.later(hours=1)
    assert at(story, "breach") == [timedelta(hours=1)]
    return story


def lower(story: Tale) -> None:
    story.act("set", "petra", "lead", changes={"priority": 4})


def test_an_hour_is_broken_a_lead_lowers_the_priority_and_the_day_that_is_promised_now_is_watched():
    story = broken()
    lower(story)
    now = shown(story)
    assert (now.state, now.due_at) == ("running", START + timedelta(days=1))
    assert (now.breached, now.broken_before, now.breaches) == (True, True, 1)
    assert story.said("sla")[-1] == (
        "SLA standard applies now: resolve within 1 d (broken before, watched again)"
    )
    story.act("note", note="still on it")
    story.later(hours=24)
    half, most = timedelta(hours=12), timedelta(hours=19, minutes=12)
    assert at(story, "warn")[2:] == [half, most]
    assert at(story, "breach") == [timedelta(hours=1), timedelta(hours=24)]
    assert heard(story) == ["at_risk", "at_risk", "breached"] * 2
    assert told(story)[-3:] == ["warn", "warn", "breach"]
    again = shown(story)
    assert (again.state, again.broken_before, again.breaches) == ("breached", True, 2)


def test_a_corrected_holiday_is_reapplied_and_what_is_promised_now_is_watched():
    slas = [{"name": "day", "calendar": "office", "resolve": "12h", "warn_at": ["50%", "80%"]}]
    story = tale(slas=slas, subscriptions=HEARS, calendars={"office": ANY_DAY})
    story.event()
    story.act("acknowledge")
    story.later(hours=12)
    assert at(story, "breach") == [timedelta(hours=12)]
    off = ANY_DAY | {"holidays": {"add": ["2026-01-07"]}}  # the whole day was one
    story.policy = compiled(bundle(slas=slas, subscriptions=HEARS, calendars={"office": off}))
    story.act("reapply", "petra", "lead")
    assert (shown(story).state, shown(story).elapsed_seconds) == ("running", 0)
    assert shown(story).broken_before
    story.later(days=1)
    midnight = datetime(2026, 1, 8, tzinfo=UTC) - START
    shares = [midnight + timedelta(hours=12) * share for share in (0.5, 0.8)]
    assert at(story, "warn")[2:] == shares
    assert at(story, "breach") == [timedelta(hours=12), midnight + timedelta(hours=12)]
    assert heard(story) == ["at_risk", "at_risk", "breached"] * 2


def test_what_is_past_under_the_new_promise_too_stays_broken_and_is_not_told_again():
    story = broken(slas=[URGENT, STANDARD | {"resolve": "50m"}])
    lower(story)
    story.later(hours=30)
    assert at(story, "breach") == [timedelta(hours=1)]
    assert heard(story).count("breached") == 1
    assert (shown(story).state, shown(story).broken_before) == ("breached", False)


def test_a_rise_of_priority_to_what_is_past_already_is_one_breach_each_time_it_gets_there():
    story = tale(slas=[URGENT, STANDARD], subscriptions=HEARS)
    story.event(severity="info")
    story.act("acknowledge")
    story.later(hours=2)
    story.event(severity="critical")
    story.later(hours=1)
    assert heard(story) == ["breached"]
    assert heard(story) == ["breached"]
    assert len(at(story, "breach")) == 1
    lower(story)
    assert shown(story).state == "running"
    story.act("set", "petra", "lead", changes={"priority": 1})
    story.later(hours=1)
    assert len(at(story, "breach")) == 2


def test_points_at_shares_act_again_for_a_promise_that_has_not_reached_them():
    points = [
        {"name": "half", "at": "50% of resolve", "do": [{"inform": ["user:karel"]}]},
        {"name": "over", "at": "100% of resolve", "do": [{"notify": ["user:karel"]}]},
    ]
    story = broken(subscriptions=[], **on_main(points=points))
    assert story.paged == ["ana", "karel"]
    lower(story)
    story.later(hours=24)
    assert at(story, "point") == [timedelta(hours=hours) for hours in (0.5, 1, 12, 24)]
    assert story.paged == ["ana", "karel", "karel"]


def test_what_was_broken_and_promised_no_longer_is_watched_when_it_is_promised_again():
    silent = {"name": "silent", "when": "priority == 3", "acknowledge": "1h"}
    story = broken(slas=[URGENT, silent, STANDARD])
    story.act("set", "petra", "lead", changes={"priority": 3})
    assert clock(story).state == "cancelled"
    lower(story)
    assert (shown(story).state, shown(story).broken_before) == ("running", True)
    story.later(hours=24)
    assert at(story, "breach") == [timedelta(hours=1), timedelta(hours=24)]


def test_what_is_promised_no_longer_does_not_come_back_with_a_reopening():
    slas = [{"name": "s", "respond": "15m", "resolve": "1d"}]
    story = tale(slas=slas)
    story.event()
    story.policy = compiled(bundle(slas=[{"name": "s", "resolve": "1d"}]))
    story.act("reapply", "petra", "lead")
    story.act("resolve")
    story.act("reopen")
    assert clock(story, "respond").state == "cancelled"


def test_updates_that_are_promised_more_often_now_are_missed_at_once_and_once():
    often = {"name": "often", "when": "priority == 1", "update": "30m"}
    story = tale(slas=[often, {"name": "seldom", "update": "4h"}])
    story.event(severity="info")
    story.act("acknowledge")
    story.later(minutes=70)
    story.event(severity="critical")
    story.later(minutes=1)
    assert [span.seconds for span in at(story, "breach")] == [70 * 60]
    reminders = [text for text in story.said("reminded") if "no update" in text]
    assert len(reminders) == 1
    story.later(minutes=19)
    assert len(story.said("reminded")) == 2  # at the end of the third period


def test_a_breach_that_nothing_noticed_in_time_is_told_before_the_promise_changes():
    story = tale(slas=[URGENT, STANDARD], subscriptions=HEARS)
    story.event(severity="critical")
    story.act("acknowledge")
    story.now += timedelta(hours=2)  # nothing runs
    lower(story)
    assert (at(story, "breach"), heard(story)) == ([timedelta(hours=2)], ["breached"])
    assert (shown(story).state, shown(story).broken_before) == ("running", True)


def test_a_report_counts_a_promise_that_was_broken_once_as_broken_whatever_is_promised_later():
    story = broken()
    lower(story)
    bit = TARGETS.index("resolve")
    assert outcome(story.standing).promises >> bit + BREACHED & 1
    story.act("resolve")
    promises = outcome(story.standing).promises
    assert (promises >> bit + BREACHED & 1, promises >> bit + FULFILLED & 1) == (1, 1)
    assert (shown(story).state, shown(story).breached, shown(story).broken_before) == (
        "fulfilled",
        True,
        True,
    )
    assert story.said("fulfil")[-1] == "clock resolve is fulfilled after 1 h of 1 d"


def test_a_persons_promise_that_was_broken_and_is_withdrawn_is_still_counted_as_a_persons():
    story = tale(slas=[URGENT | {"respond": "15m"}, STANDARD])
    story.event(severity="critical")
    story.later(minutes=15)
    lower(story)
    bit = TARGETS.index("respond")
    promises = outcome(story.standing).promises
    assert shown(story, "respond").state == "cancelled"
    assert (promises >> bit + BREACHED & 1, promises >> bit + BY_PERSON & 1) == (1, 1)


def test_what_comes_next_tells_of_the_promise_that_is_watched_again():
    story = broken()
    lower(story)
    coming = forecast(story.standing, Context(story.policy), story.policy)
    breaches = [step.at for step in coming if step.what.startswith("breach: resolve")]
    assert breaches == [START + timedelta(days=1)]


@pytest.mark.parametrize("counted", [0, 1])  # the first releases kept no count
def test_what_the_last_release_left_broken_with_a_due_time_ahead_is_watched_again(counted):
    story = broken()
    lower(story)
    stored = [
        replace(each, breached=True, breaches=counted, thresholds=(0.5, 0.8, 1.0))
        for each in story.standing.clocks
    ]
    story.incident = replace(story.standing, clocks=tuple(stored))
    assert shown(story).state == "running"
    assert shown(story).broken_before
    story.act("note", note="looked at")
    story.later(hours=23)
    assert at(story, "warn")[2:] == [timedelta(hours=12), timedelta(hours=19, minutes=12)]
    assert at(story, "breach") == [timedelta(hours=1), timedelta(hours=24)]


_GOALS = st.sampled_from(["20m", "1h", "5h", "2d"])
_CALENDARS = {
    "day": ANY_DAY,
    "office": {"timezone": "Europe/Prague", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]},
}
_CORRECTED = {name: hours | {"holidays": {"add": ["2026-01-07"]}} for name, hours in _CALENDARS.items()}


@st.composite
def _of_each_priority(draw) -> list[dict[str, object]]:
    made = []
    for priority in (1, 2, 3):
        sla = {"name": f"p{priority}", "when": f"priority == {priority}", "warn_at": ["50%"]}
        sla["calendar"] = draw(st.sampled_from(["always", "day", "office"]))
        sla |= {"update": draw(_GOALS), "resolve": draw(_GOALS)}
        sla |= draw(st.fixed_dictionaries({}, optional={"acknowledge": _GOALS, "respond": _GOALS}))
        made.append(sla)
    return made


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    slas=_of_each_priority(),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.integers(1, 4)),
            st.tuples(st.sampled_from(["later", "down"]), st.sampled_from([5, 61, 400, 900])),
            st.tuples(st.just("reapply"), st.sampled_from([_CALENDARS, _CORRECTED])),
            st.tuples(st.just("act"), st.sampled_from(["acknowledge", "update", "resolve", "reopen"])),
        ),
        min_size=4,
        max_size=12,
    ),
)
def test_whatever_is_promised_in_turn_a_running_clock_has_its_next_moment_due(slas, steps):
    story = Watched(compiled(bundle(slas=slas, calendars=_CALENDARS)))
    story.watch = Watch()
    story.event(severity="critical")
    for kind, said in steps:
        if kind == "set":
            story.act("set", "petra", "lead", changes={"priority": said})
        elif kind == "later":
            story.later(minutes=said)
        elif kind == "down":
            story.down_for(minutes=said)
        elif kind == "reapply":
            story.policy = compiled(bundle(slas=slas, calendars=said))
            story.act("reapply", "petra", "lead")
        else:
            story.act(said, text="We are on it.")
