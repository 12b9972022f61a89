"""Rule 6: what is not closed has a next due time; what was taken and then forgotten is asked about."""

from datetime import timedelta

from tests.domain.tale import on_main, tale

OFFICE = {"office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]}}


def test_taken_and_untouched_the_assignee_is_asked_then_the_level_is_paged_again():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.later(days=1)
    (asked,) = [notice for notice in story.notices if notice.event == "inform"]
    assert (asked.recipient.name, story.standing.status) == ("ana", "acknowledged")
    story.later(days=1)
    assert (story.paged, story.standing.status, story.standing.assignee) == (["ana", "ana"], "triggered", "")
    assert "it was taken and then untouched for 1 d" in story.said("paged")[-1]
    story.later(minutes=5)
    assert story.paged == ["ana", "ana", "petra"]


def test_forgotten_after_says_how_long():
    story = tale(**on_main(forgotten_after="2h"))
    story.event()
    story.act("acknowledge")
    story.later(hours=4)
    assert story.paged == ["ana", "ana"]


def test_whatever_a_person_or_the_sender_does_is_a_sign_of_life():
    for touch in (
        lambda story: story.act("note", text="still looking"),
        lambda story: story.act("update", text="We are on it."),
        lambda story: story.event("update", description="more"),
    ):
        story = tale()
        story.event()
        story.act("acknowledge")
        story.later(hours=20)
        touch(story)
        story.later(hours=20)
        assert [notice for notice in story.notices if notice.event == "inform"] == []


def test_an_answer_to_the_question_counts_from_then():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.later(days=1, hours=1)
    story.act("note", text="yes, I am")
    story.later(hours=23)
    assert story.paged == ["ana"]


def test_a_machines_acknowledge_asks_nobody_but_ends_by_itself():
    story = tale(**on_main(forgotten_after="10m"))
    story.event()
    story.event("acknowledge")
    story.later(minutes=10)
    assert story.paged == ["ana", "ana"]


def test_every_state_of_a_ladder_has_a_next_moment():
    """Grace, held, one by one, climbing, resting, finally: at each step something is due."""
    levels = [
        {
            "name": "desk",
            "notify": ["user:ana", "user:petra"],
            "acknowledge_within": "5m",
            "mode": {"one_by_one": "2m"},
            "solve_within": "1h",
        },
        {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m", "hold_until": "office"},
    ]
    story = tale(calendars=OFFICE, **on_main(levels=levels, grace={"wait": "1m"}))
    story.event()
    states = []
    for _ in range(7):
        states.append(story.standing.chain.state)
        assert story.standing.next_due_at > story.now
        story.later(seconds=(story.standing.next_due_at - story.now).total_seconds())
    assert states == ["grace", "climbing", "climbing", "held", "climbing", "finally", "finally"]
    story.act("acknowledge")
    assert story.standing.next_due_at == story.now + timedelta(days=1)
