"""Rule 15: the same key soon enough reopens; later it is a new incident; one open incident a key."""

import pytest

from tests.domain.tale import on_main, tale
from tests.rules.crowd import crowd

KEYS = [{"sha256": "0" * 64}]


def test_the_same_key_within_reopen_within_reopens_it_and_pages_whoever_had_it_first():
    story = tale()
    story.event()
    story.later(minutes=6)
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra")
    story.later(minutes=59)
    story.event()
    assert (story.standing.status, story.standing.reopened) == ("triggered", 1)
    assert story.paged == ["ana", "petra", "petra"]


def test_later_it_opens_a_new_one_that_links_back():
    story = tale()
    story.event()
    first = story.standing.id
    story.event("resolve")
    story.later(minutes=61)
    story.event()
    assert (story.standing.previous, story.standing.reopened) == (first, 0)


@pytest.mark.parametrize("kind", ["pagerduty", "opsgenie"])
def test_pagerduty_and_opsgenie_reopen_nothing(kind):
    """Their senders expect a new incident after a resolve."""
    story = tale(integrations={"pager": {"kind": kind, "keys": KEYS}})
    story.event(integration="pager")
    first = story.standing.id
    story.event("resolve", integration="pager")
    story.event(integration="pager")
    assert (story.standing.id != first, story.standing.previous) == (True, first)


def test_an_integration_may_say_otherwise():
    story = tale(integrations={"pager": {"kind": "pagerduty", "keys": KEYS, "reopen_within": "10m"}})
    story.event(integration="pager")
    story.event("resolve", integration="pager")
    story.event(integration="pager")
    assert story.standing.reopened == 1


def test_a_policy_may_reopen_nothing():
    story = tale(**on_main(reopen_within="0s"))
    story.event()
    first = story.standing.id
    story.event("resolve")
    story.event()
    assert story.standing.id != first


def test_reopened_is_a_count_and_the_status_goes_back_to_triggered():
    story = tale()
    story.event()
    for times in (1, 2, 3):
        story.event("resolve")
        story.event()
        assert (story.standing.status, story.standing.reopened) == ("triggered", times)


def test_a_trigger_of_an_open_key_opens_no_second_incident():
    story = tale()
    story.event()
    first = story.standing.id
    story.event()
    story.act("acknowledge")
    story.event()
    assert (story.standing.id, story.standing.events) == (first, 3)


def test_the_key_of_a_merged_incident_stays_with_it_and_its_news_goes_to_its_parent():
    story = crowd()
    story.event("a")
    story.event("b")
    story.act("b", "subscribe", user="karel")
    story.act("b", "acknowledge", user="petra")
    merged = story.of("b").id
    parent = story.of("a").id
    assert story.act("b", "merge", into=parent).refusal is None
    assert (story.of("b").status, story.of("b").parent) == ("closed", parent)
    assert "petra" in story.of("a").followers
    assert [each.who for each in story.of("a").subscribers] == ["karel"]
    story.event("b", title="worse")
    assert story.of("b").id == merged
    assert story.said("a", "repeated") == [f"worse (merged incident {merged}): triggered again"]
    story.event("b", "resolve")
    assert (story.of("a").status, len(story.said("a", "repeated"))) == ("triggered", 2)
    assert story.paged("b") == ["ana"], "from before the merge"


def test_a_merged_incident_stands_again_when_its_key_comes_back_after_the_end_of_its_parent():
    story = crowd()
    story.event("a")
    story.event("b")
    story.act("b", "merge", into=story.of("a").id)
    story.act("a", "resolve")
    story.event("b")
    assert (story.of("b").status, story.of("b").merged, story.of("b").reopened) == ("triggered", False, 1)
    assert story.paged("b") == ["ana", "ana"]
    story.later(minutes=5)
    assert story.paged("b") == ["ana", "ana", "petra"]


def test_the_members_of_a_merged_parent_follow_it():
    story = crowd(grouping=[{"name": "g", "by": ["service"], "within": "5m"}])
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.event("c", service="payments")
    story.act("a", "merge", into=story.of("c").id)
    assert story.of("b").parent == story.of("c").id
    assert (story.of("c").members, story.of("c").members_open) == (1, 1)
    story.act("c", "resolve")
    assert story.of("b").status == "resolved"


def test_a_member_that_is_merged_elsewhere_leaves_its_group():
    story = crowd(grouping=[{"name": "g", "by": ["service"], "within": "5m"}])
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.event("c", service="payments")
    story.act("b", "merge", into=story.of("c").id)
    assert (story.of("a").members, story.of("a").members_open) == (0, 0)
    story.event("a", "resolve")
    assert story.of("a").status == "resolved"


