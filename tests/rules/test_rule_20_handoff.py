"""Rule 20: when the assignee's shift ends, the incoming person hears of the open incidents as `handoff` says."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from services.router.domain.forecast import forecast
from services.router.domain.model.context import Context, Overlay
from services.router.domain.model.parts import Grouped
from shared.policy.oncall.schedules import Override
from tests.domain.tale import START, Tale, bundle, compiled, on_main, tale


def desk(handoff: str | None = "inform", **more: Any) -> dict[str, Any]:
    """Ana, then Petra, then Karel, a day each, from eight in the morning; Ana has it when the tale starts."""
    layer = {
        "name": "daily",
        "rotation": ["ana", "petra", "karel"],
        "shift": "1d",
        "starts": "2026-01-06T08:00",
    }
    named = {"handoff": handoff} if handoff else {}
    schedule = {"timezone": "UTC", "layers": [layer | more], **named}
    level = {"name": "desk", "notify": ["schedule:desk"], "acknowledge_within": "5m"}
    return {"schedules": {"desk": schedule}, **on_main(levels=[level], forgotten_after="30d")}


def taken(**sections: Any) -> Tale:
    """Ana was paged as the one on call, and has taken it; it is a quarter past three in the morning."""
    story = tale(**(desk() | sections))
    story.event()
    story.later(minutes=1)
    story.act("acknowledge")
    assert story.paged == ["ana"]
    return story


def until(story: Tale, at: datetime) -> None:
    story.later(seconds=(at - story.now).total_seconds())


def handed(story: Tale) -> list[tuple[str, str]]:
    """Who heard of a handoff, and what."""
    return [(each.recipient.name, each.text) for each in story.notices if each.event == "handoff"]


def override(user: str, begins: datetime, ends: datetime) -> Overlay:
    return Overlay(1, {"desk": [Override("o1", user, begins, ends, "user:karel")]})


EIGHT = START.replace(hour=8)
NEXT = EIGHT + timedelta(days=1)


def test_the_incoming_person_hears_of_it_when_the_assignees_shift_ends() -> None:
    story = taken()
    until(story, EIGHT - timedelta(seconds=1))
    assert not handed(story)
    until(story, EIGHT)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]
    incoming, outgoing = (text for _, text in handed(story))
    assert "You are on call now, until 2026-01-08 08:00 UTC" in incoming
    assert "Petra is on call now and has heard of this" in outgoing
    assert story.standing.assignee == "ana"
    assert story.paged == ["ana"]
    [entry] = [each for each in story.entries if each.kind == "handoff"]
    assert entry.reason is not None
    assert entry.reason.rule == "rule 20: handoff"
    assert entry.reason.values["schedule"] == "desk"


def test_who_follows_hears_how_it_ends() -> None:
    story = taken()
    until(story, EIGHT)
    story.act("resolve")
    assert "petra" in [each.recipient.name for each in story.notices if each.event == "resolved"]


def test_inform_is_what_happens_where_the_schedule_says_nothing() -> None:
    story = taken(**desk(handoff=None))
    until(story, EIGHT)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]


def test_with_page_the_incoming_person_is_asked_and_the_assignee_keeps_it() -> None:
    story = taken(**desk("page"))
    until(story, EIGHT)
    page = story.pages[-1]
    assert (page.recipient.name, page.through, page.by_schedule) == ("petra", "handoff", True)
    assert page.otherwise == "it stays with Ana until somebody takes it over"
    assert [name for name, _ in handed(story)] == ["ana"]
    assert (story.standing.assignee, story.standing.status) == ("ana", "acknowledged")


def test_who_was_paged_at_a_handoff_takes_it_over_by_acknowledging() -> None:
    story = taken(**desk("page"))
    until(story, EIGHT)
    story.act("acknowledge", user="petra")
    assert story.standing.assignee == "petra"
    until(story, NEXT)
    assert story.paged[-1] == "karel"


def test_with_none_nobody_hears_of_it() -> None:
    story = taken(**desk("none"))
    story.later(days=5)
    assert not handed(story)
    assert story.paged == ["ana"]


def test_each_who_follows_hears_of_it_once_as_long_as_it_is_open() -> None:
    story = taken()
    story.later(days=4)
    heard = [name for name, text in handed(story) if text.startswith("You are on call now")]
    assert heard == ["petra", "karel", "petra"]  # in between it was Ana's turn again, and it is hers


def test_it_is_not_handed_over_when_the_same_person_goes_on() -> None:
    story = taken(**desk(rotation=["ana", "ana", "petra"]))
    until(story, EIGHT)
    assert not handed(story)
    until(story, NEXT)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]


def test_an_override_that_lengthens_the_shift_is_honoured() -> None:
    story = taken()
    story.overlay = override("ana", EIGHT, EIGHT + timedelta(hours=3))
    until(story, EIGHT + timedelta(hours=2))
    assert not handed(story)
    until(story, EIGHT + timedelta(hours=3))
    assert [name for name, _ in handed(story)] == ["petra", "ana"]


def test_ana_who_has_it_reads_that_petra_stands_in_and_that_it_stays_with_her() -> None:
    story = taken()
    story.overlay = override("petra", EIGHT - timedelta(hours=1), EIGHT)
    story.down_for(seconds=1)  # the API makes it due when an override is made
    until(story, EIGHT - timedelta(minutes=30))
    (coming, incoming), (going, outgoing) = handed(story)
    assert (coming, going) == ("petra", "ana")
    assert incoming == (
        "You stand in now, until 2026-01-07 08:00 UTC, and this is open. Ana took it and is off meanwhile; "
        "it stays with Ana until somebody takes it over."
    )
    assert outgoing == (
        "Petra stands in on desk until 2026-01-07 08:00 UTC and has heard of this; "
        "it stays with you until somebody takes it over."
    )


def test_an_override_that_cuts_the_shift_short_counts_from_the_next_timer_on() -> None:
    story = taken()
    story.later(minutes=10)
    story.overlay = override("karel", story.now, EIGHT + timedelta(hours=1))
    story.down_for(seconds=1)  # the API makes it due when an override is made
    assert [name for name, _ in handed(story)] == ["karel", "ana"]
    until(story, EIGHT)
    assert len(handed(story)) == 2
    until(story, EIGHT + timedelta(hours=1))
    assert [name for name, _ in handed(story)][2:] == ["petra", "ana"]


def test_when_nobody_follows_that_is_recorded_and_asked_again_at_the_next_change() -> None:
    story = taken(**desk(only={"days": "mon-sun", "from": "20:00", "to": "08:00"}))
    until(story, EIGHT + timedelta(hours=1))
    assert not handed(story)
    [said] = story.said("nobody")
    assert "the shift of Ana on desk is over and nobody follows: no layer is active" in said
    until(story, EIGHT.replace(hour=20))
    assert [name for name, _ in handed(story)] == ["petra", "ana"]


def test_who_stands_in_and_is_not_in_the_policy_is_passed_over_and_that_is_said() -> None:
    story = taken()
    story.overlay = override("gone", EIGHT, NEXT)
    until(story, EIGHT)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]
    [said] = story.said("on_call")
    assert said == (
        "schedule:desk: an override by user:karel names gone, who is no user of the policy in force: "
        "Petra is asked instead"
    )
    until(story, NEXT)
    assert [name for name, _ in handed(story)][2:] == ["karel", "ana"]


@pytest.mark.parametrize("handoff", ["inform", "page"])
def test_who_heard_that_nobody_took_it_is_not_asked_again_when_the_one_before_takes_it(handoff: str) -> None:
    story = tale(**desk(handoff, starts="2026-01-06T03:02"))
    story.event()
    story.later(minutes=3)
    heard = [name for name, _ in handed(story)] if handoff == "inform" else story.paged[1:]
    assert heard == ["petra"]
    story.act("acknowledge")
    story.later(minutes=1)
    assert len(handed(story)) + len(story.paged) == 2
    until(story, START.replace(hour=3, minute=2) + timedelta(days=1))
    assert "karel" in [name for name, _ in handed(story)] + story.paged


def test_a_shift_that_ended_unseen_before_they_took_it_is_handed_over_at_once() -> None:
    story = tale(**desk(starts="2026-01-06T03:02"))
    story.event()
    story.now += timedelta(minutes=3)  # nothing runs
    story.act("acknowledge")
    assert [name for name, _ in handed(story)] == []
    story.later(seconds=1)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]


def test_whoever_has_the_schedule_is_handed_over_although_their_page_is_over_with() -> None:
    levels = [
        {"name": "desk", "notify": ["schedule:desk"], "acknowledge_within": "5m"},
        {"name": "experts", "notify": ["user:karel"], "acknowledge_within": "1h"},
    ]
    story = tale(**(desk() | on_main(levels=levels, forgotten_after="30d")))
    story.event()
    story.later(minutes=6)
    assert story.paged == ["ana", "karel"]
    story.act("acknowledge")
    until(story, EIGHT)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]


def test_somebody_who_is_on_no_schedule_hands_nothing_over() -> None:
    story = tale(**desk())
    story.event()
    story.act("acknowledge", user="karel", role="admin")
    story.later(days=3)
    assert not handed(story)


def test_the_next_one_who_was_asked_hands_over_when_their_own_shift_ends() -> None:
    sections = desk()
    sections |= on_main(
        levels=[{"name": "desk", "notify": ["next:desk"], "acknowledge_within": "5m"}], forgotten_after="30d"
    )
    story = tale(**sections)
    story.event()
    assert story.paged == ["petra"]
    story.act("acknowledge", user="petra")
    until(story, NEXT - timedelta(seconds=1))
    assert not handed(story)
    until(story, NEXT)
    assert [name for name, _ in handed(story)] == ["karel", "petra"]


def test_the_next_one_does_not_hand_over_before_their_shift_has_begun() -> None:
    sections = desk()
    level = {"name": "desk", "notify": ["next:desk"], "acknowledge_within": "5m"}
    story = tale(**(sections | on_main(levels=[level], forgotten_after="30d")))
    story.event()
    story.act("acknowledge", user="petra")
    story.overlay = override("karel", story.now, EIGHT)  # of no concern to Petra, whose shift is to come
    story.down_for(minutes=5)
    assert not handed(story)
    until(story, NEXT)
    assert [name for name, _ in handed(story)] == ["karel", "petra"]


def test_what_is_muted_is_handed_over_when_somebody_may_be_told_again() -> None:
    story = taken()
    story.incident = replace(story.standing, belongs_to=Grouped("another"))
    story.down_for(days=1)
    assert not handed(story)
    story.incident = replace(story.standing, belongs_to=None)
    story.down_for(minutes=1)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]


def test_what_waits_is_handed_over_by_a_word_never_by_a_page() -> None:
    story = taken(**desk("page"))
    story.event("update", waiting_for="vendor")
    until(story, EIGHT)
    assert [name for name, _ in handed(story)] == ["petra", "ana"]
    assert story.paged == ["ana"]


def test_what_is_resolved_is_not_handed_over() -> None:
    story = taken()
    story.act("resolve")
    story.later(days=3)
    assert not handed(story)


def test_the_schedule_of_the_policy_in_force_counts() -> None:
    story = taken()
    story.policy = compiled(bundle(**desk(rotation=["ana", "karel"])))
    until(story, EIGHT)
    assert [name for name, _ in handed(story)] == ["karel", "ana"]


@pytest.mark.parametrize("sections", [{"schedules": {}}, desk("none")])
def test_a_schedule_that_vanished_or_hands_nothing_over_any_more_ends_it(sections: dict[str, Any]) -> None:
    story = taken()
    story.policy = compiled(bundle(**sections))
    story.later(days=2)
    assert not handed(story)
    assert story.standing.duty is None


def test_the_forecast_tells_of_the_handoff() -> None:
    story = taken()
    coming = forecast(story.standing, Context(story.policy), story.policy, steps=1)
    assert (coming[0].at, coming[0].what[:32]) == (EIGHT, "the shift of Ana on desk is over")
