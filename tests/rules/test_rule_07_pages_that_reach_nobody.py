"""Rule 7: every delivery of a level failed for good → the next step at once, at most one a minute."""

from msgspec.structs import replace

from services.router.domain.model.signals import DeliveryReported
from shared.events import DeliveryReport
from tests.domain.tale import Tale, ladder, on_main, tale

BOTH = {"name": "desk", "notify": ["user:ana", "user:petra"], "acknowledge_within": "10m"}
EXPERTS = {"name": "experts", "notify": ["user:karel"], "acknowledge_within": "10m"}


def test_when_nobody_of_a_level_can_be_reached_the_next_one_starts_at_once():
    story = tale(**on_main(levels=[BOTH, EXPERTS]))
    story.event()
    story.report(story.pages[0], "unreachable")
    assert story.paged == ["ana", "petra"]
    story.report(story.pages[1], "unreachable")
    assert story.paged == ["ana", "petra", "karel"]
    assert "because no page to level desk reached anybody" in story.said("paged")[-1]


def test_at_most_one_such_step_a_minute():
    story = tale()
    story.event()
    for page in (0, 1):
        story.report(story.pages[page], "unreachable")
    assert story.paged == ["ana", "petra"]
    assert "the next step follows within a minute" in story.said("unreachable")[-1]
    story.later(minutes=1)
    assert story.paged == ["ana", "petra", "karel"]


def test_one_that_arrived_keeps_the_level():
    story = tale(**on_main(levels=[BOTH, EXPERTS]))
    story.event()
    story.report(story.pages[0], "reached")
    story.report(story.pages[1], "unreachable")
    assert story.paged == ["ana", "petra"]


def test_a_stale_report_changes_nothing():
    story = tale()
    story.event()
    story.later(minutes=5)
    story.report(story.pages[0], "unreachable")
    assert (story.paged, story.standing.chain.level) == (["ana", "petra"], 1)


def test_one_by_one_the_next_person_is_asked_at_once():
    one_by_one = BOTH | {"mode": {"one_by_one": "5m"}}
    story = tale(**on_main(levels=[one_by_one, EXPERTS]))
    story.event()
    story.report(story.pages[0], "unreachable")
    assert story.paged == ["ana", "petra"]
    assert story.said("paged")[-1].startswith("Petra is paged next because no page to Ana arrived")
    story.report(story.pages[1], "unreachable")
    assert story.paged == ["ana", "petra", "karel"]


def test_one_by_one_the_level_keeps_its_time_when_somebody_was_reached():
    one_by_one = BOTH | {"mode": {"one_by_one": "2m"}}
    story = tale(**on_main(levels=[one_by_one, EXPERTS]))
    story.event()
    story.report(story.pages[0], "reached")
    story.later(minutes=2)
    story.report(story.pages[1], "unreachable")
    assert story.paged == ["ana", "petra"]
    story.later(minutes=8)
    assert story.paged == ["ana", "petra", "karel"]


def test_a_late_failure_of_an_earlier_turn_asks_nobody_twice():
    one_by_one = BOTH | {"notify": ["user:ana", "user:petra", "user:karel"], "mode": {"one_by_one": "2m"}}
    story = tale(**on_main(levels=[one_by_one, EXPERTS]))
    story.event()
    story.later(minutes=2)
    story.report(story.pages[0], "unreachable")
    assert story.paged == ["ana", "petra"]


def test_a_rotation_whose_turn_cannot_be_reached_asks_the_next_of_it():
    rotating = BOTH | {"mode": "round_robin"}
    story = tale(**on_main(levels=[rotating, EXPERTS]))
    story.event()
    story.report(story.pages[0], "unreachable")
    assert story.paged == ["ana", "petra"]
    story.report(story.pages[1], "unreachable")
    assert story.paged == ["ana", "petra", "karel"]


def test_past_the_top_last_resort_is_paged_and_then_the_pace_of_finally_holds():
    story = tale(last_resort=["user:petra"], **on_main(levels=[ladder()["levels"][0]]))
    story.event()
    story.later(minutes=5)
    story.report(story.pages[-1], "unreachable")
    assert story.pages[-1].through == "last_resort"
    story.report(story.pages[-1], "unreachable")
    pages = len(story.pages)
    story.later(minutes=14)
    assert len(story.pages) == pages


def superseded(story: Tale, page_id: str, newer: str) -> None:
    story.tell(
        DeliveryReported(
            DeliveryReport(
                report_id=f"r-{page_id}",
                incident_id=story.standing.id,
                page_id=page_id,
                recipient="ana",
                channel="webhook",
                outcome="cancelled",
                superseded_by=newer,
                reason=f"superseded by page {newer}",
                at=story.now,
            )
        )
    )


def test_a_superseded_page_is_neither_lost_nor_does_it_keep_the_level_when_the_newer_one_is():
    story = tale()
    story.event()
    (asked,) = story.standing.pages
    newer = replace(asked, page_id="newer")  # as at the change of a shift
    story.incident = replace(story.standing, pages=(asked, newer))
    superseded(story, asked.page_id, "newer")
    assert story.said("delivery") == ["webhook to ana: cancelled (superseded by page newer)"]
    assert story.paged == ["ana"]
    story.report(replace(story.pages[0], page_id="newer"), "unreachable")
    assert story.paged == ["ana", "petra"]


def test_that_pages_of_finally_were_superseded_sets_nothing_going():
    story = tale()
    story.event()
    story.later(minutes=31)
    for page in story.pages[:-1]:
        superseded(story, page.page_id, story.pages[-1].page_id)
    assert story.paged == ["ana", "petra", "karel", "karel"]
    assert story.standing.chain.state == "finally"
