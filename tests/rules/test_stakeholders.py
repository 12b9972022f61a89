"""Who subscribed hears what concerns them, in words of their own, and how it ends (`subscriptions`)."""

from typing import Any

import pytest

from shared.events import Notice
from tests.domain.tale import Tale, tale
from tests.rules.crowd import crowd

URGENT: Any = {"who": ["user:karel"], "when": "priority == 1", "events": ["opened", "resolved", "reopened"]}
BOARD: Any = {
    "who": [{"email": "board@example.com"}],
    "events": ["opened", "at_risk", "breached", "resolved"],
}
SLA: Any = {"name": "gold", "acknowledge": "1h", "resolve": "4h", "warn_at": ["50%", "80%"]}


def heard(story: Tale, name: str) -> list[str]:
    return [notice.event for notice in story.notices if notice.recipient.name == name]


def of(story: Tale, event: str) -> list[Notice]:
    return [notice for notice in story.notices if notice.event == event]


def test_karel_who_heard_that_it_was_opened_hears_the_end_although_it_is_no_longer_priority_1() -> None:
    story = tale(subscriptions=[URGENT])
    story.event(severity="critical")
    story.act("set", user="petra", role="lead", changes={"priority": 3})
    story.act("resolve")
    assert heard(story, "karel") == ["opened", "resolved"]
    assert story.entries[-1].reason is None or "told Karel" in " ".join(story.said("told"))


def test_who_heard_the_end_hears_that_it_came_back() -> None:
    story = tale(subscriptions=[URGENT])
    story.event(severity="critical")
    story.act("set", user="petra", role="lead", changes={"priority": 3})
    story.event("resolve")
    story.event(severity="warning")
    assert heard(story, "karel") == ["opened", "resolved", "reopened"]


def test_who_never_heard_of_it_hears_no_end() -> None:
    story = tale(subscriptions=[URGENT])
    story.event(severity="warning")
    story.act("resolve")
    assert heard(story, "karel") == []


def test_an_end_that_nobody_subscribed_to_is_told_to_nobody() -> None:
    story = tale(subscriptions=[URGENT | {"events": ["opened"]}])
    story.event(severity="critical")
    story.act("resolve")
    assert heard(story, "karel") == ["opened"]


def test_the_board_hears_the_end_although_a_silence_began_since() -> None:
    story = crowd(subscriptions=[BOARD])
    story.event("disk")
    story.silence("true", hours=5)
    story.event("disk", "resolve")
    told = [notice.event for notice in story.notices("disk") if notice.recipient.kind == "address"]
    assert told == ["opened", "resolved"]


@pytest.mark.parametrize("via", ["", "email"])
def test_who_follows_this_one_hears_the_end_although_a_silence_began_since(via: str) -> None:
    who = "cto@example.com" if via else "petra"
    story = crowd()
    story.event("disk")
    story.act("disk", "subscribe", user="petra", who=who, via=via)
    story.silence("true", hours=5)
    story.act("disk", "update", user="ana", text="We replace it.")
    story.event("disk", "resolve")
    assert [notice.event for notice in story.notices("disk") if notice.recipient.name == who] == ["resolved"]


def test_the_board_hears_that_it_goes_on_with_another_problem_and_not_which() -> None:
    story = crowd(subscriptions=[BOARD])
    story.event("disk")
    story.event("raid")
    story.act("disk", "merge", user="karel", into=story.of("raid").id)
    told = [notice for notice in story.notices("disk") if notice.recipient.kind == "address"]
    assert [notice.event for notice in told] == ["opened", "closed"]
    assert "goes on together with it" in told[-1].text
    assert "raid" not in told[-1].text


def test_management_reads_what_people_inside_read_and_the_board_does_not() -> None:
    rule = BOARD | {"who": ["user:karel", {"email": "board@example.com"}], "events": ["opened"]}
    story = tale(subscriptions=[rule])
    story.event()
    assert {notice.recipient.name: notice.stakeholder for notice in story.notices} == {
        "karel": False,
        "board@example.com": True,
    }


def test_a_promise_at_risk_says_which_one() -> None:
    story = tale(slas=[SLA | {"acknowledge": "50m"}], subscriptions=[BOARD | {"who": ["user:karel"]}])
    story.event()
    story.later(minutes=51)
    assert [(each.event, each.targets) for each in story.notices if each.event != "opened"] == [
        ("at_risk", ("acknowledge",)),
        ("at_risk", ("acknowledge",)),
        ("breached", ("acknowledge",)),
    ]


def test_the_board_gets_no_second_mail_that_says_the_same() -> None:
    """Ana reads at 50% and at 80% how much is left; outside both warnings read alike."""
    inside = BOARD | {"who": ["user:karel"]}
    story = tale(slas=[SLA], subscriptions=[BOARD, inside])
    story.event()
    story.act("acknowledge")
    story.later(hours=5)
    assert heard(story, "board@example.com") == ["opened", "at_risk", "breached"]
    assert heard(story, "karel") == ["opened", "at_risk", "at_risk", "breached"]


def test_what_is_broken_is_not_called_at_risk_in_the_same_moment() -> None:
    story = tale(slas=[SLA], subscriptions=[BOARD])
    story.event()
    story.down_for(minutes=70)
    assert heard(story, "board@example.com") == ["opened", "breached"]


@pytest.mark.parametrize("action", ["note", "update"])
def test_an_internal_note_never_reaches_the_customer(action: str) -> None:
    rule = {"who": ["customer"], "events": ["opened", "update", "resolved"], "template": "customer"}
    template = {"title": "{{ title }}", "body": "{{ text }}"}
    story = tale(subscriptions=[rule], templates={"customer": template})
    story.event(customer="acme")
    story.act(action, text="We replace the disk.", note="db-3 was never backed up")
    story.act("resolve", note="it was our own fault")
    outside = [notice for notice in story.notices if notice.recipient.kind == "customer"]
    assert [notice.text for notice in of(story, "update")] == ["We replace the disk."] * (action == "update")
    assert not any("db-3" in notice.text or "own fault" in notice.text for notice in outside)
