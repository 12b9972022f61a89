"""Rule 19: a rotation's position is a name per policy and level, advanced once a page."""

from services.router.domain.forecast import forecast
from services.router.domain.model.context import Context
from tests.domain.tale import Tale, bundle, compiled, on_main, tale

CREW = ["user:ana", "user:petra", "user:karel"]
TURNS = {"name": "desk", "notify": CREW, "acknowledge_within": "5m", "mode": "round_robin"}
EXPERTS = {"name": "experts", "notify": ["user:karel"], "acknowledge_within": "10m"}


def next_one(last, *, notify=None, **sections):
    """Who is paged when `last` was asked last."""
    level = TURNS | ({"notify": notify} if notify else {})
    story = tale(**on_main(levels=[level]), **sections)
    story.rotations = {("main", "desk"): last} if last else {}
    story.event()
    return story.paged[0]


def test_each_page_is_the_next_ones_turn():
    rotations = {}
    asked = []
    for number in range(4):
        story = Tale(compiled(bundle(**on_main(levels=[TURNS]))), rotations=rotations)
        story.count = number
        story.event()
        asked += story.paged
        rotations = story.rotations
    assert asked == ["ana", "petra", "karel", "ana"]


def test_the_timeline_says_whose_turn_it_is_and_after_whom():
    story = tale(**on_main(levels=[TURNS]))
    story.rotations = {("main", "desk"): "ana"}
    story.event()
    assert story.said("turn") == ["level desk: it is the turn of Petra after Ana"]
    assert story.said("paged") == ["level desk is paged in turn: Petra; 5 min to take it"]
    assert "(level desk, in turn)" in story.pages[0].reason


def test_only_one_is_asked_and_the_room_hears_of_it():
    teams = {"desk": {"members": ["ana", "petra"], "contacts": {"room": {"inbox": "desk"}}}}
    story = tale(teams=teams, **on_main(levels=[TURNS | {"notify": ["team:desk"]}]))
    story.event()
    assert story.paged == ["ana", "desk"]


def test_each_round_of_one_incident_asks_the_next():
    story = tale(**on_main(levels=[TURNS], rounds=3))
    story.event()
    story.later(minutes=10)
    assert story.paged == ["ana", "petra", "karel"]


def test_nothing_but_a_page_advances_it():
    story = tale(**on_main(levels=[TURNS]))
    story.event()
    story.event()
    story.act("acknowledge")
    story.act("note", text="a note")
    assert story.rotations == {("main", "desk"): "ana"}


def test_a_name_that_is_gone_is_followed_by_the_next_by_name():
    assert next_one("gone") == "karel"  # ana < gone < karel
    assert next_one("zoe") == "ana"
    assert next_one("karel", notify=["user:petra", "user:ana"]) == "petra"


def test_whoever_is_left_alone_is_asked_each_time():
    assert next_one("ana", notify=["user:ana"]) == "ana"


def test_each_level_of_each_policy_has_a_position_of_its_own():
    story = tale(**on_main(levels=[TURNS, TURNS | {"name": "second"}]))
    story.event()
    story.later(minutes=5)
    assert story.paged == ["ana", "ana"]
    assert story.rotations == {("main", "desk"): "ana", ("main", "second"): "ana"}


def test_people_are_the_current_ones_and_the_position_survives_a_new_policy():
    story = tale(**on_main(levels=[TURNS], rounds=2))
    story.event()
    story.later(minutes=5)
    assert story.paged == ["ana", "petra"]
    assert (
        next_one(story.rotations["main", "desk"], notify=["user:karel", "user:ana", "user:petra"]) == "karel"
    )


def test_what_is_foretold_goes_on_with_the_rotation():
    story = tale(**on_main(levels=[TURNS], rounds=3))
    story.event()
    context = Context(story.policy, rotations=story.rotations)
    coming = [step.what for step in forecast(story.standing, context, story.policy) if "in turn" in step.what]
    assert [what.rsplit(": ", 1)[1].split(";")[0] for what in coming] == ["Petra", "Karel"]
