"""Business hours against a slow model that asks the wall clock minute by minute."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.policy import Calendar
from shared.policy.calendars.open_hours import ALWAYS_OPEN, BusinessHours, calendars_of, hours_of, named
from shared.policy.model.people import Window

MINUTE = timedelta(minutes=1)
ZONES = ["Europe/Prague", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]
CHANGES = {  # a moment at which the clocks were changed
    "Europe/Prague": [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)],
    "America/New_York": [datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)],
    "Australia/Lord_Howe": [datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)],
    "UTC": [datetime(2026, 1, 1, tzinfo=UTC)],
    "Asia/Kathmandu": [datetime(2025, 12, 31, 23, tzinfo=UTC)],
}


def calendar(*hours: dict, timezone: str = "Europe/Prague", **holidays) -> BusinessHours:
    return hours_of(
        Calendar.model_validate({"timezone": timezone, "hours": list(hours), "holidays": holidays})
    )


def office(**parts) -> BusinessHours:
    return calendar({"days": "mon-fri", "from": "08:00", "to": "18:00"}, **parts)


def at(written: str, zone: str = "Europe/Prague") -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


# --- the model --------------------------------------------------------------------------------------------


def _has_shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """The latest time that the wall clock has shown up to now: clocks put back do not take it back."""
    past = (moment - step * MINUTE for step in range(0, 181, 15))
    return max(each.astimezone(zone).replace(tzinfo=None) for each in past)


def open_by_the_wall_clock(windows: list[Window], zone: ZoneInfo, moment: datetime) -> bool:
    shown = _has_shown(moment, zone)
    for window in windows:
        for day in (shown.date(), shown.date() - timedelta(days=1)):
            if day.weekday() not in window.days:
                continue
            midnight = datetime.combine(day, time.min)
            opens = midnight + window.from_ * MINUTE
            closes = midnight + window.to * MINUTE
            if window.to <= window.from_:
                closes += timedelta(days=1)
            if opens <= shown < closes:
                return True
    return False


_QUARTERS = st.integers(0, 95).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")
_WINDOWS = st.lists(
    st.builds(
        lambda days, begins, ends: {"days": days, "from": begins, "to": ends},
        st.sampled_from(["mon-fri", "sun", "mon-sun", "sat, sun", "sun-mon"]),
        _QUARTERS,
        st.one_of(_QUARTERS, st.just("24:00")),
    ),
    min_size=1,
    max_size=3,
)
_quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@_quick
@given(windows=_WINDOWS, zone=st.sampled_from(ZONES), change=st.integers(0, 1), before=st.integers(0, 40))
def test_it_is_open_when_the_wall_clock_says_so_also_when_the_clocks_change(windows, zone, change, before):
    hours = calendar(*windows, timezone=zone)
    parsed = [Window.model_validate(window) for window in windows]
    changes = CHANGES[zone]
    start = changes[change % len(changes)] - timedelta(hours=before)
    quarters = [start + n * 15 * MINUTE for n in range(4 * 48)]
    model = [open_by_the_wall_clock(parsed, ZoneInfo(zone), moment) for moment in quarters]
    assert [hours.is_open(moment) for moment in quarters] == model
    assert hours.elapsed(start, start + timedelta(hours=48)) == sum(model) * 900


_FIRST, _LAST = (datetime(year, month, 1, tzinfo=UTC) for year, month in ((2025, 11), (2027, 3)))
_MOMENTS = st.datetimes(_FIRST.replace(tzinfo=None), _LAST.replace(tzinfo=None)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)


@_quick
@given(windows=_WINDOWS, zone=st.sampled_from(ZONES), moments=st.lists(_MOMENTS, min_size=3, max_size=3))
def test_spans_that_follow_each_other_add_up(windows, zone, moments):
    hours = calendar(*windows, timezone=zone)
    first, middle, last = sorted(moments)
    whole = hours.elapsed(first, last)
    assert whole == pytest.approx(hours.elapsed(first, middle) + hours.elapsed(middle, last), abs=1e-6)
    assert 0 <= whole <= (last - first).total_seconds()


@_quick
@given(
    windows=_WINDOWS,
    zone=st.sampled_from(ZONES),
    start=_MOMENTS,
    seconds=st.floats(0.001, 40 * 86400, allow_nan=False),
)
def test_after_is_the_first_moment_at_which_so_much_has_passed(windows, zone, start, seconds):
    hours = calendar(*windows, timezone=zone)
    reached = hours.after(start, seconds)
    assume(reached is not None)
    assert hours.elapsed(start, reached) == pytest.approx(seconds, abs=1e-6)
    assert hours.elapsed(start, reached - timedelta(milliseconds=1)) < seconds


@_quick
@given(windows=_WINDOWS, zone=st.sampled_from(ZONES), start=_MOMENTS)
def test_the_next_opening_is_the_end_of_closed_time(windows, zone, start):
    hours = calendar(*windows, timezone=zone)
    opens, closes = hours.next_open(start), hours.next_close(start)
    assert opens is not None
    assert hours.is_open(opens)
    assert hours.elapsed(start, opens) == 0
    if hours.is_open(start):
        assert opens == start
        assert closes is None or hours.elapsed(start, closes) == (closes - start).total_seconds()
        assert closes is None or not hours.is_open(closes)
    else:
        assert closes == start
        assert not hours.is_open(opens - timedelta(microseconds=1))


# --- examples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-01-07T09:00", "2026-01-07T10:30", 1.5),  # inside one day
        ("2026-01-07T17:00", "2026-01-08T09:00", 2),  # over night
        ("2026-01-09T17:00", "2026-01-12T09:00", 2),  # over a weekend
        ("2026-01-10T00:00", "2026-01-11T23:00", 0),  # a weekend
        ("2026-04-02T17:00", "2026-04-07T09:00", 2),  # Easter in Czechia
        ("2026-12-23T08:00", "2026-12-28T18:00", 20),  # Christmas, over a weekend
        ("2026-01-07T10:00", "2026-01-07T09:00", 0),  # backwards
        ("2025-01-01T00:00", "2035-01-01T00:00", None),  # ten years
    ],
)
def test_only_open_time_counts(start, end, hours):
    elapsed = office(country="CZ").elapsed(at(start), at(end)) / 3600
    assert elapsed == hours if hours is not None else 24_000 < elapsed < 26_000


def test_a_night_shift_of_an_evening_goes_on_into_the_holiday_and_none_begins_on_it():
    nights = calendar({"days": "mon-sun", "from": "20:00", "to": "08:00"}, add=["2026-01-08"])
    assert nights.is_open(at("2026-01-08T03:00"))
    assert not nights.is_open(at("2026-01-08T22:00"))
    assert not nights.is_open(at("2026-01-09T03:00"))
    assert nights.is_open(at("2026-01-09T22:00"))


def test_days_can_be_added_to_the_public_holidays_and_taken_away():
    working = office(country="CZ", remove=["2026-07-06"], add=["2026-07-07"])
    assert working.is_open(at("2026-07-06T10:00"))
    assert not working.is_open(at("2026-07-07T10:00"))


def test_a_part_of_a_country_has_holidays_of_its_own():
    assert office(country="DE", subdivision="BY").next_open(at("2026-01-06T10:00")) == at("2026-01-07T08:00")
    assert office(country="DE").is_open(at("2026-01-06T10:00"))


def test_windows_that_overlap_count_once():
    hours = calendar({"from": "08:00", "to": "12:00"}, {"from": "10:00", "to": "14:00"})
    assert hours.elapsed(at("2026-01-07T00:00"), at("2026-01-08T00:00")) == 6 * 3600


def test_a_window_may_have_a_zone_of_its_own():
    hours = calendar({"from": "08:00", "to": "12:00", "timezone": "America/New_York"})
    assert hours.next_open(at("2026-01-07T09:00")) == at("2026-01-07T08:00", "America/New_York")


def test_a_window_that_begins_in_the_skipped_hour_opens_when_the_clocks_are_changed():
    hours = calendar({"days": "sun", "from": "02:30", "to": "05:00"})
    assert hours.next_open(at("2026-03-29T00:00")) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert hours.elapsed(at("2026-03-29T00:00"), at("2026-03-29T12:00")) == 2 * 3600


def test_a_day_that_a_country_skipped_has_no_open_time():
    samoa = calendar({"from": "08:00", "to": "18:00"}, timezone="Pacific/Apia")  # 30 December 2011
    start, end = (at(f"2011-12-{day}T00:00", "Pacific/Apia") for day in ("29", "31"))
    assert samoa.elapsed(start, end) == 10 * 3600


def test_a_calendar_with_nothing_but_holidays_never_opens_and_says_so():
    days = [(date(2026, 1, 1) + timedelta(days=7 * week)).isoformat() for week in range(600)]
    hours = calendar({"days": "thu", "from": "08:00", "to": "09:00"}, add=days)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert hours.next_open(start) is None
    assert hours.after(start, 1) is None
    assert hours.elapsed(start, start + timedelta(days=365)) == 0


def test_hours_that_never_end_do_not_close():
    hours = calendar({"from": "00:00", "to": "24:00"}, timezone="UTC")
    start = datetime(2026, 5, 5, tzinfo=UTC)
    assert hours.next_close(start) is None
    assert hours.elapsed(start, start + timedelta(days=400)) == 400 * 86400


def test_always_exists_by_itself_and_a_name_that_vanished_counts_as_open():
    assert calendars_of({})["always"] is ALWAYS_OPEN
    assert named({}, "gone") is ALWAYS_OPEN
