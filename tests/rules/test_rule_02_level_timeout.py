"""Rule 2: a level's time, modes and calendars; after downtime one step, whose window counts from now."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.router.domain.forecast import forecast
from services.router.domain.model.context import Context
from tests.domain.tale import START, on_main, tale

CREW = ["user:ana", "user:petra", "user:karel"]
OTHERS = {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"}
ONE_BY_ONE = {"name": "desk", "notify": CREW, "acknowledge_within": "5m", "mode": {"one_by_one": "2m"}}
OFFICE = {"office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]}}
EIGHT = datetime(2026, 1, 7, 8, 0, tzinfo=UTC)


def held(**level):
    levels = [
        {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"},
        OTHERS | {"hold_until": "office"} | level,
    ]
    return tale(calendars=OFFICE, **on_main(levels=levels))


# --- time -------------------------------------------------------------------------------------------------


def test_the_time_counts_from_the_commit_that_paged_the_level():
    story = tale()
    story.now = START + timedelta(hours=2)
    story.event()
    assert story.standing.next_due_at == story.now + timedelta(minutes=5)


def test_after_downtime_a_chain_takes_one_step_and_its_window_counts_from_now():
    story = tale()
    story.event()
    story.down_for(hours=9)
    assert story.paged == ["ana", "petra"]
    assert story.pages[-1].act_by == story.now + timedelta(minutes=10)
    story.later(minutes=9, seconds=59)
    assert story.paged == ["ana", "petra"]


def test_after_downtime_of_several_overdue_shares_only_the_highest_acts():
    points = [
        {"name": "half", "at": "50% of resolve", "do": [{"inform": ["user:petra"]}]},
        {"name": "broken", "at": "100% of resolve", "do": [{"inform": ["user:karel"]}]},
    ]
    story = tale(slas=[{"name": "all", "resolve": "1h"}], **on_main(points=points))
    story.event()
    story.act("acknowledge")
    story.down_for(hours=3)
    assert [notice.recipient.name for notice in story.notices if notice.event == "inform"] == ["karel"]
    assert "point half is recorded only: a higher share was reached at the same time" in story.said("point")


def test_personal_steps_go_on_after_the_level_is_passed_until_somebody_takes_it():
    """The notifier goes on with a page until it is told that the incident is settled."""
    story = tale()
    story.event()
    story.later(minutes=5)
    assert all(each.message is None or each.message.settled is None for each in story.decisions)
    decision = story.act("acknowledge", user="petra")
    assert decision.message.settled.why == "taken"


# --- one by one -------------------------------------------------------------------------------------------


def test_one_by_one_asks_the_next_of_the_level_after_its_time():
    story = tale(**on_main(levels=[ONE_BY_ONE, OTHERS]))
    story.event()
    assert story.paged == ["ana"]
    page = story.pages[0]
    assert (page.act_by, page.otherwise) == (START + timedelta(minutes=2), "Petra is paged next")
    story.later(minutes=2)
    assert story.paged == ["ana", "petra"]
    assert story.said("paged")[-1].startswith("Petra is paged next because Ana did not take it within 2 min")


def test_the_levels_own_time_ends_it_however_many_are_left():
    story = tale(**on_main(levels=[ONE_BY_ONE, OTHERS]))
    story.event()
    story.later(minutes=4, seconds=59)
    assert story.paged == ["ana", "petra", "karel"]
    assert story.pages[-1].act_by == START + timedelta(minutes=5)
    assert story.pages[-1].otherwise == "level experts is paged"
    story.later(seconds=1)
    assert story.paged == ["ana", "petra", "karel", "petra"]


def test_when_all_were_asked_the_level_keeps_the_rest_of_its_time():
    levels = [ONE_BY_ONE | {"acknowledge_within": "30m", "notify": CREW[:2]}, OTHERS]
    story = tale(**on_main(levels=levels))
    story.event()
    story.later(minutes=29, seconds=59)
    assert story.paged == ["ana", "petra"]
    assert story.pages[-1].act_by == START + timedelta(minutes=30)


def test_a_page_of_an_earlier_turn_can_still_be_answered():
    story = tale(**on_main(levels=[ONE_BY_ONE, OTHERS]))
    story.event()
    story.later(minutes=2)
    story.act("acknowledge", user="ana", page=story.pages[0].page_id)
    story.later(hours=1)
    assert (story.standing.assignee, story.paged) == ("ana", ["ana", "petra"])


@pytest.mark.parametrize("minutes", [3, 60])  # within the level's own time, and long after it
def test_one_by_one_everybody_who_was_promised_is_asked_also_after_downtime(minutes):
    """One step at once, with its whole time from now; then the next; and only then the level is left."""
    story = tale(**on_main(levels=[ONE_BY_ONE, OTHERS]))
    story.event()
    assert story.pages[-1].otherwise == "Petra is paged next"
    story.down_for(minutes=minutes)
    assert story.paged == ["ana", "petra"]
    assert story.pages[-1].act_by == story.now + timedelta(minutes=2)
    story.later(minutes=2)
    assert story.paged == ["ana", "petra", "karel"]
    story.later(minutes=1)
    assert story.standing.chain.level == 1
    assert story.paged == ["ana", "petra", "karel", "petra"]


def test_one_by_one_the_reason_for_leaving_the_level_counts_its_real_time():
    story = tale(**on_main(levels=[ONE_BY_ONE, OTHERS]))
    story.event()
    story.down_for(minutes=60)
    story.later(minutes=3)
    assert "level desk did not take it within 1 h 3 min" in story.said("paged")[-1]


def test_one_by_one_whoever_the_levels_time_left_no_turn_was_never_promised_one():
    short = ONE_BY_ONE | {"acknowledge_within": "3m"}
    story = tale(**on_main(levels=[short, OTHERS]))
    story.event()
    story.later(minutes=2)
    assert story.pages[-1].otherwise == "level experts is paged"
    story.later(minutes=1)
    assert story.paged == ["ana", "petra", "petra"]


def test_a_room_hears_of_a_level_once_and_is_never_asked_in_turn():
    teams = {"desk": {"members": ["ana", "petra"], "contacts": {"room": {"inbox": "desk"}}}}
    levels = [ONE_BY_ONE | {"notify": ["team:desk"]}, OTHERS]
    story = tale(teams=teams, **on_main(levels=levels))
    story.event()
    story.later(minutes=4)
    assert story.paged == ["ana", "desk", "petra"]


def test_whoever_left_the_level_is_not_asked_and_the_others_are():
    """People are live: the level names whom it names at the time of each turn (rule 17)."""
    teams = {"desk": {"members": ["ana", "petra", "karel"]}}
    levels = [ONE_BY_ONE | {"notify": ["team:desk"]}, OTHERS]
    story = tale(teams=teams, **on_main(levels=levels))
    story.event()
    story.policy = tale(teams={"desk": {"members": ["ana", "karel"]}}, **on_main(levels=levels)).policy
    story.later(minutes=2)
    assert story.paged == ["ana", "karel"]


# --- hold_until -------------------------------------------------------------------------------------------


def test_a_level_waits_for_its_calendar_and_says_until_when():
    story = held()
    story.event()
    assert (
        story.pages[0].otherwise == "level experts is paged when calendar office opens, 2026-01-07 08:00 UTC"
    )
    story.later(minutes=5)
    assert story.paged == ["ana"]
    assert story.said("held") == [
        (
            "level experts waits for calendar office, until 2026-01-07 08:00 UTC "
            "because level desk did not take it within 5 min"
        )
    ]
    story.later(hours=4, minutes=54)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert (story.paged, story.pages[-1].act_by) == (["ana", "petra"], EIGHT + timedelta(minutes=10))
    assert "because calendar office is open" in story.said("paged")[-1]


def test_while_it_waits_what_was_sent_before_goes_on_and_can_be_answered():
    story = held()
    story.event()
    story.later(minutes=30)
    assert all(each.message is None or each.message.settled is None for each in story.decisions)
    story.act("acknowledge", page=story.pages[0].page_id)
    story.later(hours=12)
    assert (story.standing.assignee, story.paged) == ("ana", ["ana"])


def test_an_open_calendar_holds_nobody():
    story = held()
    story.now = EIGHT
    story.event()
    story.later(minutes=5)
    assert (story.paged, story.said("held")) == (["ana", "petra"], [])


def test_the_first_level_may_wait_too():
    levels = [OTHERS | {"hold_until": "office"}]
    story = tale(calendars=OFFICE, **on_main(levels=levels))
    story.event()
    assert (story.paged, story.standing.next_due_at) == ([], EIGHT)
    story.later(hours=5)
    assert story.paged == ["petra"]


def test_a_calendar_that_never_opens_again_passes_the_level_with_the_reason():
    mondays = [date(2026, 1, 5) + timedelta(weeks=week) for week in range(600)]
    hours = [{"days": "mon", "from": "08:00", "to": "18:00"}]
    closed = {"office": {"timezone": "UTC", "hours": hours, "holidays": {"add": mondays}}}
    levels = [
        {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"},
        OTHERS | {"hold_until": "office"},
    ]
    story = tale(calendars=closed, **on_main(levels=levels))
    story.event()
    story.later(minutes=5)
    assert story.paged == ["ana", "karel"]
    assert story.said("level_skipped") == ["level experts is passed: its calendar office never opens again"]


def test_a_person_who_hands_it_up_does_not_wait_for_a_calendar():
    story = held()
    story.event()
    story.act("escalate", because="expertise")
    assert story.paged == ["ana", "petra"]


def test_handed_up_while_a_level_waits_it_is_paged_now():
    story = held()
    story.event()
    story.later(minutes=6)
    story.act("escalate")
    assert story.paged == ["ana", "petra"]


def test_the_level_that_would_join_waits_too_and_the_assignee_stays():
    levels = [
        {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "solve_within": "1h"},
        OTHERS | {"hold_until": "office"},
    ]
    story = tale(calendars=OFFICE, **on_main(levels=levels))
    story.event()
    story.act("acknowledge")
    story.later(hours=1)
    assert (story.paged, story.standing.next_due_at) == (["ana"], EIGHT)
    story.later(hours=4)
    assert (story.paged, story.standing.assignee) == (["ana", "petra"], "ana")


def test_after_downtime_over_the_whole_opening_the_level_is_paged():
    """Closed again or not: it has waited for the opening, and a missed page is worse than a late one."""
    story = held()
    story.event()
    story.later(minutes=5)
    story.down_for(hours=20)
    assert story.paged == ["ana", "petra"]


def test_pages_of_the_level_before_that_fail_do_not_end_the_wait():
    story = held()
    story.event()
    story.later(minutes=5)
    story.report(story.pages[0], "unreachable")
    assert (story.paged, story.said("unreachable")) == (["ana"], [])
    story.later(hours=5)
    assert "because calendar office is open" in story.said("paged")[1]


def test_no_longer_taken_by_a_machine_it_waits_again():
    story = held()
    story.event()
    story.later(minutes=5)
    story.event("acknowledge")
    story.later(minutes=40)
    assert (story.standing.status, story.standing.next_due_at, story.paged) == ("triggered", EIGHT, ["ana"])


@pytest.mark.parametrize("hour", [0, 5, 7])
def test_what_is_foretold_comes(hour):
    story = held()
    story.event()
    story.later(minutes=1)
    coming = forecast(story.standing, Context(story.policy), story.policy)
    assert [step.what.split(",")[0].split(" because")[0] for step in coming[:2]] == [
        "level experts waits for calendar office",
        "level experts is paged",
    ]
    story.later(hours=hour)
    assert story.paged[:2] == ["ana", "petra"][: 2 if hour > 4 else 1]
