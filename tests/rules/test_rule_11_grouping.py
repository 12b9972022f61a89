"""Rule 11: grouped incidents have no ladder of their own; the parent speaks for all of them."""

import pytest

from services.router.domain.model.stored import encode
from tests.rules.crowd import crowd

BY_SERVICE = {"grouping": [{"name": "one per service", "by": ["service"], "within": "5m"}]}
SLA = {"slas": [{"name": "all", "acknowledge": "30m", "resolve": "4h"}]}


def test_the_first_is_the_parent_and_keeps_its_ladder_and_the_others_page_nobody():
    story = crowd(**BY_SERVICE)
    parent = story.event("a", service="checkout")
    member = story.event("b", service="checkout")
    other = story.event("c", service="payments")
    assert (member.parent, other.parent) == (parent.id, "")
    assert (story.of("a").members, story.of("a").members_open) == (1, 1)
    story.later(minutes=6)
    assert story.paged("a") == ["ana", "petra"]
    assert story.paged("b") == []
    assert story.notices("b") == []
    assert story.said("b", "grouped") == [
        f"grouped under a is down ({parent.id}) by rule one per service: nobody is asked for it alone"
    ]


def test_members_are_recorded_with_their_clocks_although_nobody_hears_of_them():
    story = crowd(**BY_SERVICE, **SLA)
    story.event("a", service="checkout")
    member = story.event("b", service="checkout")
    assert {clock.state for clock in member.clocks} == {"running"}
    story.later(minutes=31)
    assert [clock.breached for clock in story.of("b").clocks if clock.target == "acknowledge"] == [True]
    assert story.paged("b") == []


def test_the_parents_priority_rises_to_the_highest_among_them_and_does_not_fall():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout", severity="warning")
    story.event("b", service="checkout", severity="critical")
    assert story.of("a").priority == 1
    story.event("b", "resolve")
    assert story.of("a").priority == 1


def test_a_members_later_rise_reaches_the_parent():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout", severity="warning")
    story.event("b", service="checkout", severity="warning")
    assert story.of("a").priority == 3
    story.event("b", service="checkout", severity="critical")
    assert story.of("a").priority == 1


def test_the_parent_stays_open_until_all_are_over_and_then_is_resolved():
    story = crowd(**BY_SERVICE)
    for key in "abc":
        story.event(key, service="checkout")
    story.event("a", "resolve")
    assert story.of("a").status == "triggered"
    assert story.said("a", "stays") == [
        "its sender says that it is over; it stays open for 2 incidents grouped under it"
    ]
    story.event("b", "resolve")
    assert story.of("a").status == "triggered"
    story.event("c", "resolve")
    assert story.of("a").status == "resolved"


def test_a_parent_whose_members_are_over_stands_until_its_own_end():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.event("b", "resolve")
    assert story.of("a").status == "triggered"
    story.event("a", "resolve")
    assert story.of("a").status == "resolved"


def test_a_parent_that_is_triggered_again_waits_for_its_own_end_again():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.event("a", "resolve")
    story.event("a", service="checkout")
    story.event("b", "resolve")
    assert story.of("a").status == "triggered"


def test_a_person_who_resolves_the_parent_resolves_them_all():
    story = crowd(**BY_SERVICE)
    parent = story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.act("a", "resolve", user="petra")
    assert (story.of("a").status, story.of("b").status) == ("resolved", "resolved")
    assert story.said("b", "resolved") == [
        f"resolved with a is down ({parent.id}), under which it is grouped"
    ]


def test_taking_the_parent_takes_them_all_and_giving_it_back_gives_them_back():
    story = crowd(**BY_SERVICE, **SLA)
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.act("a", "acknowledge", user="ana")
    member = story.of("b")
    assert (member.status, member.assignee) == ("acknowledged", "ana")
    assert {clock.target: clock.state for clock in member.clocks}["acknowledge"] == "fulfilled"
    story.act("a", "unacknowledge", user="ana")
    assert (story.of("b").status, story.of("b").assignee) == ("triggered", "")
    assert story.paged("b") == []


def test_a_late_joiner_pages_nobody_and_whoever_has_the_parent_is_told():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    story.act("a", "acknowledge", user="ana")
    paged = story.paged("a")
    story.event("b", service="checkout")
    assert (story.paged("a"), story.paged("b")) == (paged, [])
    told = [(each.recipient.name, each.text) for each in story.notices("a") if each.event == "inform"]
    assert told == [("ana", "b is down joined what you have; 1 incident stand grouped under it.")]
    assert story.of("b").assignee == "ana"


