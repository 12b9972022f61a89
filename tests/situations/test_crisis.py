"""A crisis: docs/situations/crisis.md."""

from tests.situations.telling import clock, situation

BOARD = "board@example.com"


def to_the_board(story, key):
    return [notice.event for notice in story.notices(key) if notice.recipient.name == BOARD]


def test_a_crisis_calls_all_hands_and_never_falls_silent():
    story = situation("crisis", 2026, 1, 7, 2)
    story.event("flood", kind="crisis", severity="warning", title="The hall is under water", service="plant")
    assert story.of("flood").priority == 1, "whatever it was reported as"
    assert sorted(story.paged("flood")) == ["crisis", "igor", "jana", "mila", "otto"]
    assert to_the_board(story, "flood") == ["opened"]
    story.later(minutes=3)
    assert story.paged("flood")[-1] == "nora"
    story.later(minutes=15)  # three rounds of six minutes
    heard = len(story.paged("flood"))
    story.later(minutes=30)
    assert len(story.paged("flood")) > heard + 20, "finally asks everybody, every five minutes"

    story.act("flood", "acknowledge", user="igor")
    paged = len(story.paged("flood"))
    assert clock(story, "flood", "acknowledge") == ("fulfilled", True)
    story.act("flood", "update", user="igor", text="The pumps run.")
    story.later(minutes=19)
    assert len(story.paged("flood")) == paged
    story.act("flood", "update", user="igor", text="The water falls.")
    story.later(minutes=10)
    story.act("flood", "resolve", user="igor")
    assert to_the_board(story, "flood") == ["opened", "update", "update", "resolved"]
    assert story.of("flood").status == "resolved"
    story.later(days=1)
    assert story.of("flood").status == "closed"


def test_whoever_is_silent_for_twenty_minutes_is_reminded_and_then_the_level_above_is():
    story = situation("crisis", 2026, 1, 7, 2)
    story.event("flood", kind="crisis", service="plant")
    story.act("flood", "acknowledge", user="igor")
    story.later(minutes=21)
    assert any(
        notice.recipient.name == "igor" for notice in story.notices("flood") if notice.event != "opened"
    )
    assert clock(story, "flood", "update")[1]
    story.later(minutes=20)
    assert "nora" in {notice.recipient.name for notice in story.notices("flood")} | set(
        story.paged("flood")[5:]
    )


def test_an_incident_that_turns_out_to_be_a_crisis_calls_all_hands():
    story = situation("crisis", 2026, 1, 7, 9)
    story.event("smell", kind="incident", severity="warning", service="plant", title="It smells of gas")
    assert story.paged("smell") == ["igor"]
    story.act("smell", "acknowledge", user="igor")
    story.act("smell", "set", user="igor", changes={"kind": "crisis"})
    now = story.of("smell")
    assert (now.chain.policy, now.priority) == ("all-hands", 1)
    assert {"jana", "mila", "otto"} <= set(story.paged("smell"))


def test_the_press_is_asked_when_it_is_public():
    story = situation("crisis", 2026, 1, 7, 9)
    story.event("flood", kind="crisis", service="plant")
    story.act("flood", "acknowledge", user="igor")
    before = len(story.paged("flood"))
    story.event("flood", "update", attributes={"public": True})
    assert story.paged("flood")[before:] == ["otto"]
