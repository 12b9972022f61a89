"""Who is on call: hand-overs at the local time of day, across every change of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.policy import Schedule
from shared.policy.oncall.schedules import on_call


def rotation(zone, starts, shift="1d", people=("ana", "petra", "karel")):
    return Schedule.model_validate(
        {
            "timezone": zone,
            "layers": [{"name": "all", "rotation": list(people), "shift": shift, "starts": starts}],
        }
    )


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# zone, starts, shift, moment in UTC, who, until in UTC
ROWS = [
    (
        "Europe/Prague",
        "2026-01-05T08:00",
        "1w",
        "2026-01-05 07:00",
        "ana",
        "2026-01-12 07:00",
    ),  # the first minute
    (
        "Europe/Prague",
        "2026-01-05T08:00",
        "1w",
        "2026-01-12 06:59",
        "ana",
        "2026-01-12 07:00",
    ),  # the last one
    ("Europe/Prague", "2026-01-05T08:00", "1w", "2026-01-12 07:00", "petra", "2026-01-19 07:00"),
    (
        "Europe/Prague",
        "2026-03-23T08:00",
        "1w",
        "2026-03-30 05:59",
        "ana",
        "2026-03-30 06:00",
    ),  # a week of 167 h
    (
        "Europe/Prague",
        "2026-03-28T08:00",
        "1d",
        "2026-03-29 05:59",
        "ana",
        "2026-03-29 06:00",
    ),  # a day of 23 h
    (
        "Europe/Prague",
        "2026-10-24T08:00",
        "1d",
        "2026-10-25 06:59",
        "ana",
        "2026-10-25 07:00",
    ),  # a day of 25 h
    (
        "Europe/Prague",
        "2026-03-28T02:30",
        "1d",
        "2026-03-29 00:59",
        "ana",
        "2026-03-29 01:00",
    ),  # 02:30 is skipped: the first time after the gap
    ("Europe/Prague", "2026-03-28T02:30", "1d", "2026-03-29 01:00", "petra", "2026-03-30 00:30"),
    # Cairo and Santiago skip the first hour of a day
    ("Africa/Cairo", "2026-04-23T00:30", "1d", "2026-04-23 21:59", "ana", "2026-04-23 22:00"),
    ("America/Santiago", "2026-09-05T00:00", "1d", "2026-09-06 03:59", "ana", "2026-09-06 04:00"),
    (
        "Europe/Prague",
        "2026-10-24T02:30",
        "1d",
        "2026-10-25 00:29",
        "ana",
        "2026-10-25 00:30",
    ),  # 02:30 comes twice
    ("Europe/Prague", "2026-10-24T02:30", "1d", "2026-10-25 01:30", "petra", "2026-10-26 01:30"),
    ("America/New_York", "2026-03-07T09:00", "1d", "2026-03-08 12:59", "ana", "2026-03-08 13:00"),
    ("America/New_York", "2026-10-31T09:00", "1d", "2026-11-01 13:59", "ana", "2026-11-01 14:00"),
    (
        "America/New_York",
        "2026-03-07T09:00",
        "12h",
        "2026-03-08 02:00",
        "petra",
        "2026-03-08 14:00",
    ),  # absolute
    (
        "Australia/Lord_Howe",
        "2026-04-04T08:00",
        "1d",
        "2026-04-04 21:29",
        "ana",
        "2026-04-04 21:30",
    ),  # 24.5 h
    (
        "Australia/Lord_Howe",
        "2026-10-03T08:00",
        "1d",
        "2026-10-03 20:59",
        "ana",
        "2026-10-03 21:00",
    ),  # 23.5 h
    ("Asia/Kolkata", "2026-01-05T08:00", "1w", "2027-01-04 02:29", "ana", "2027-01-04 02:30"),  # no changes
    ("UTC", "2026-01-05T00:00", "1d", "2036-01-05 00:00", "petra", "2036-01-06 00:00"),  # ten years on
]


@pytest.mark.parametrize(("zone", "starts", "shift", "at", "user", "until"), ROWS)
def test_a_shift_hands_over_at_the_local_time(zone, starts, shift, at, user, until):
    found = on_call(rotation(zone, starts, shift), utc(at))

    assert (found.user, found.until) == (user, utc(until))
    assert found.next_from == found.until
    assert found.next_user != found.user


@pytest.mark.parametrize("zone", ["Europe/Prague", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("shift", ["1d", "1w", "7h", "90m"])
def test_turns_follow_each_other_without_gap_or_overlap(zone, shift):
    schedule = rotation(zone, "2026-01-05T02:15", shift)
    at = datetime(2026, 1, 5, 2, 15, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    people = ("ana", "petra", "karel")
    turn = 0
    while at < utc("2026-12-31 00:00") and turn < 700:
        now, last = on_call(schedule, at), on_call(schedule, at - timedelta(microseconds=1))
        assert now.user == people[turn % 3]
        assert last.until == at
        at, turn = now.until, turn + 1


def test_nobody_is_on_call_before_the_rotation_begins():
    found = on_call(rotation("Europe/Prague", "2026-01-05T08:00", "1w"), utc("2026-01-01 00:00"))

    assert found.user is None
    assert (found.until, found.next_user) == (utc("2026-01-05 07:00"), "ana")
    assert found.reason == "all begins at 2026-01-05 08:00 Europe/Prague"


def test_somebody_alone_follows_themselves():
    found = on_call(rotation("UTC", "2026-01-05T08:00", "1w", ["ana"]), utc("2026-01-06 00:00"))

    assert (found.user, found.next_user, found.next_from) == ("ana", "ana", utc("2026-01-12 08:00"))
    assert found.reason == "ana has all until 2026-01-12 08:00 UTC"
