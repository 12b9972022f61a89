"""Rule 5: `rounds` passes in all, then `finally` repeats until somebody takes it or it is resolved."""

from datetime import UTC, date, datetime, timedelta

from services.router.domain.forecast import forecast
from services.router.domain.model.context import Context
from tests.domain.tale import START, on_main, tale

OFFICE = {
    "office": {"timezone": "Europe/Prague", "hours": {"days": "mon-fri", "from": "08:00", "to": "18:00"}}
}
FRIDAY_EVENING = datetime(2026, 1, 9, 15, 30, tzinfo=UTC)  # half past four in Prague
MONDAY = datetime(2026, 1, 12, 7, 0, tzinfo=UTC)  # eight in Prague


def office_hours(calendars=OFFICE, at=FRIDAY_EVENING, every="1h", **parts):
    """A ladder whose last step waits for the office."""
    last = {"notify": ["user:karel"], "every": every, "hold_until": "office"}
    story = tale(calendars=calendars, **on_main(**{"finally": last} | parts))
    story.now = at
    return story


def test_one_round_by_default_and_then_finally_again_and_again():
    story = tale()
    story.event()
    story.later(minutes=15)
    assert story.paged == ["ana", "petra", "karel"]
    story.later(hours=1)
    assert story.paged == ["ana", "petra", *["karel"] * 5]
    assert len({page.page_id for page in story.pages}) == 7


def test_as_many_rounds_as_it_says():
    story = tale(**on_main(rounds=3))
    story.event()
    story.later(minutes=45)
    assert story.paged == ["ana", "petra"] * 3 + ["karel"]
    assert [page.round for page in story.pages[:6]] == [1, 1, 2, 2, 3, 3]


def test_a_page_says_that_the_next_round_follows():
    story = tale(**on_main(rounds=2))
    story.event()
    story.later(minutes=5)
    assert story.pages[-1].otherwise == "level desk is paged (round 2)"
    assert "round 1 of 2" in story.said("paged")[-1]


def test_no_round_goes_below_where_the_route_started():
    story = tale(routes=[{"policy": "main", "start_at": "experts"}], **on_main(rounds=2))
    story.event()
    story.later(minutes=20)
    assert story.paged == ["petra", "petra", "karel"]


def test_taking_it_ends_finally_and_so_does_the_resolve():
    for action in ("acknowledge", "resolve"):
        story = tale()
        story.event()
        story.later(minutes=16)
        story.act(action, user="karel", role="admin")
        pages = len(story.pages)
        story.later(hours=6)
        assert len(story.pages) == pages


def test_without_finally_last_resort_is_paged_every_quarter_of_an_hour():
    story = tale(**on_main(**{"finally": {}}))
    story.event()
    story.later(minutes=45)
    assert [page.through for page in story.pages[2:]] == ["last_resort"] * 3


# --- finally and its calendar -----------------------------------------------------------------------------


def test_an_office_hours_policy_does_not_page_all_weekend():
    story = office_hours()
    story.event()
    story.later(hours=60)
    assert story.paged == ["ana", "petra", "karel", "karel"], "at 16:45 and 17:45 on Friday, then no more"
    assert story.said("held") == [
        (
            "finally waits for calendar office, until 2026-01-12 07:00 UTC "
            "because nobody has taken it for another 1 h"
        )
    ]
    assert story.standing.next_due_at == MONDAY
    story.later(days=1)
    assert [page.through for page in story.pages[4:]] == ["finally"] * 10, "each hour of Monday"
    assert story.pages[4].reason.endswith("(finally; calendar office is open)")


def test_its_repeats_pause_at_night_and_go_on_in_the_morning():
    story = office_hours(at=START)
    story.event()
    story.later(hours=20)
    at = [each.incident.decided_at for each in story.decisions if each.message and each.message.pages][2:]
    assert at == [datetime(2026, 1, 7, 7, tzinfo=UTC) + timedelta(hours=number) for number in range(10)]
    assert story.standing.next_due_at == datetime(2026, 1, 8, 7, tzinfo=UTC)


def test_a_page_that_is_not_repeated_tonight_says_so():
    story = office_hours()
    story.event()
    assert story.pages[0].otherwise == "level experts is paged"
    story.later(hours=2)
    last = "you are paged again when calendar office opens, 2026-01-12 07:00 UTC"
    assert [page.otherwise for page in story.pages[2:]] == ["you are paged again in 1 h", last]
    assert story.said("paged")[-1].endswith("Karel; again every 1 h while calendar office is open")


