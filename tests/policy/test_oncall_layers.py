"""Layers, windows and overrides of a schedule: who covers whom, and until when."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from shared.policy import Schedule
from shared.policy.calendars.open_hours import window_hours
from shared.policy.model.people import Window
from shared.policy.oncall.schedules import Override, TooFineError, on_call, shifts, stretch_at


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schedule(*layers, zone="Europe/Prague"):
    return Schedule.model_validate({"timezone": zone, "layers": list(layers)})


def weekly(*people, **more):
    return {"name": "weekly", "rotation": list(people), "shift": "1w", "starts": "2026-01-05T08:00"} | more


NIGHTS = {
    "name": "nights",
    "rotation": ["karel"],
    "shift": "1d",
    "starts": "2026-01-05T20:00",
    "only": {"days": "mon-fri", "from": "20:00", "to": "08:00"},
}
DESK = schedule(weekly("ana", "petra"), NIGHTS)

# at, who, layer, until, next, from (all UTC; Prague is an hour ahead in January)
ROWS = [
    ("2026-01-05 07:00", "ana", "weekly", "2026-01-05 19:00", "karel", "2026-01-05 19:00"),
    ("2026-01-05 19:00", "karel", "nights", "2026-01-06 07:00", "ana", "2026-01-06 07:00"),
    ("2026-01-10 06:59", "karel", "nights", "2026-01-10 07:00", "ana", "2026-01-10 07:00"),  # friday's night
    ("2026-01-10 19:00", "ana", "weekly", "2026-01-12 07:00", "petra", "2026-01-12 07:00"),  # saturday: none
    ("2026-01-12 06:00", "ana", "weekly", "2026-01-12 07:00", "petra", "2026-01-12 07:00"),  # sunday: none
    ("2026-01-01 00:00", None, "", "2026-01-05 07:00", "ana", "2026-01-05 07:00"),  # not begun
]


@pytest.mark.parametrize(("at", "user", "layer", "until", "then", "since"), ROWS)
def test_a_later_layer_covers_an_earlier_one_where_its_window_is_open(at, user, layer, until, then, since):
    found = on_call(DESK, utc(at))
    assert (found.user, found.layer, found.until) == (user, layer, utc(until))
    assert (found.next_user, found.next_from) == (then, utc(since))


# zone, window, at, open, from, until (UTC)
WINDOWS = [
    # over midnight, named by the day on which it starts
    ("UTC", "fri", "22:00", "06:00", "2026-01-10 05:59", True, "2026-01-09 22:00", "2026-01-10 06:00"),
    ("UTC", "sat", "22:00", "06:00", "2026-01-10 05:59", False, "2026-01-04 06:00", "2026-01-10 22:00"),
    # whole days that touch are one spell
    ("UTC", "mon-fri", "00:00", "24:00", "2026-01-07 12:00", True, "2026-01-05 00:00", "2026-01-10 00:00"),
    ("UTC", "sat, sun", "08:00", "08:00", "2026-01-11 12:00", True, "2026-01-10 08:00", "2026-01-12 08:00"),
    # the night of the spring change has seven hours, that of the autumn nine
    (
        "Europe/Prague",
        *("sat", "22:00", "06:00", "2026-03-28 23:00", True, "2026-03-28 21:00", "2026-03-29 04:00"),
    ),
    (
        "Europe/Prague",
        *("sat", "22:00", "06:00", "2026-10-24 23:00", True, "2026-10-24 20:00", "2026-10-25 05:00"),
    ),
    # Lord Howe changes by half an hour
    (
        "Australia/Lord_Howe",
        *("sat", "22:00", "06:00", "2026-10-03 12:00", True, "2026-10-03 11:30", "2026-10-03 19:00"),
    ),
    # the hour that is skipped (2:00 to 3:00) holds no window; the next one is a week later
    (
        "Europe/Prague",
        *("sun", "02:30", "03:00", "2026-03-29 01:10", False, "2026-03-22 02:00", "2026-04-05 00:30"),
    ),
    # the hour that comes twice counts both times for a window that spans it
    (
        "Europe/Prague",
        *("sun", "02:00", "03:00", "2026-10-25 01:30", True, "2026-10-25 00:00", "2026-10-25 02:00"),
    ),
]


@pytest.mark.parametrize(("zone", "days", "start", "end", "at", "is_open", "begins", "ends"), WINDOWS)
def test_a_window_opens_and_closes_by_the_clock_on_the_wall(
    zone, days, start, end, at, is_open, begins, ends
):
    window = Window.model_validate({"days": days, "from": start, "to": end})
    found = window_hours((window,), zone).spell(utc(at))
    assert (found.is_open, found.begins, found.ends) == (is_open, utc(begins), utc(ends))


def test_a_window_in_a_zone_of_its_own_follows_that_clock():
    night = NIGHTS | {"only": NIGHTS["only"] | {"timezone": "America/New_York"}}
    desk = schedule(weekly("ana", "petra"), night)
    assert stretch_at(desk, utc("2026-01-06 00:59")).user == "ana"
    assert stretch_at(desk, utc("2026-01-06 01:00")).user == "karel"


def test_an_override_covers_every_layer_and_the_layers_go_on_after_it():
    standing = [Override("o", "petra", utc("2026-01-05 18:00"), utc("2026-01-05 20:00"), "user:karel")]
    found = on_call(DESK, utc("2026-01-05 18:30"), standing)
    assert (found.user, found.layer, found.until) == ("petra", "override", utc("2026-01-05 20:00"))
    assert (found.next_user, found.next_from) == ("karel", utc("2026-01-05 20:00"))
    assert found.reason == "petra stands in until 2026-01-05 21:00 Europe/Prague (an override by user:karel)"
    before = on_call(DESK, utc("2026-01-05 17:00"), standing)
    assert (before.user, before.until, before.next_user) == ("ana", utc("2026-01-05 18:00"), "petra")
    assert stretch_at(DESK, utc("2026-01-05 20:00"), standing).begins == utc("2026-01-05 20:00")


def test_shifts_merge_what_one_person_has_by_several_rules():
    standing = [Override("o", "ana", utc("2026-01-05 19:00"), utc("2026-01-05 23:00"))]
    found = list(shifts(DESK, utc("2026-01-05 10:00"), utc("2026-01-06 10:00"), standing))
    assert [(each.user, each.layers, each.overrides) for each in found] == [
        ("ana", ("weekly",), ("o",)),
        ("karel", ("nights",), ()),
        ("ana", ("weekly",), ()),
    ]
    assert found[0].ends == utc("2026-01-05 23:00")


def test_somebody_alone_keeps_turns():
    alone = schedule(weekly("ana", shift="1d"), zone="UTC")
    found = list(shifts(alone, utc("2026-02-01 00:00"), utc("2026-02-03 00:00")))
    assert [each.user for each in found] == ["ana", "ana", "ana"]


def test_between_windows_nobody_is_on_call_and_the_reason_says_until_when():
    desk = schedule(weekly("ana", "petra", only={"days": "mon-fri", "from": "08:00", "to": "18:00"}))
    found = on_call(desk, utc("2026-01-09 20:00"))
    assert (found.user, found.until) == (None, utc("2026-01-12 07:00"))
    assert (found.next_user, found.next_from) == ("petra", utc("2026-01-12 07:00"))
    assert found.reason == "no layer is active until 2026-01-12 08:00 Europe/Prague at the earliest"


def test_no_schedule_and_no_range_is_searched_for_ever():
    """A quarter of an hour a week among fifty people; five hours of the same name; a start ages away."""
    seldom = {"days": "sun", "from": "02:15", "to": "02:30", "timezone": "Europe/Prague"}
    crowd = [f"p{number}" for number in range(50)]
    schedules = [
        schedule(weekly(*crowd, only=seldom), zone="UTC"),
        schedule(weekly(*["ana"] * 300, "petra", shift="1m")),
        schedule(weekly("ana", starts="2199-01-01T00:00")),
    ]
    began = time.process_time()
    for each in schedules:
        for at in ("2026-03-29 00:00", "1990-01-01 00:00", "2200-01-01 00:00"):
            on_call(each, utc(at))
    assert time.process_time() - began < 2
    with pytest.raises(TooFineError):
        list(shifts(schedules[1], utc("2026-02-01 00:00"), utc("2036-02-01 00:00")))


def test_the_hour_of_asking_does_not_matter_for_the_zone_in_which_it_is_asked():
    at = utc("2026-03-29 00:30")
    elsewhere = at.astimezone(tz=None)
    assert stretch_at(DESK, at) == stretch_at(DESK, elsewhere)
    assert stretch_at(DESK, at).ends - at < timedelta(days=9)
