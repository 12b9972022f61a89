"""Rule 5: `rounds` passes in all, then `finally` repeats until somebody takes it or it is resolved."""

from tests.domain.tale import on_main, tale


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
