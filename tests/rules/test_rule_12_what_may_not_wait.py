"""Rule 12: quiet hours never delay a page through a schedule, `finally` or `last_resort`.

Whose quiet hours they are the notifier knows; the decision marks every page so that it can tell.
"""

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