@pytest.mark.parametrize(
    ("into", "says"),
    [
        ("b", "it cannot be merged into itself"),
        ("mine", "that one is merged into this one already"),
        ("done", "that one is resolved: only an open one can take it"),
        ("m", "that one is grouped under"),
        ("nothing", "no incident has the id"),
    ],
)
def test_a_merge_that_makes_no_sense_says_why(into, says):
    story = crowd(grouping=[{"name": "g", "by": ["service"], "within": "5m"}])
    story.event("p", service="checkout")
    story.event("m", service="checkout")
    story.event("b")
    story.event("done")
    story.event("mine")
    story.act("mine", "merge", into=story.of("b").id)
    story.event("done", "resolve")
    known = into in {"b", "done", "m", "mine"}
    refusal = story.act("b", "merge", into=story.of(into).id if known else into).refusal
    assert refusal is not None
    assert says in refusal.reason


def test_merges_make_no_circles():
    story = crowd()
    story.event("a")
    story.event("b")
    story.act("a", "merge", into=story.of("b").id)
    refusal = story.act("b", "merge", into=story.of("a").id).refusal
    assert refusal is not None
    assert refusal.reason == "that one is merged into this one already"
    again = story.act("a", "merge", into=story.of("b").id).refusal
    assert again is not None
    assert again.kind == "conflict"


def test_a_merge_into_what_is_resolved_at_the_same_moment_loses_nothing():
    """Two routers: the parent is over by the time it hears of the merge."""
    story = crowd()
    story.event("a")
    story.event("b")
    known = story.board.context(story.of("b"), None)
    story.act("a", "resolve")
    story.board.__dict__["context"] = lambda *_: known
    story.act("b", "merge", into=story.of("a").id)
    assert (story.of("b").status, story.of("b").merged) == ("triggered", False)
    assert story.paged("b") == ["ana", "ana"]


def test_only_a_lead_merges():
    story = crowd()
    story.event("a")
    story.event("b")
    refusal = story.act("b", "merge", role="responder", into=story.of("a").id).refusal
    assert refusal is not None
    assert refusal.kind == "forbidden"


# --- what is resolved already -----------------------------------------------------------------------------


def resolved_and_open():
    """`b` is resolved, `a` is open."""
    story = crowd(slas=[{"name": "s", "close": "1d"}])
    story.event("a")
    story.event("b")
    story.act("b", "subscribe", user="karel")
    story.event("b", "resolve")
    return story


def test_a_resolved_incident_can_be_merged_into_an_open_one_and_both_say_so():
    story = resolved_and_open()
    told = len(story.notices("b"))
    parent, merged = story.of("a").id, story.of("b").id
    assert story.act("b", "merge", into=parent).refusal is None
    assert (story.of("b").status, story.of("b").parent, story.of("b").merged) == ("closed", parent, True)
    assert story.said("b", "merged") == [f"merged into a is down ({parent}); it was resolved already"]
    assert story.said("a", "merged") == [f"b is down ({merged}) was merged into it; it was resolved already"]
    assert [each.who for each in story.of("a").subscribers] == ["karel"]
    assert len(story.notices("b")) == told, "whoever was asked has heard of its end"
    story.event("b", title="again")
    assert story.said("a", "repeated") == [f"again (merged incident {merged}): triggered again"]


def test_a_closed_incident_is_merged_into_nothing():
    story = resolved_and_open()
    story.act("b", "close")
    refusal = story.act("b", "merge", into=story.of("a").id).refusal
    assert refusal is not None
    assert (refusal.kind, refusal.reason) == ("conflict", "it is closed already")
    assert "merge" not in refusal.possible


def test_what_is_possible_with_a_resolved_one_names_the_merge():
    story = resolved_and_open()
    refusal = story.act("b", "acknowledge").refusal
    assert refusal is not None
    assert "merge" in refusal.possible


def merged_into_what_is_over(meanwhile=lambda story: None):
    """`b`, resolved, is merged into `a` while another router resolves that."""
    story = resolved_and_open()
    known = story.board.context(story.of("b"), None)
    story.act("a", "resolve")
    story.board.__dict__["context"] = lambda *_: known
    deliver, story.board.__dict__["deliver"] = story.board.deliver, list
    story.act("b", "merge", into=story.of("a").id)
    meanwhile(story)
    story.board.__dict__["deliver"] = deliver
    story.later(seconds=1)
    return story


def test_a_resolved_one_merged_into_what_is_over_at_the_same_moment_stays_resolved():
    story = merged_into_what_is_over(lambda story: story.board.__dict__.pop("deliver"))
    story.act("b", "note", note="x")
    assert (story.of("b").status, story.of("b").merged, story.paged("b")) == ("resolved", False, ["ana"])
    (close,) = story.of("b").clocks
    assert close.state == "running"
    story.later(hours=2)
    assert story.of("b").status == "closed"


def test_triggered_between_the_merge_and_its_refusal_it_stands_again():
    story = merged_into_what_is_over(lambda story: story.event("b"))
    story.act("b", "note", note="x")
    assert (story.of("b").status, story.of("b").merged, story.paged("b")) == (
        "triggered",
        False,
        ["ana", "ana"],
    )
