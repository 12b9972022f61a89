"""Layers that end, and rotations that leave out the turns in which nobody would be on call."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy import Schedule
from shared.policy.oncall.schedules import on_call, shifts, stretch_at
from tests.policy.bundles import smallest

CREW = [f"p{number:02}" for number in range(14)]
WEEKDAYS = {"days": "mon-fri", "from": "08:00", "to": "18:00"}


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(*people, zone="Europe/Prague", **more):
    layer = {"name": "days", "rotation": list(people), "shift": "1d", "starts": "2026-01-05T08:00"} | more
    return Schedule.model_validate({"timezone": zone, "layers": [layer]})


def served(schedule, begins, ends):
    """Who had a shift, in order."""
    return [each.user for each in shifts(schedule, begins, ends) if each.user is not None]


YEAR = utc("2026-01-05 00:00"), utc("2026-12-21 00:00")  # fifty weeks: 250 working days


def test_with_daily_shifts_on_weekdays_four_of_fourteen_people_never_served():
    """14 people are two whole weeks: whoever has a weekend has it again a fortnight later."""
    had = Counter(served(daily(*CREW, only=WEEKDAYS), *YEAR))
    assert len(had) == 10


def test_with_count_open_everybody_serves_in_turn():
    in_turn = served(daily(*CREW, only=WEEKDAYS, count="open"), *YEAR)
    had = Counter(in_turn)
    assert set(had) == set(CREW)
    assert max(had.values()) - min(had.values()) <= 1
    assert in_turn == [CREW[number % 14] for number in range(250)]


def test_a_holiday_uses_up_nobodys_turn():
    made = smallest(
        users={name: {"name": name} for name in CREW} | {"ana": {"name": "Ana"}},
        calendars={
            "office": {"timezone": "Europe/Prague", "hours": [WEEKDAYS], "holidays": {"country": "CZ"}}
        },
        schedules={
            "desk": daily(*CREW, only={"calendar": "office"}, count="open").model_dump(
                mode="json", by_alias=True, exclude_defaults=True
            )
        },
    ).schedules["desk"]
    week = served(made, utc("2026-05-06 00:00"), utc("2026-05-13 00:00"))  # friday the 8th is a holiday
    following = CREW.index(week[0])
    assert week == [CREW[(following + number) % 14] for number in range(4)]


def test_a_turn_that_is_open_for_a_part_of_it_is_used_up():
    night = {"days": "mon-thu", "from": "22:00", "to": "06:00"}
    in_turn = served(daily(*CREW, only=night, count="open"), utc("2026-01-05 00:00"), utc("2026-01-19 00:00"))
    assert in_turn == CREW[:8]


def test_without_windows_no_turn_is_closed_and_both_count_alike():
    assert served(daily(*CREW, count="open"), *YEAR) == served(daily(*CREW), *YEAR)


def test_every_year_goes_on_where_the_last_one_ended():
    schedule = daily(*CREW, only=WEEKDAYS, count="open")
    in_turn = served(schedule, utc("2026-01-05 00:00"), utc("2028-12-01 00:00"))
    assert all((CREW.index(second) - CREW.index(first)) % 14 == 1 for first, second in pairwise(in_turn))
    later = daily(*CREW, only=WEEKDAYS, count="open")
    assert stretch_at(later, utc("2028-11-30 12:00")).user == in_turn[-1], "asked about later years first"


_WINDOWS = st.fixed_dictionaries(
    {"days": st.sampled_from(["mon-fri", "sat, sun", "wed", "mon, fri", "sun-mon"])},
    optional={
        "from": st.integers(0, 23).map(lambda hour: f"{hour:02}:30"),
        "to": st.integers(0, 23).map(lambda hour: f"{hour:02}:15"),
    },
)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(_WINDOWS, min_size=1, max_size=2),
    st.sampled_from(["1d", "1w", "8h", "7h", "2d"]),
    st.sampled_from(["Europe/Prague", "Africa/Cairo", "America/Santiago", "Australia/Lord_Howe"]),
    st.integers(1, 14),
    st.integers(0, 400),
)
def test_whatever_the_windows_turns_that_are_used_up_follow_each_other(windows, shift, zone, people, days):
    """Counted one by one: each turn in which the layer is open at all is the next person's."""
    schedule = daily(*CREW[:people], zone=zone, only=windows, count="open", shift=shift)
    since = utc("2026-01-05 00:00") + timedelta(days=days)
    numbers, at = [], since
    while at < since + timedelta(days=25):
        found = stretch_at(schedule, at)
        if found.user is not None:
            assert found.user == CREW[found.number % people]
            numbers.append(found.number)
        at = found.ends
    assert all(second - first in {0, 1} for first, second in pairwise(numbers))
    if days == 0 and numbers:
        assert numbers[0] == 0


# --- ends -------------------------------------------------------------------------------------------------


def test_a_layer_that_has_ended_names_nobody_and_says_so():
    ended = daily("ana", "petra", ends="2026-02-01T12:00")
    last = on_call(ended, utc("2026-02-01 10:00"))
    assert (last.user, last.until) == ("petra", utc("2026-02-01 11:00")), "its last turn is cut"
    assert (last.next_user, last.next_from) == ("", utc("2026-02-01 11:00"))
    after = on_call(ended, utc("2026-02-01 11:00"))
    assert (after.user, after.next_user) == (None, "")
    assert after.reason == "every layer has ended, the last one at 2026-02-01 12:00 Europe/Prague"
    assert after.until > utc("2027-01-01 00:00")


def test_what_lies_beneath_goes_on_when_a_layer_ends():
    below = {"name": "always", "rotation": ["karel"], "shift": "1w", "starts": "2026-01-05T08:00"}
    above = {"name": "project", "rotation": ["ana"], "shift": "1d", "starts": "2026-01-05T08:00"}
    desk = Schedule.model_validate(
        {"timezone": "UTC", "layers": [below, above | {"ends": "2026-01-07T18:00"}]}
    )
    found = on_call(desk, utc("2026-01-07 17:00"))
    assert (found.user, found.until, found.next_user) == ("ana", utc("2026-01-07 18:00"), "karel")
    assert [each.user for each in shifts(desk, utc("2026-01-07 00:00"), utc("2026-02-07 00:00"))] == [
        "ana",
        "karel",
    ]


@pytest.mark.parametrize(
    ("zone", "ends", "over"),
    [
        ("Africa/Cairo", "2026-04-24T00:30", "2026-04-23 22:00"),  # skipped: the first time after the gap
        ("Europe/Prague", "2026-10-25T02:30", "2026-10-25 00:30"),  # twice: the first of them
    ],
)
def test_a_layer_ends_at_a_local_time_like_any_other(zone, ends, over):
    schedule = daily("ana", zone=zone, ends=ends)
    assert stretch_at(schedule, utc(over) - timedelta(seconds=1)).user == "ana"
    assert stretch_at(schedule, utc(over)).user is None


def test_a_closed_layer_that_ended_is_searched_no_further():
    gone = daily("ana", "petra", ends="2026-02-01T12:00", only=WEEKDAYS, count="open")
    assert on_call(gone, utc("2190-02-01 00:00")).user is None
