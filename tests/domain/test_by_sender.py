"""What a sender asks for on behalf of people is done as the action of that name, or recorded with the reason."""

from datetime import timedelta

import pytest

from tests.domain.tale import START, bundle, on_main, tale


def test_a_sender_gives_back_what_a_person_has():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.event("unacknowledge")
    assert (story.standing.status, story.standing.assignee) == ("triggered", "")
    assert story.paged == ["ana", "ana"]


def test_a_sender_snoozes_until_a_time():
    story = tale()
    story.event()
    story.event("snooze", until=START + timedelta(hours=1))
    story.later(minutes=50)
    assert story.paged == ["ana"]
    story.later(minutes=20)
    assert story.paged[:2] == ["ana", "ana"]


@pytest.mark.parametrize(
    ("to", "paged"),
    [(None, "petra"), ("experts", "petra"), ("Opsgenie's night shift", "petra")],
)
def test_a_sender_hands_up(to, paged):
    story = tale()
    story.event()
    story.event("escalate", to=to)
    assert story.paged == ["ana", paged]
    assert (to is None) or (to == "experts") or any(to in entry.text for entry in story.entries)


@pytest.mark.parametrize("called", ["petra", "PETRA@example.com"])
def test_a_sender_assigns_by_name_or_mail_address(called):
    users = bundle().model_dump(mode="json", by_alias=True)["users"]
    users["petra"]["contacts"] = {"mail": {"email": "petra@example.com"}}
    story = tale(users=users)
    story.event()
    story.event("assign", to=called)
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "petra")
    assert story.paged == ["ana", "petra"]


@pytest.mark.parametrize(
    ("action", "said", "why"),
    [
        ("assign", {"to": "nobody@example.com"}, "not a user of the policy in force"),
        ("snooze", {"until": START - timedelta(minutes=1)}, "has passed already"),
        ("snooze", {}, "needs an end"),
        ("unacknowledge", {}, "nobody has taken it"),
    ],
)
def test_what_is_not_possible_is_recorded_with_the_reason_and_stops_nothing(action, said, why):
    story = tale(**on_main())
    story.event()
    story.event(action, **said)
    (recorded,) = story.said("recorded")
    assert recorded.startswith(f"{action} was asked for and not done: ")
    assert why in recorded
    assert story.standing.events == 2
    story.later(minutes=6)
    assert story.paged == ["ana", "petra"]


@pytest.mark.parametrize("action", ["unacknowledge", "snooze", "escalate", "assign"])
def test_what_is_asked_of_a_resolved_or_unknown_key_is_only_recorded(action):
    story = tale()
    assert story.event(action).orphan is not None
    story.event()
    story.event("resolve")
    story.event(action, to="petra", until=START + timedelta(hours=1))
    assert story.standing.status == "resolved"
    assert story.paged == ["ana"]