def test_many_late_joiners_are_one_notice_in_five_minutes():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    story.act("a", "acknowledge", user="ana")
    for number in range(40):
        story.event(f"b{number}", service="checkout")
    story.later(minutes=6)
    told = [each.text for each in story.notices("a") if each.event == "inform"]
    assert told == [
        "b0 is down joined what you have; 1 incident stand grouped under it.",
        "39 incidents joined what you have; 40 incidents stand grouped under it.",
    ]


def test_when_within_is_over_the_next_one_opens_a_group_of_its_own():
    story = crowd(**BY_SERVICE)
    first = story.event("a", service="checkout")
    story.later(minutes=4)
    story.event("b", service="checkout")
    story.later(minutes=4)
    assert story.event("c", service="checkout").parent == first.id, "within counts from the last that joined"
    story.later(minutes=6)
    second = story.event("d", service="checkout")
    assert second.parent == ""
    assert story.event("e", service="checkout").parent == second.id


def test_a_group_ends_with_its_parent():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    story.event("a", "resolve")
    assert story.event("b", service="checkout").parent == ""
    assert story.paged("b") == ["ana"]


def test_what_is_reopened_joins_again_while_its_parent_stands_and_climbs_alone_afterwards():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.event("b", "resolve")
    story.event("b", service="checkout")
    assert (story.of("a").members, story.of("a").members_open) == (1, 1)
    assert story.paged("b") == []
    story.act("a", "resolve")
    story.event("b", service="checkout")
    assert (story.of("b").status, story.of("b").parent) == ("triggered", "")
    assert story.paged("b") == ["ana"]


def test_a_member_whose_parent_is_over_when_it_joins_stands_alone():
    """Two routers: the parent is resolved while a member joins it elsewhere."""
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    standing = dict(story.board.groups)
    story.event("a", "resolve")
    story.board.__dict__["_standing_groups"] = lambda: standing
    member = story.event("b", service="checkout")
    assert member.parent == ""
    assert story.paged("b") == ["ana"]
    assert story.said("b", "left") == [f"it stands alone: a is down ({story.of('a').id}) is resolved already"]


@pytest.mark.parametrize(
    ("by", "fields"),
    [
        (["labels.alertname"], {"labels": {"job": "x"}}),  # the label is not there
        (["attributes.host"], {}),  # the attribute is not there
        (["service"], {}),  # nothing to group by
    ],
)
def test_what_lacks_a_value_is_not_grouped(by, fields):
    story = crowd(grouping=[{"name": "g", "by": by, "within": "5m"}])
    story.event("a", **fields)
    assert story.event("b", **fields).parent == ""


def test_a_condition_that_fails_groups_nothing_and_says_so():
    story = crowd(
        grouping=[{"name": "g", "when": "attributes.rack == 'r1'", "by": ["service"], "within": "5m"}]
    )
    story.event("a", service="checkout")
    assert story.event("b", service="checkout").parent == ""
    assert "could not be evaluated" in story.said("b", "grouping")[0]


def test_groups_are_by_labels_and_attributes_too():
    story = crowd(grouping=[{"name": "g", "by": ["labels.alertname", "attributes.rack"], "within": "5m"}])
    one = {"labels": {"alertname": "disk"}, "attributes": {"rack": 4}}
    parent = story.event("a", **one)
    assert story.event("b", **one).parent == parent.id
    assert story.event("c", labels={"alertname": "disk"}, attributes={"rack": 5}).parent == ""


def test_a_thousand_members_do_not_make_the_parent_grow():
    story = crowd(**BY_SERVICE)
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    small = len(encode(story.of("a")))
    for number in range(1000):
        story.event(f"c{number}", service="checkout")
    assert story.of("a").members_open == 1001
    assert len(encode(story.of("a"))) <= small + 20
    assert len(story.said("a", "joined")) < 70


def test_suppressed_incidents_make_a_group_of_their_own():
    """Nobody is kept quiet by a parent of whom nobody hears."""
    story = crowd(**BY_SERVICE)
    story.silence("attributes.test == true", hours=1)
    quiet = story.event("a", service="checkout", attributes={"test": True})
    assert quiet.suppressed_by
    loud = story.event("b", service="checkout", attributes={"test": False})
    assert (loud.parent, story.paged("b")) == ("", ["ana"])
    assert story.event("c", service="checkout", attributes={"test": True}).parent == quiet.id
