"""Rule 12: quiet hours never delay a page through a schedule, `finally` or `last_resort`.

Whose quiet hours they are the notifier knows; the decision marks every page so that it can tell, and says whose
`unless` is true.
"""

import pytest

from tests.domain.tale import on_main, tale

WEEK = {
    "week": {
        "timezone": "Europe/Prague",
        "layers": [{"rotation": ["ana", "petra"], "shift": "1w", "starts": "2026-01-05T08:00"}],
    }
}
BY_SCHEDULE = {"name": "desk", "notify": ["schedule:week", "user:karel"], "acknowledge_within": "5m"}
BY_NAME = {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"}


def test_a_page_says_whether_a_schedule_named_the_person():
    story = tale(schedules=WEEK, **on_main(levels=[BY_SCHEDULE]))
    story.event()
    assert {page.recipient.name: page.by_schedule for page in story.pages} == {"ana": True, "karel": False}


def test_whoever_is_next_on_a_schedule_was_named_by_it_too():
    story = tale(schedules=WEEK, **on_main(levels=[{**BY_SCHEDULE, "notify": ["next:week"]}]))
    story.event()
    assert [(page.recipient.name, page.by_schedule) for page in story.pages] == [("petra", True)]


def test_finally_and_last_resort_are_marked_as_what_they_are():
    story = tale(**on_main(levels=[BY_NAME], **{"finally": {"notify": ["user:petra"], "every": "15m"}}))
    story.event()
    story.later(minutes=5)
    assert [(page.recipient.name, page.through) for page in story.pages] == [
        ("ana", "level"),
        ("petra", "finally"),
    ]
    story = tale(**on_main(levels=[BY_NAME], **{"finally": {"notify": [], "every": "15m"}}))
    story.event()
    story.later(minutes=5)
    assert (story.pages[-1].recipient.name, story.pages[-1].through) == ("karel", "last_resort")


def test_a_low_page_is_told_from_a_loud_one():
    story = tale(loud="priority <= 2", **on_main(levels=[BY_NAME]))
    story.event(severity="info")
    story.event(severity="critical")
    story.later(minutes=5)
    assert [page.loud for page in story.pages] == [False, True]


# --- unless -----------------------------------------------------------------------------------------------

NIGHTS = {"from": "22:00", "to": "07:00"}


def quiet(*unless):
    """Ana's quiet hours, one for each condition."""
    people = {name: {"name": name.title()} for name in ("ana", "petra", "karel")}
    people["ana"]["quiet_hours"] = [NIGHTS | each for each in unless]
    return {"users": people}


@pytest.mark.parametrize(
    ("unless", "broken"),
    [
        ([{"unless": "priority == 1"}], ()),
        ([{"unless": "priority == 4"}], (0,)),
        ([{}], ()),
        ([{"unless": "true"}], (0,)),
        ([{}, {"unless": "severity == 'info'"}, {"unless": "tier == 'gold'"}], (1,)),
        ([{"unless": "attributes.loss > 10.0"}], (0,)),  # cannot be evaluated: they do not apply
    ],
)
def test_a_page_says_which_quiet_hours_do_not_count_for_it(unless, broken):
    story = tale(loud="priority <= 2", **quiet(*unless), **on_main(levels=[BY_NAME]))
    story.event(severity="info")
    assert story.pages[-1].breaks_quiet == broken


def test_nothing_is_asked_about_a_page_that_waits_for_nothing():
    story = tale(**quiet({"unless": "attributes.loss > 10.0"}), **on_main(levels=[BY_NAME]))
    story.event()
    assert story.pages[-1].breaks_quiet == ()
    assert not story.decisions[-1].failures


def test_a_notice_says_it_too():
    point = {"name": "look", "when": "priority == 4", "do": [{"inform": ["user:ana"]}]}
    story = tale(**quiet({"unless": "priority == 4"}), **on_main(levels=[BY_NAME], points=[point]))
    story.event(severity="info")
    assert [each.breaks_quiet for each in story.notices if each.recipient.name == "ana"] == [(0,)]