def test_the_level_before_says_when_the_last_step_comes():
    story = office_hours(at=START)
    story.event()
    story.later(minutes=5)
    assert story.pages[-1].otherwise == (
        "the last step, finally, pages when calendar office opens, 2026-01-07 07:00 UTC, "
        "then every 1 h until somebody takes it"
    )


def test_the_forecast_tells_the_wait_and_the_page_after_it():
    story = office_hours(at=START)
    story.event()
    coming = forecast(story.standing, Context(story.policy), story.policy)
    assert [
        (step.at - START, step.what.partition(" because")[0].partition(",")[0]) for step in coming[:3]
    ] == [
        (timedelta(minutes=5), "level experts is paged"),
        (timedelta(minutes=15), "finally waits for calendar office"),
        (timedelta(hours=4), "finally pages"),
    ]
    assert "calendar office is open" in coming[2].what


def test_whoever_was_asked_before_may_take_it_while_finally_waits():
    story = office_hours(at=START)
    story.event()
    story.later(hours=1)
    story.act("acknowledge", user="petra", page=story.pages[-1].page_id)
    story.later(hours=6)
    assert (story.standing.assignee, story.paged) == ("petra", ["ana", "petra"])


def test_pages_before_that_reach_nobody_do_not_wake_the_last_step():
    story = office_hours(at=START)
    story.event()
    story.later(minutes=20)
    story.report(story.pages[1], "unreachable")
    story.later(minutes=30)
    assert (story.paged, story.said("unreachable")) == (["ana", "petra"], [])
    assert len(story.said("held")) == 1


def test_a_person_who_hands_it_up_to_the_last_step_does_not_wait():
    story = office_hours(at=START)
    story.event()
    story.later(minutes=20)
    story.act("escalate", user="ana", because="authority")
    assert story.paged == ["ana", "petra", "karel"]
    story.later(hours=3)
    assert story.paged == ["ana", "petra", "karel"], "its repeats wait like any other"
    story.later(hours=1)
    assert story.paged == ["ana", "petra", "karel", "karel"]


def test_taken_and_not_solved_the_last_step_joins_when_its_calendar_opens():
    levels = [{"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "solve_within": "1h"}]
    story = office_hours(at=START, levels=levels)
    story.event()
    story.act("acknowledge")
    story.later(hours=3)
    assert (story.paged, story.standing.next_due_at) == (["ana"], datetime(2026, 1, 7, 7, tzinfo=UTC))
    story.later(hours=3)
    assert (story.paged, story.standing.assignee) == (["ana", "karel"], "ana")


def test_a_calendar_that_never_opens_again_silences_nothing():
    mondays = [date(2026, 1, 5) + timedelta(weeks=week) for week in range(600)]
    closed = {"office": {"timezone": "UTC", "hours": [{"days": "mon"}], "holidays": {"add": mondays}}}
    story = office_hours(calendars=closed)
    story.event()
    story.later(hours=3)
    assert story.paged == ["ana", "petra", "karel", "karel", "karel"]
    assert story.said("held") == ["finally does not wait: its calendar office never opens again"]


def test_after_downtime_over_the_whole_opening_finally_pages():
    story = office_hours(at=START)
    story.event()
    story.later(minutes=20)
    story.down_for(hours=18)
    assert story.paged == ["ana", "petra", "karel"]


def test_last_resort_waits_in_the_place_of_a_finally_that_names_nobody():
    story = office_hours(at=START, **{"finally": {"hold_until": "office"}})
    story.event()
    story.later(hours=3, minutes=59)
    assert story.paged == ["ana", "petra"]
    story.later(minutes=1)
    assert (story.paged[2:], story.pages[-1].through) == (["karel"], "last_resort")


def test_a_snooze_that_ends_at_night_does_not_wake_the_last_step():
    story = office_hours(at=START)
    story.event()
    story.later(minutes=20)
    story.act("snooze", until=START + timedelta(hours=2))
    story.later(hours=3)
    assert story.paged == ["ana", "petra"]
    story.later(hours=1)
    assert story.paged == ["ana", "petra", "karel"]
