"""On call, whatever the schedule: one answer at every instant, and shifts that tile time and agree with it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.policy import Schedule
from shared.policy.calendars.wall_clock import instant
from shared.policy.oncall.rotation import turn_at
from shared.policy.oncall.schedules import Override, on_call, shift_end, shifts, stretch_at

ZONES = ("Europe/Prague", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
PEOPLE = ("ana", "petra", "karel", "eva")
# Around every change of the clocks of 2026 in the four zones, and ordinary days.
TURNING_POINTS = (
    *("2026-03-29 01:00", "2026-10-25 01:00", "2026-03-08 07:00", "2026-11-01 06:00"),
    *("2026-04-04 15:00", "2026-10-03 15:30", "2026-06-15 12:00", "2026-01-05 08:00"),
)
_times = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
_days = st.sampled_from(["mon-sun", "mon-fri", "sat, sun", "sun", "fri-mon", "mon, wed, fri"])
_quick = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def _windows(draw):
    window = {"days": draw(_days), "from": draw(_times), "to": draw(st.one_of(_times, st.just("24:00")))}
    return window | draw(st.sampled_from([{}, {}, {"timezone": "America/New_York"}]))


@st.composite
def _layers(draw):
    people = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4))
    day = draw(st.sampled_from(["2026-01-05", "2026-03-27", "2026-10-02", "2026-10-23"]))
    layer = {"rotation": people, "starts": f"{day}T{draw(_times)}"}
    layer["shift"] = draw(st.sampled_from(["1d", "1w", "2d", "8h", "12h", "7h", "24h", "90m"]))
    return layer | ({"only": draw(_windows())} if draw(st.booleans()) else {})


@st.composite
def _schedules(draw):
    layers = draw(st.lists(_layers(), min_size=1, max_size=3))
    return Schedule.model_validate({"timezone": draw(st.sampled_from(ZONES)), "layers": layers})


_moments = st.builds(
    lambda point, minutes: datetime.fromisoformat(point).replace(tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from(TURNING_POINTS),
    st.integers(-3 * 1440, 3 * 1440),
)


@st.composite
def _overrides(draw, *, apart=True):
    made, edge = [], draw(_moments) - timedelta(days=2)
    for number in range(draw(st.integers(0, 3))):
        begins = edge + timedelta(minutes=draw(st.integers(0, 2000)))
        ends = begins + timedelta(minutes=draw(st.integers(1, 2000)))
        made.append(Override(f"o{number}", draw(st.sampled_from(PEOPLE)), begins, ends))
        edge = ends if apart else begins
    return made


@_quick
@given(schedule=_schedules(), at=_moments, standing=_overrides(apart=False))
def test_at_every_instant_there_is_exactly_one_answer(schedule, at, standing):
    found = stretch_at(schedule, at, standing)
    assert found.begins <= at < found.ends
    last = found.ends - timedelta(microseconds=1)
    for moment in (max(found.begins, at - timedelta(days=30)), last):
        again = stretch_at(schedule, moment, standing)
        assert (again.user, again.layer, again.override) == (found.user, found.layer, found.override)
    running = [each for each in standing if each.begins <= at < each.ends]
    assert (found.override is not None) == bool(running)
    if running:
        assert found.override == max(running, key=lambda each: (each.begins, each.id))


@_quick
@given(schedule=_schedules(), begins=_moments, days=st.integers(1, 12), standing=_overrides())
def test_shifts_tile_time_and_agree_with_who_is_on_call(schedule, begins, days, standing):
    ends = begins + timedelta(days=days)
    found = list(shifts(schedule, begins, ends, standing))
    assert (found[0].begins, found[-1].ends) == (begins, ends)
    assert all(first.ends == second.begins for first, second in pairwise(found))
    alone = len({user for layer in schedule.layers for user in layer.rotation}) == 1
    for first, second in pairwise(found):
        assert first.user != second.user or (alone and first.user)
    for shift in found:
        assert shift.begins < shift.ends
        middle = shift.begins + (shift.ends - shift.begins) / 2
        for moment in (shift.begins, middle, shift.ends - timedelta(microseconds=1)):
            assert stretch_at(schedule, moment, standing).user == shift.user
    step = begins
    while step < ends:
        [holder] = [each for each in found if each.begins <= step < each.ends]
        assert holder.user == stretch_at(schedule, step, standing).user
        step += timedelta(hours=5, minutes=13)


@_quick
@given(schedule=_schedules(), at=_moments, standing=_overrides())
def test_who_is_on_call_is_the_last_layer_that_is_active_unless_somebody_stands_in(schedule, at, standing):
    """The layers by hand: whether the wall clock of the window's zone stands in one of its windows."""
    if any(each.begins <= at < each.ends for each in standing):
        return
    expected = None
    for layer in schedule.layers:
        turn = turn_at(layer, schedule.timezone, at)
        windows = [(window, window.timezone or schedule.timezone) for window in layer.only or ()]
        is_open = not windows or any(_stands_open(*window, at) for window in windows)
        if turn is not None and is_open:
            expected = turn.user
    assert stretch_at(schedule, at, standing).user == expected


def _stands_open(window, zone, at):
    noon = at.replace(tzinfo=None)
    for offset in range(-3, 4):
        day = (noon + timedelta(days=offset)).replace(hour=0, minute=0)
        if day.weekday() in window.days:
            length = window.to if window.to > window.from_ else window.to + 1440
            begins = instant(day + timedelta(minutes=window.from_), zone)
            if begins <= at < instant(day + timedelta(minutes=length), zone):
                return True
    return False


@_quick
@given(schedule=_schedules(), at=_moments, standing=_overrides())
def test_who_follows_is_the_next_other_person(schedule, at, standing):
    found = on_call(schedule, at, standing)
    later = list(shifts(schedule, at, at + timedelta(days=8), standing, most=100_000))
    others = [shift for shift in later if shift.user is not None and shift.user != found.user]
    if others:
        assert (found.next_user, found.next_from) == (others[0].user, others[0].begins)
    assert found.next_from >= found.until


@_quick
@given(schedule=_schedules(), at=_moments, standing=_overrides())
def test_a_shift_ends_where_somebody_else_follows_or_is_asked_about_again(schedule, at, standing):
    ends = shift_end(schedule, at, standing)
    assert ends > at
    before = ends - timedelta(microseconds=1)
    assert stretch_at(schedule, before, standing).user == stretch_at(schedule, at, standing).user
