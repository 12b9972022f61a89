"""Who is passed over: somebody who left, somebody who is away; one override inside another; nobody, on purpose."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy.oncall.roster import EVERY, Roster, roster_of
from shared.policy.oncall.schedules import Override
from tests.policy.test_oncall_layers import schedule, utc, weekly
from tests.policy.test_oncall_properties import PEOPLE, _moments, _quick, _schedules

BEGINS, ENDS = utc("2026-01-07 08:00"), utc("2026-01-08 08:00")
NOON = utc("2026-01-07 12:00")
NIGHTS = {"name": "nights", "rotation": ["karel"], "shift": "1d", "starts": "2026-01-05T20:00"}
DESK = schedule(weekly("ana", "petra"), zone="UTC")
STACKED = schedule(weekly("ana", "petra"), NIGHTS, zone="UTC")


def roster(*standing, on=DESK, users=PEOPLE):
    return Roster(on, set(users), standing)


def override(user, name="o", begins=BEGINS, ends=ENDS, made=0, absent=""):
    return Override(name, user, begins, ends, "user:petra", absent, utc("2026-01-01 00:00") + timedelta(made))


def test_an_override_for_somebody_who_left_falls_through_to_the_layers_and_says_so():
    found = roster(override("gone")).on_call(NOON)
    assert (found.user, found.layer, found.override) == ("ana", "weekly", None)
    assert found.reason == (
        "ana has weekly until 2026-01-08 08:00 UTC; "
        "an override by user:petra names gone, who is no user of the policy in force"
    )


def test_it_falls_through_to_the_override_beneath_where_there_is_one():
    found = roster(override("karel", "early"), override("gone", "late", made=1)).on_call(NOON)
    assert (found.user, found.override.id) == ("karel", "early")


def test_a_member_of_a_rotation_who_is_gone_leaves_it_to_the_layer_beneath():
    found = roster(on=STACKED, users=("ana", "petra")).on_call(NOON)
    assert (found.user, found.layer) == ("ana", "weekly")
    assert found.passed == ("nights names karel, who is no user of the policy in force",)
    alone = roster(users=("petra",)).on_call(NOON)
    assert (alone.user, alone.next_user) == (None, "petra")
    assert alone.reason.startswith("nobody else is on call until 2026-01-12 08:00 UTC")


def test_whoever_is_gone_is_not_the_next_one_either():
    trio = schedule(weekly("ana", "gone", "petra"), zone="UTC")
    found = roster(on=trio).on_call(NOON)
    assert (found.next_user, found.next_from) == ("petra", utc("2026-01-19 08:00"))
    users = [each.user for each in roster(on=trio).shifts(BEGINS, BEGINS + timedelta(days=18))]
    assert users == ["ana", None, "petra"]


def test_of_overrides_the_one_made_last_counts_and_then_the_outer_goes_on():
    outer = override("karel", "outer", made=1)
    inner = override("petra", "inner", NOON, NOON + timedelta(hours=1), made=2)
    wide = override("eva", "wide", BEGINS - timedelta(hours=1), ENDS, made=0)  # began first, made first
    found = list(roster(outer, inner, wide).shifts(BEGINS, ENDS))
    assert [(each.user, each.ends) for each in found] == [
        ("karel", NOON),
        ("petra", NOON + timedelta(hours=1)),
        ("karel", ENDS),
    ]


def test_nobody_on_purpose_covers_everything_beneath():
    found = roster(override("")).on_call(NOON)
    assert (found.user, found.next_user, found.next_from) == (None, "ana", ENDS)
    assert found.reason == (
        "nobody is on call until 2026-01-08 08:00 UTC, on purpose (an override by user:petra)"
    )


# what stands, who has it at noon, what the reason begins with
AWAY = [
    ([override("", absent="karel")], "ana", "ana has weekly until 2026-01-07 20:00 UTC"),
    ([override("eva", absent="karel")], "eva", "eva stands in for karel until 2026-01-07 20:00 UTC"),
    ([override("", absent="ana")], "karel", "karel has nights"),  # she would not have it anyway
    # who stands in is away, too: by a word that came later
    (
        [override("eva", absent="karel"), override("petra", "p", made=1, absent="eva")],
        "petra",
        "petra stands",
    ),
    # and by one that came before: whoever asked eva to stand in knew it
    ([override("eva", made=1, absent="karel"), override("petra", "p", absent="eva")], "eva", "eva stands in"),
    ([override("gone", absent="karel")], "ana", "ana has weekly"),
    # an override that names her, made after she said that she is away
    ([override("", absent="karel"), override("karel", "k", made=1)], "karel", "karel stands in until"),
    # and made before: what lies beneath it
    ([override("", made=1, absent="karel"), override("karel", "k")], "ana", "ana has weekly"),
    ([override("karel", absent="ana"), override("ana", "a", made=1, absent="karel")], "ana", "ana stands in"),
]


@pytest.mark.parametrize(("standing", "user", "reason"), AWAY)
def test_who_is_away_leaves_it_to_who_stands_in_or_to_what_lies_beneath(standing, user, reason):
    found = roster(*standing, on=STACKED).on_call(NOON)
    assert found.user == user
    assert found.reason.startswith(reason)


def test_an_absence_that_is_of_no_concern_ends_no_shift():
    found = roster(override("", absent="petra")).on_call(NOON)
    assert (found.user, found.until, found.passed) == ("ana", utc("2026-01-12 08:00"), ())


def test_an_absence_holds_on_every_schedule_by_one_override():
    bundle = SimpleNamespace(schedules={"desk": DESK, "back": STACKED}, users=dict.fromkeys(PEOPLE))
    away = {EVERY: [override("", absent="ana")], "back": [override("ana", "o2", made=1)]}
    assert roster_of(bundle, "desk", away).at(NOON).user is None
    assert roster_of(bundle, "back", away).at(NOON).user == "ana"  # somebody named her after that
    assert roster_of(bundle, "lost", away) is None


def test_every_surface_asks_a_roster_and_so_gives_the_same_answer():
    asking = [
        each
        for each in Path("services").rglob("*.py")
        if "shared.policy.oncall.schedules import" in each.read_text()
    ]
    for each in asking:
        [line] = [
            line for line in each.read_text().splitlines() if "shared.policy.oncall.schedules import" in line
        ]
        names = line.partition(" import ")[2].split(", ")
        assert not {"on_call", "stretch_at", "shifts", "shift_end"} & set(names), each


@st.composite
def _standing(draw):
    """Overrides of any kind over one another, some for people who left."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        begins = draw(_moments)
        user, absent = (draw(st.sampled_from([*PEOPLE, "gone", ""])) for _ in range(2))
        ends = begins + timedelta(minutes=draw(st.integers(1, 4000)))
        made.append(override(user, f"o{number}", begins, ends, draw(st.integers(0, 2)), absent))
    return made


@settings(_quick, max_examples=100)
@given(on=_schedules(), at=_moments, standing=_standing(), users=st.sets(st.sampled_from(PEOPLE)))
def test_nobody_who_left_is_ever_named_and_every_answer_holds_for_its_whole_stretch(on, at, standing, users):
    asked = roster(*standing, on=on, users=users)
    found = asked.at(at)
    assert found.begins <= at < found.ends
    assert found.user is None or found.user in users
    for moment in (max(found.begins, at - timedelta(days=30)), found.ends - timedelta(microseconds=1)):
        again = asked.at(moment)
        assert (again.user, again.layer, again.override) == (found.user, found.layer, found.override)
    duty = asked.on_call(at)
    assert (duty.user, duty.next_user in {"", *users}) == (found.user, True)
    for shift in asked.shifts(at, at + timedelta(days=3)):
        assert asked.at(shift.begins).user == shift.user
