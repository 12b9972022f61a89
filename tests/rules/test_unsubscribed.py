"""Who has unsubscribed hears no more by that subscription, whatever becomes of the policy, and is paged as ever."""

from dataclasses import replace
from typing import Any

import pytest

from services.router.domain.model.context import Left
from shared.policy.model.addresses import place
from tests.domain.tale import Tale, bundle, compiled, tale

TOLD: Any = {"who": ["customer"], "events": ["opened", "update", "resolved"]}
BOARD: Any = {"who": [{"email": "board@example.com"}, "team:desk"], "events": ["opened", "resolved"]}
SLA: Any = {"name": "gold", "respond": "1h", "resolve": "4h"}
TWO: Any = {"mail": {"email": "ops@acme.example"}, "boss": {"email": "boss@acme.example"}}


def leaves(story: Tale, *left: Left) -> None:
    story.overlay = replace(story.overlay, left=story.overlay.left | set(left))


def of_acme(address: str = "ops@acme.example") -> Left:
    return Left("customer", "customer", "acme", place("email", address))


def told(story: Tale, kind: str) -> list[tuple[str, ...]]:
    return [
        (each.event, *(contact.address for contact in each.recipient.contacts))
        for each in story.notices
        if each.recipient.kind == kind
    ]


def test_the_customers_address_that_left_hears_nothing_and_the_timeline_says_so() -> None:
    story = tale(subscriptions=[TOLD])
    leaves(story, of_acme())
    story.event(customer="acme")
    assert told(story, "customer") == []
    assert "subscriptions[0]: customer acme has unsubscribed" in story.said("nobody")


def test_the_customers_other_address_hears_it_as_before() -> None:
    acme = bundle().customers["acme"].model_dump(mode="json", exclude_none=True) | {"contacts": TWO}
    story = tale(subscriptions=[TOLD], customers={"acme": acme})
    leaves(story, of_acme())
    story.event(customer="acme")
    assert told(story, "customer") == [("opened", "boss@acme.example")]


@pytest.mark.parametrize(
    "changed",
    [
        TOLD | {"when": "priority <= 4"},
        TOLD | {"events": ["opened", "taken"]},
        TOLD | {"who": ["owner", "customer"]},
        TOLD | {"template": "own", "digest": "10m"},
    ],
    ids=["its condition", "its events", "whom else it tells", "its words"],
)
def test_whoever_edits_the_policy_subscribes_nobody_again(changed: Any) -> None:
    story = tale(subscriptions=[changed], templates={"own": {"title": "{{ title }}", "body": "{{ text }}"}})
    leaves(story, of_acme())
    story.event(customer="acme")
    assert told(story, "customer") == []


def test_the_end_is_not_told_either_to_who_left_in_between() -> None:
    story = tale(subscriptions=[TOLD])
    story.event(customer="acme")
    leaves(story, of_acme())
    story.act("resolve")
    assert [event for event, *_ in told(story, "customer")] == ["opened"]


def test_who_comes_back_hears_of_it_again() -> None:
    story = tale(subscriptions=[TOLD])
    leaves(story, of_acme())
    story.event(customer="acme")
    story.overlay = replace(story.overlay, left=frozenset())
    story.act("update", text="We replace the disk.")
    assert [event for event, *_ in told(story, "customer")] == ["update"]


def test_a_board_member_who_wrote_the_address_otherwise_has_left_all_the_same() -> None:
    story = tale(subscriptions=[BOARD])
    leaves(story, Left("address", "address", "", place("email", "Board <BOARD@Example.com>")))
    story.event()
    assert told(story, "address") == []
    assert {each.recipient.name for each in story.notices} == {"petra"}  # ana is paged


def test_who_left_what_the_team_is_told_hears_what_they_are_told_by_name() -> None:
    rule = {"who": ["team:desk", "user:petra"], "events": ["opened"]}
    story = tale(subscriptions=[rule])
    leaves(story, Left("team:desk", "user", "petra"))
    story.event()
    assert [each.subscription for each in story.notices if each.recipient.name == "petra"] == ["user:petra"]


def test_who_left_is_paged_as_ever_and_hears_the_end_of_what_they_were_paged_for() -> None:
    story = tale(subscriptions=[BOARD])
    leaves(story, Left("team:desk", "user", "ana"))
    story.event()
    story.event("resolve")
    assert story.paged == ["ana"]
    ends = [each for each in story.notices if each.recipient.name == "ana"]
    assert [(each.event, each.subscription) for each in ends] == [("resolved", "")]


def test_every_notice_says_how_to_leave_it_and_no_address_stands_in_that() -> None:
    story = tale(subscriptions=[TOLD, BOARD])
    story.event(customer="acme")
    story.act("subscribe", user="petra", who="cto@example.com", via="email", role="lead")
    story.act("resolve")
    by = {each.recipient.name: each.subscription for each in story.notices if each.event == "resolved"}
    assert by["acme"] == "customer"
    assert by["board@example.com"] == "address"
    assert by["petra"] == "team:desk"
    assert by["cto@example.com"] == "incident"


def test_a_customer_who_wants_no_news_does_not_break_the_promise_of_an_answer() -> None:
    story = tale(subscriptions=[TOLD], slas=[SLA])
    leaves(story, of_acme())
    story.event(customer="acme")
    story.act("update", text="We replace the disk.")
    story.later(hours=2)
    states = {clock.target: clock.state for clock in story.standing.clocks}
    assert states["respond"] == "fulfilled"


def test_under_another_policy_in_force_it_counts_as_well() -> None:
    story = tale(subscriptions=[TOLD])
    leaves(story, of_acme())
    story.event(customer="acme")
    story.policy = compiled(bundle(subscriptions=[TOLD, TOLD | {"when": "tier == 'gold'"}]))
    story.act("resolve")
    assert told(story, "customer") == []
