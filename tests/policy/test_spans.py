"""Durations, shares, rates, days, times and instants, as they are written."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.policy import AtShare, Rate, Shift
from shared.policy.model.durations import (
    format_duration,
    parse_duration,
    parse_percent,
    parse_rate,
    parse_share,
    parse_shift,
)
from shared.policy.model.windows import (
    format_days,
    format_time,
    parse_days,
    parse_instant,
    parse_local,
    parse_time,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1w", 604_800),
        ("0s", 0),
        ("1w1d1h1m1s", 694_861),
    ],
)
def test_a_duration_is_read_and_written_back(written, seconds):
    assert parse_duration(written) == timedelta(seconds=seconds)
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written", ["", "5", "5 m", "m", "-5m", "1m1h", "1.5h", "٣m", 5, None, True, "9" * 30 + "w"]
)
def test_anything_else_is_no_duration(written):
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(written)


def test_shares_rates_and_shifts_are_read():
    assert parse_percent("12.5%") == 12.5
    assert parse_share("100% of acknowledge") == AtShare(100.0, "acknowledge")
    assert str(parse_rate("600/m")) == "600/m"
    assert parse_rate("100/s") == Rate(100, 1)
    assert parse_shift("1w") == Shift(days=7)  # local calendar days
    assert parse_shift("24h") == Shift(length=timedelta(hours=24))  # absolute


@pytest.mark.parametrize("written", ["1d12h", "30s", "0h", "1"])
def test_a_shift_is_either_days_or_hours(written):
    with pytest.raises(ValueError, match=r"whole days|a minute or longer"):
        parse_shift(written)


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("fri-mon", {4, 5, 6, 0}),  # across the weekend
        ("sun", {6}),
        ("mon, wed,fri-sat", {0, 2, 4, 5}),
        (["sat", "sun"], {5, 6}),
    ],
)
def test_days_are_ranges_and_lists(written, days):
    assert parse_days(written) == days
    assert parse_days(format_days(parse_days(written))) == days


@pytest.mark.parametrize("written", ["", "monday", "mon-", "-mon", "1-5", [], 5, ["mon", 2]])
def test_anything_else_is_no_day(written):
    with pytest.raises(ValueError, match="days such as"):
        parse_days(written)


def test_a_time_of_day_reaches_the_end_of_the_day():
    assert [parse_time(each) for each in ("00:00", "08:30", "24:00")] == [0, 510, 1440]
    assert format_time(1440) == "24:00"


def test_an_instant_is_utc_and_a_local_time_has_no_offset():
    assert parse_instant("2027-01-01") == datetime(2027, 1, 1, tzinfo=UTC)
    assert parse_instant("2027-01-01T12:00:00+02:00") == datetime(2027, 1, 1, 10, tzinfo=UTC)
    assert parse_local("2026-01-05T08:00") == datetime.fromisoformat("2026-01-05T08:00")
