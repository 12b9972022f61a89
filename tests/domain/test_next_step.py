"""The next step as a value: who is asked, from when on, and why the levels before are not (rules 1, 5)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.router.domain.draft.draft import Draft
from services.router.domain.escalation.next_step import Place, Step, level_above, next_step, otherwise
from services.router.domain.model.context import Context
from services.router.domain.model.stored import encode
from tests.domain.tale import START, on_main, tale

OPENS = datetime.fromisoformat("2026-01-07T08:00:00+00:00")
OFFICE = {"office": {"timezone": "UTC", "hours": [{"from": "08:00", "to": "16:00"}]}}
_MONDAYS = [f"{START + timedelta(days=5 + 7 * week):%Y-%m-%d}" for week in range(600)]
NEVER = {"office": {"timezone": "UTC", "hours": [{"days": "mon"}], "holidays": {"add": _MONDAYS}}}


def draft_of(*levels: dict[str, Any], calendars: dict[str, Any] | None = None, **policy: Any) -> Draft:
    """An incident that has just opened: its first level is being asked."""
    listed = [
        {"name": f"l{number}", "notify": ["user:ana"], "acknowledge_within": "5m"} | level
        for number, level in enumerate(levels)
    ]
    story = tale(calendars=calendars or {}, **on_main(levels=listed, **policy))
    story.event()
    return Draft(story.standing, story.policy, Context(story.policy), story.now)


def said(step: Step) -> tuple[str, str, list[str]]:
    """Who is asked in which round, until when nobody is, and what was passed."""
    who = f"{step.level.level.spec.name} in {step.level.round}" if step.level is not None else "finally"
    until = f"{step.hold.until:%H:%M}" if step.hold is not None and step.hold.until is not None else ""
    return who, until, [each.level.spec.name for each in step.passed]


NOBODY: dict[str, Any] = {"notify": ["assignee"]}
NOT_THIS = {"handles": "priority == 1"}
AT_WORK = {"hold_until": "office"}
WALKS: list[tuple[str, tuple[dict[str, Any], ...], dict[str, Any], Place, tuple[str, str, list[str]]]] = [
    ("the next level", ({}, {}), {}, Place(1, 1), ("l1 in 1", "", [])),
    ("one that is not competent is passed", ({}, NOT_THIS, {}), {}, Place(1, 1), ("l2 in 1", "", ["l1"])),
    ("one that names nobody, too", ({}, NOBODY, {}), {}, Place(1, 1), ("l2 in 1", "", ["l1"])),
    ("past the last one stands finally", ({}, {}), {}, Place(2, 1), ("finally", "", [])),
    ("or the next round", ({}, {}), {"rounds": 2}, Place(2, 1), ("l0 in 2", "", [])),
    ("in which each is looked at once", ({}, NOBODY), {"rounds": 2}, Place(1, 1), ("l0 in 2", "", ["l1"])),
    (
        "unless it asks for the round",
        ({}, {"handles": "round == 2"}),
        {"rounds": 2},
        Place(1, 1),
        ("l0 in 2", "", ["l1"]),
    ),
    (
        "it waits for its calendar",
        ({}, AT_WORK),
        {"calendars": OFFICE},
        Place(1, 1),
        ("l1 in 1", "08:00", []),
    ),
    (
        "one that never opens is passed",
        ({}, AT_WORK),
        {"calendars": NEVER},
        Place(1, 1),
        ("finally", "", ["l1"]),
    ),
]


@pytest.mark.parametrize(
    ("levels", "given", "place", "expected"), [each[1:] for each in WALKS], ids=[each[0] for each in WALKS]
)
def test_the_next_step_says_who_is_asked_and_who_is_not(
    levels: tuple[dict[str, Any], ...],
    given: dict[str, Any],
    place: Place,
    expected: tuple[str, str, list[str]],
) -> None:
    draft = draft_of(*levels, **given)
    before = encode(draft.incident)
    assert said(next_step(draft, place, at=draft.now)) == expected
    assert (encode(draft.incident), draft.entries) == (before, []), "looking ahead wrote something"


def test_whom_a_person_hands_it_to_waits_for_no_calendar():
    draft = draft_of({}, AT_WORK, calendars=OFFICE)
    assert said(next_step(draft, Place(1, 1), at=None)) == ("l1 in 1", "", [])
    assert said(next_step(draft, Place(1, 1), at=OPENS)) == ("l1 in 1", "", [])


def test_a_level_that_was_asked_for_by_name_is_not_asked_whether_it_is_competent():
    draft = draft_of({}, NOT_THIS)
    assert said(next_step(draft, Place(1, 1), named=True, at=draft.now))[0] == "l1 in 1"


def test_handing_up_starts_no_new_round():
    draft = draft_of({}, {}, rounds=2)
    assert said(next_step(draft, Place(2, 1), wraps=False, at=draft.now))[0] == "finally"


def test_a_page_announces_the_step_that_follows_it():
    draft = draft_of({}, {"notify": ["user:petra"]} | AT_WORK, calendars=OFFICE)
    assert otherwise(draft) == "level l1 is paged when calendar office opens, 2026-01-07 08:00 UTC"
    assert level_above(draft)[0] == "l1"
    at_the_top = draft_of({})
    assert otherwise(at_the_top) == "the last step, finally, pages every 15 min until somebody takes it"
    assert level_above(at_the_top)[0] == "finally"
    assert at_the_top.now - START < timedelta(minutes=1)
