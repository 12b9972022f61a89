"""Windows have one shape wherever they stand, and are evaluated in one way."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy import Bundle, Calendar, Schedule, Yearly, content_hash, dump_json, load, load_json
from shared.policy.calendars.open_hours import hours_of, window_hours
from shared.policy.calendars.wall_clock import instant
from shared.policy.oncall.schedules import on_call, stretch_at
from tests.policy.bundles import SMALLEST, smallest

NIGHT = {"days": "mon-fri", "from": "20:00", "to": "08:00"}
SATURDAY = {"days": "sat", "from": "09:00", "to": "12:00"}
OFFICE = {
    "timezone": "Europe/Prague",
    "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}],
    "holidays": {
        "country": "CZ",
        "add": ["2026-12-24", "12-31"],
        "hours": {"12-24": [{"from": "08:00", "to": "12:00"}]},
    },
}


def at(written: str, zone: str = "Europe/Prague") -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def hours(*windows, zone="Europe/Prague", **holidays):
    return hours_of(Calendar.model_validate({"timezone": zone, "hours": list(windows), "holidays": holidays}))


def layered(only, zone="Europe/Prague", **layer):
    """A schedule whose only layer names ana while a window is open."""
    made = {"rotation": ["ana"], "shift": "1w", "starts": "2010-01-04T00:00", "only": only} | layer
    return Schedule.model_validate({"timezone": zone, "layers": [made]})


# --- one rule for times that the clocks skip or repeat ----------------------------------------------------

# zone, day, from, to, opens, closes (UTC)
CHANGES = [
    # Cairo puts the clocks forward at midnight before the last Friday of April: 00:00 to 00:59 do not exist
    ("Africa/Cairo", "fri", "00:30", "04:00", "2026-04-23 22:00", "2026-04-24 01:00"),
    ("Africa/Cairo", "fri", "00:00", "00:45", None, None),  # skipped as a whole
    ("Africa/Cairo", "thu", "20:00", "24:00", "2026-04-23 18:00", "2026-04-23 22:00"),
    # and back at midnight after the last Thursday of October: 23:00 to 23:59 come twice, on Thursday
    ("Africa/Cairo", "thu", "23:30", "24:00", "2026-10-29 20:30", "2026-10-29 22:00"),
    # Santiago skips the same hour on the first Sunday of September
    ("America/Santiago", "sun", "00:30", "04:00", "2026-09-06 04:00", "2026-09-06 07:00"),
    ("America/Santiago", "sat", "22:00", "00:30", "2026-09-06 02:00", "2026-09-06 04:00"),
    # and has 23:00 to 23:59 twice on the first Saturday of April: the first of them counts
    ("America/Santiago", "sat", "23:30", "24:00", "2026-04-05 02:30", "2026-04-05 04:00"),
    ("Europe/Prague", "sun", "02:30", "05:00", "2026-03-29 01:00", "2026-03-29 03:00"),
    ("Europe/Prague", "sun", "02:30", "05:00", "2026-10-25 00:30", "2026-10-25 04:00"),
    ("Australia/Lord_Howe", "sun", "02:15", "03:00", "2026-10-03 15:30", "2026-10-03 16:00"),  # half an hour
    ("Pacific/Apia", "fri", "08:00", "18:00", None, None),  # 30 December 2011 never was
]
_NEAR = {"Pacific/Apia": "2011-12-30 10:00", ("Africa/Cairo", "00:00"): "2026-04-23 22:00"}


@pytest.mark.parametrize(("zone", "day", "start", "end", "opens", "closes"), CHANGES)
def test_a_layers_window_and_a_calendar_agree_when_the_clocks_are_changed(
    zone, day, start, end, opens, closes
):
    """They were up to an hour apart in Cairo and Santiago: a time that is skipped is the first one after."""
    window = {"days": day, "from": start, "to": end}
    calendar, schedule = hours(window, zone=zone), layered(window, zone)
    if opens is None:
        change = utc(_NEAR.get(zone) or _NEAR[zone, start])
        assert calendar.elapsed(change - timedelta(hours=30), change + timedelta(hours=2)) == 0
        assert stretch_at(schedule, change).user is None
        return
    begins, ends = utc(opens), utc(closes)
    moment = timedelta(microseconds=1)
    assert calendar.next_open(begins - timedelta(hours=2)) == begins
    assert calendar.next_close(begins) == ends
    assert stretch_at(schedule, begins - moment).user is None
    assert (stretch_at(schedule, begins).user, stretch_at(schedule, begins).ends) == ("ana", ends)
    assert stretch_at(schedule, ends).user is None


def utc(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "starts", "change"),
    [
        ("Africa/Cairo", "2026-04-23T00:30", "2026-04-23 22:00"),
        ("America/Santiago", "2026-09-05T00:30", "2026-09-06 04:00"),
    ],
)
def test_a_shift_that_is_handed_over_in_the_gap_is_handed_over_when_the_clocks_are_changed(
    zone, starts, change
):
    layer = {"rotation": ["ana", "petra"], "shift": "1d", "starts": starts}
    desk = Schedule.model_validate({"timezone": zone, "layers": [layer]})
    assert on_call(desk, utc(change) - timedelta(seconds=1)).user == "ana"
    assert on_call(desk, utc(change)).user == "petra"


@pytest.mark.parametrize("zone", ["Africa/Cairo", "America/Santiago", "Europe/Prague", "Pacific/Apia"])
def test_of_two_local_times_the_later_one_is_never_the_earlier_moment(zone):
    year = 2011 if zone == "Pacific/Apia" else 2026
    first = datetime.fromisoformat(f"{year}-01-01")
    walls = [first + timedelta(minutes=20 * number) for number in range(365 * 72)]
    moments = [instant(wall, zone) for wall in walls]
    assert moments == sorted(moments)


@cache
def zones() -> list[str]:
    return sorted(available_timezones() - {"localtime", "posixrules", "Factory"})


_MINUTES = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
_WINDOW = st.fixed_dictionaries(
    {"from": _MINUTES, "to": st.one_of(_MINUTES, st.just("24:00"))},
    optional={"days": st.sampled_from(["mon-fri", "sat, sun", "sun", "fri-mon", "thu"])},
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.deferred(lambda: st.sampled_from(zones())),
    st.one_of(_WINDOW, st.lists(_WINDOW, min_size=1, max_size=3)),
    st.integers(0, 25 * 365 * 1440).map(lambda minutes: utc("2011-01-01") + timedelta(minutes=minutes)),
    st.integers(-120, 120),
)
def test_a_layers_window_and_a_calendar_of_the_same_hours_always_agree(zone, written, moment, minutes):
    windows = written if isinstance(written, list) else [written]
    near = next_change(zone, moment) + timedelta(minutes=minutes)
    calendar, schedule = hours(*windows, zone=zone), layered(written, zone)
    named = bundle_with(calendar={"timezone": zone, "hours": windows}, only={"calendar": "c"}, zone=zone)
    for when in (moment, near):
        found = stretch_at(schedule, when)
        assert (found.user is not None) == calendar.is_open(when)
        by_name = stretch_at(named.schedules["desk"], when)
        assert (by_name.user, by_name.begins, by_name.ends) == (found.user, found.begins, found.ends)


def next_change(zone: str, moment: datetime) -> datetime:
    """About when the clocks are changed next; the moment itself where they are not within two years."""
    there, offset = ZoneInfo(zone), moment.astimezone(ZoneInfo(zone)).utcoffset()
    for day in range(0, 730, 3):
        low, high = moment + timedelta(days=day), moment + timedelta(days=day + 3)
        if high.astimezone(there).utcoffset() != offset:
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                same = middle.astimezone(there).utcoffset() == offset
                low, high = (middle, high) if same else (low, middle)
            return high
    return moment


def bundle_with(calendar, only, zone="Europe/Prague") -> Bundle:
    layer = {"rotation": ["ana"], "shift": "1w", "starts": "2010-01-04T00:00", "only": only}
    return smallest(calendars={"c": calendar}, schedules={"desk": {"timezone": zone, "layers": [layer]}})


# --- one, several, a calendar ------------------------------------------------------------------------------


def test_wherever_one_window_stands_several_may_and_a_calendar():
    for written in (NIGHT, [NIGHT, SATURDAY], {"calendar": "office"}, [{"calendar": "office"}, SATURDAY]):
        zoned = [{"timezone": "UTC"} | each if "days" in each else each for each in as_list(written)]
        made = smallest(
            calendars={"office": OFFICE, "wide": {"timezone": "Europe/Prague", "hours": written}},
            schedules={
                "desk": {
                    "timezone": "Europe/Prague",
                    "layers": [
                        {"rotation": ["ana"], "shift": "1d", "starts": "2026-01-05T08:00", "only": written}
                    ],
                }
            },
            users={"ana": {"name": "Ana", "quiet_hours": written}},
            suppress=[{"name": "s", "window": zoned if isinstance(written, list) else zoned[0]}],
        )
        assert load_json(dump_json(made)) == made
        when = at("2026-01-07T10:00")
        open_now = window_hours(made.users["ana"].quiet_hours, "Europe/Prague").is_open(when)
        assert open_now == ("calendar" in str(written))
        assert hours_of(made.calendars["wide"]).is_open(when) == open_now
        assert (stretch_at(made.schedules["desk"], when).user == "ana") == open_now


def as_list(written):
    return written if isinstance(written, list) else [written]


def test_a_bundle_that_says_nothing_new_reads_in_the_last_release_and_keeps_its_hash():
    made = bundle_with(calendar=OFFICE | {"holidays": {"add": ["2026-12-24"]}}, only=NIGHT)
    body = dump_json(made).decode()
    assert '"only":{"days":"mon,tue,wed,thu,fri","from":"20:00","to":"08:00"}' in body
    assert '"hours":[{"days":"mon,tue,wed,thu,fri","from":"08:00","to":"18:00"}]' in body
    assert content_hash(made) == content_hash(
        bundle_with(calendar=OFFICE | {"holidays": {"add": ["2026-12-24"]}}, only=[NIGHT])
    )


def test_a_layer_that_goes_by_a_calendar_rests_on_its_holidays():
    made = bundle_with(OFFICE, {"calendar": "c"}).schedules["desk"]
    assert stretch_at(made, at("2026-05-07T10:00")).user == "ana"
    assert stretch_at(made, at("2026-05-08T10:00")).user is None  # Victory Day
    assert stretch_at(made, at("2026-12-24T09:00")).user == "ana"  # half a day
    assert stretch_at(made, at("2026-12-24T12:00")).user is None


def test_always_may_be_named_and_is_always_open():
    made = bundle_with(OFFICE, {"calendar": "always"}).schedules["desk"]
    assert stretch_at(made, at("2026-05-09T23:00")).user == "ana"


def test_a_calendar_may_add_to_another_ones_hours():
    made = smallest(
        calendars={
            "office": OFFICE,
            "shop": {
                "timezone": "Europe/Prague",
                "hours": [{"calendar": "office"}, SATURDAY],
                "holidays": {"add": ["2026-01-10"], "hours": {"01-13": {"calendar": "office"}}},
            },
        }
    )
    shop = hours_of(made.calendars["shop"])
    assert shop.is_open(at("2026-01-07T10:00"))
    assert shop.is_open(at("2026-01-03T10:00"))
    assert not shop.is_open(at("2026-01-10T10:00")), "its own holiday"
    assert not shop.is_open(at("2026-05-08T10:00")), "a holiday of the office"
    assert shop.is_open(at("2026-01-13T10:00"))


def test_calendars_that_lead_in_a_circle_never_open_and_hang_nothing():
    made = smallest(
        calendars={
            "a": {"timezone": "UTC", "hours": [{"calendar": "b"}]},
            "b": {"timezone": "UTC", "hours": [{"calendar": "a"}]},
            "c": {"timezone": "UTC", "hours": [{"calendar": "a"}, {"days": "sun"}]},
        }
    )
    assert not hours_of(made.calendars["a"]).is_open(at("2026-01-07T10:00"))
    assert hours_of(made.calendars["c"]).is_open(at("2026-01-11T10:00"))


# --- exceptions -------------------------------------------------------------------------------------------


def test_the_example_of_the_policy_language_is_open_half_of_christmas_eve_and_never_on_new_years_eve():
    office = hours_of(Calendar.model_validate(OFFICE))
    for year in (2026, 2027, 2030):
        eve = f"{year}-12-24T"
        assert [office.is_open(at(eve + time)) for time in ("07:59", "08:00", "11:59", "12:00")] == [
            *(False, True, True, False),
        ]
        assert not office.is_open(at(f"{year}-12-31T10:00"))
    assert office.elapsed(at("2026-12-24T00:00"), at("2026-12-25T00:00")) == 4 * 3600
    assert office.after(at("2026-12-24T11:00"), 2 * 3600) == at("2026-12-28T09:00")


def test_a_working_saturday_has_hours_although_the_week_has_none_for_it():
    weekdays = {"days": "mon-fri", "from": "08:00", "to": "18:00"}
    office = hours(weekdays, hours={"2026-05-02": {"from": "08:00", "to": "14:00"}})
    assert office.elapsed(at("2026-05-02T00:00"), at("2026-05-04T00:00")) == 6 * 3600
    assert not office.is_open(at("2026-05-09T10:00"))


def test_the_29th_of_february_comes_in_leap_years_only():
    office = hours({"from": "08:00", "to": "18:00"}, add=["02-29"])
    assert not office.is_open(at("2028-02-29T10:00"))
    assert office.is_open(at("2027-02-28T10:00"))
    assert office.is_open(at("2027-03-01T10:00"))


def test_a_date_comes_before_a_yearly_one():
    every_day = {"from": "08:00", "to": "18:00"}
    office = hours(every_day, add=["12-31"], remove=["2027-12-31"])
    assert (office.is_open(at("2026-12-31T10:00")), office.is_open(at("2027-12-31T10:00"))) == (False, True)
    short = {"from": "08:00", "to": "12:00"}
    office = hours(every_day, hours={"12-24": short, "2027-12-24": []})
    assert (office.is_open(at("2026-12-24T10:00")), office.is_open(at("2027-12-24T10:00"))) == (True, False)


def test_a_public_holiday_can_be_worked_every_year():
    office = hours({"from": "08:00", "to": "18:00"}, country="CZ", remove=["07-06"])
    assert all(office.is_open(at(f"{year}-07-06T10:00")) for year in (2026, 2027))


def test_the_night_before_a_day_with_hours_of_its_own_goes_on():
    nights = hours({"from": "20:00", "to": "06:00"}, hours={"2026-01-08": {"from": "10:00", "to": "11:00"}})
    assert nights.is_open(at("2026-01-08T03:00"))
    assert nights.is_open(at("2026-01-08T10:30"))
    assert not nights.is_open(at("2026-01-08T21:00"))


def test_dates_are_read_as_they_are_written():
    read = Calendar.model_validate(OFFICE).holidays
    assert read.add == (date(2026, 12, 24), Yearly(12, 31))
    assert list(read.hours) == [Yearly(12, 24)]


def test_yaml_takes_dates_as_keys_with_and_without_quotes(tmp_path):
    file = tmp_path / "bundle.yaml"
    hours_of_days = '{2026-05-02: {from: "08:00", to: "14:00"}, "12-24": [{to: "12:00"}]}'
    office = f"{{timezone: UTC, hours: {{days: mon-fri}}, holidays: {{hours: {hours_of_days}}}}}"
    file.write_text(f"{SMALLEST}calendars: {{office: {office}}}\n", encoding="utf-8")
    assert list(load(file).calendars["office"].holidays.hours) == [date(2026, 5, 2), Yearly(12, 24)]
