"""Rule 3: taking it sets the assignee and rests the levels; giving it back starts the level again."""

from tests.domain.tale import on_main, tale

POINT = {"name": "many", "when": "events >= 2", "do": [{"notify": ["user:karel"]}]}


def test_taking_it_sets_the_assignee_rests_the_levels_and_calls_off_what_was_not_sent():
    story = tale()
    story.event()
    taken = story.act("acknowledge")
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "ana")
    assert taken.message.settled.why == "taken"
    story.later(hours=12)
    assert story.paged == ["ana"]


def test_giving_it_back_starts_the_level_again_with_its_full_time():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.later(minutes=3)
    story.act("unacknowledge", note="I cannot look at it now")
    assert (story.standing.status, story.standing.assignee) == ("triggered", "")
    assert story.paged == ["ana", "ana"]
    assert story.said("given_back") == ["Ana gave it back"]
    story.later(minutes=4)
    assert story.paged == ["ana", "ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "ana", "petra"]


def test_whoever_it_is_taken_from_hears_of_it():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.act("unacknowledge", user="petra", role="lead")
    assert story.said("given_back") == ["Petra took it away from Ana"]
    told = [notice for notice in story.notices if notice.recipient.name == "ana"]
    assert [notice.event for notice in told] == ["inform"]


def test_nobody_can_give_back_what_nobody_has():
    story = tale()
    story.event()
    refused = story.act("unacknowledge").refusal
    assert (refused.kind, refused.reason) == ("conflict", "nobody has taken it")
    assert "acknowledge" in refused.possible


def test_a_key_that_acts_for_nobody_rests_the_levels_and_names_an_assignee_only_when_told():
    story = tale()
    story.event()
    story.act("acknowledge", user="")
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "")
    story.later(minutes=30)
    assert story.paged == ["ana", "petra"]  # after half an hour the levels go on
    story.act("acknowledge", user="", assignee="petra")
    assert story.standing.assignee == "petra"


def test_acknowledging_a_page_from_a_point_marks_it_seen_and_stops_no_level():
    story = tale(**on_main(points=[POINT]))
    story.event()
    story.event()
    page = story.pages[-1]
    assert (page.recipient.name, page.through) == ("karel", "point")
    story.act("acknowledge", user="karel", page=page.page_id)
    assert (story.standing.status, story.standing.assignee) == ("triggered", "")
    assert story.said("seen") == ["Karel has seen the page; the levels go on"]
    assert story.decisions[-1].message.answered == (page.page_id,)  # Karel's later steps are off
    story.later(minutes=5)
    assert story.paged == ["ana", "karel", "petra"]


def test_assigning_it_to_somebody_else_counts_as_taken_and_pages_them():
    story = tale()
    story.event()
    story.act("assign", to="petra", note="you know this one")
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "petra")
    assert story.paged == ["ana", "petra"]
    assert story.pages[-1].reason == "it was assigned to you by Ana"
    assert story.said("taken") == ["assigned to Petra"]
    story.later(hours=1)
    assert story.paged == ["ana", "petra"]


def test_an_assignment_whose_page_reaches_nobody_lets_the_next_level_join():
    story = tale()
    story.event()
    story.act("assign", to="ana", user="petra", role="lead")
    story.report(story.pages[-1], "unreachable")
    assert story.paged == ["ana", "ana", "petra"]
    assert story.standing.assignee == "ana"


def test_assigning_it_on_tells_whoever_had_it():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.act("assign", to="petra", user="karel", role="admin")
    assert story.said("taken")[-1] == "assigned to Petra instead of Ana"
    assert "ana" in story.standing.followers
    assert [notice.event for notice in story.notices if notice.recipient.name == "ana"] == ["taken"]


def test_assigning_to_oneself_is_taking_it_and_a_key_that_acts_for_nobody_says_whom():
    story = tale()
    story.event()
    assert story.act("assign", user="").refusal.reason == "assign needs `to`: this key acts for nobody"
    assert "not a user" in story.act("assign", to="gone").refusal.reason
    story.act("assign")
    assert (story.standing.assignee, story.paged) == ("ana", ["ana"])
