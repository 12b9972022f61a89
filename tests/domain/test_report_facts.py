"""What reports count of an incident, told as its tale."""

from typing import Any

import pytest

from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionArguments, ActionTaken, Actor, TimerFired
from services.router.domain.reporting.report_facts import (
    Ended,
    Flag,
    Outcome,
    StayChange,
    outcome,
    stay_change,
)
from tests.domain.tale import Tale, on_main, tale

SLA = {"name": "all", "acknowledge": "5m", "resolve": "1h"}
ACKNOWLEDGE, RESOLVE, BROKEN, KEPT = 1, 8, 1 << 5, 1 << 10


def counted(story: Tale) -> Outcome:
    return outcome(story.standing)


def last_change(story: Tale, signal: Any, before: Incident | None) -> StayChange:
    return stay_change(before, story.decisions[-1], signal)


def act(story: Tale, action: str, **arguments: Any) -> StayChange:
    before = story.standing
    actor = Actor("user:ana", "responder", "ana")
    signal = ActionTaken(action, actor, ActionArguments(**arguments), "a")
    story.tell(signal)
    return last_change(story, signal, before)


def test_what_the_first_level_solves_is_right_first_time():
    story = tale(slas=[SLA])
    story.event()
    story.later(seconds=90)
    story.act("acknowledge")
    story.later(minutes=10)
    story.act("resolve")
    told = counted(story)
    assert (told.taken_after, told.solved_after) == (90, 690)
    assert told.flags == Flag.SOLVED | Flag.ASKED | Flag.RIGHT_FIRST_TIME
    assert told.promises == (ACKNOWLEDGE | RESOLVE) * (1 + KEPT)


@pytest.mark.parametrize("passed", [True, False], ids=["passed", "handed up"])
def test_what_another_level_solves_is_not_right_first_time(passed: bool):  # noqa: FBT001 - a table's column
    story = tale()
    story.event()
    if passed:
        story.later(minutes=6)
    else:
        story.act("escalate")
    story.act("acknowledge", user="petra", role="lead")
    story.act("resolve", user="petra", role="lead")
    assert counted(story).flags == Flag.SOLVED | Flag.ASKED


def test_a_promise_that_was_broken_counts_as_broken_when_it_is_fulfilled_late():
    story = tale(slas=[SLA])
    story.event()
    story.later(minutes=6)
    story.act("acknowledge")
    assert counted(story).promises == ACKNOWLEDGE * (1 + BROKEN + KEPT) | RESOLVE


def test_what_is_open_again_is_not_solved():
    story = tale(**on_main(reopen_within="1h"))
    story.event()
    story.event("resolve")
    assert counted(story).solved_after == 0
    story.event()
    told = counted(story)
    assert (told.solved_after, told.flags, told.reopened) == (None, 0, 1)


def test_a_stay_begins_with_the_first_page():
    story = tale()
    opened = story.event()
    assert stay_change(None, opened, None) == StayChange(None, begins=True, pages=1)


def test_a_level_whose_time_runs_out_is_passed():
    story = tale()
    story.event()
    before = story.standing
    story.later(minutes=5)
    assert last_change(story, TimerFired(), before) == StayChange(Ended.PASSED, begins=True, pages=1)


def test_a_level_that_hands_up_ends_its_stay():
    story = tale()
    story.event()
    assert act(story, "escalate") == StayChange(Ended.HANDED_UP, begins=True, pages=1)


def test_taking_it_goes_on_with_the_stay_and_solving_it_ends_it():
    story = tale()
    story.event()
    assert act(story, "acknowledge") == StayChange(None, begins=False, pages=0)
    assert act(story, "resolve") == StayChange(Ended.SOLVED, begins=False, pages=0)


def test_finally_paged_again_is_the_same_stay():
    story = tale()
    story.event()
    story.later(minutes=16)
    before = story.standing
    story.later(minutes=15)
    assert last_change(story, TimerFired(), before) == StayChange(None, begins=False, pages=1)


def test_a_note_changes_nothing_that_reports_count():
    story = tale()
    story.event()
    before = counted(story)
    assert act(story, "note", text="looking") == StayChange(None, begins=False, pages=0)
    assert counted(story) == before
