"""Whose turn it is in a conversation, and which first messages are changed."""

from datetime import timedelta

import pytest

from services.notifier.domain.conversation import (
    HELD_FOR,
    Conversation,
    Place,
    Pointless,
    Stored,
    Wait,
    first_message,
    newest,
    turn,
    updates,
)
from services.notifier.domain.plan import plan
from tests.services.notifier.building import T0, bundle, changed, incident, page

DESK = Place("inc-1", "slack", "#desk", "team", "desk", "room")


def delivery(version=1):
    (made,) = plan(changed(page(page_id=f"page-{version}"), version=version), bundle(), T0).deliveries
    return made


def state(version=2):
    message = changed(incident=incident(version=version), changes=("taken",))
    (made,) = updates([message], [DESK], T0)
    return made


def test_the_first_begins_and_the_next_waits_for_it_until_it_has_had_time_enough():
    first, second = delivery(), delivery(2)
    assert turn(first, Stored(), coming=False, now=T0) == Conversation(holds=True)
    held = Stored(busy=first.id, busy_until=T0 + HELD_FOR)
    assert turn(second, held, coming=False, now=T0) == Wait()
    assert turn(first, held, coming=False, now=T0) == Conversation(holds=True)  # tried again
    assert turn(second, held, coming=False, now=T0 + HELD_FOR) == Conversation(holds=True)


def test_later_messages_go_beneath_the_first_even_while_that_is_changed():
    stored = Stored("D1:17.1", 1, busy="somebody", busy_until=T0 + HELD_FOR)
    assert turn(delivery(2), stored, coming=False, now=T0) == Conversation(root="D1:17.1")


@pytest.mark.parametrize(
    ("stored", "coming", "found"),
    [
        (Stored("D1:1", 1), False, Conversation(root="D1:1", edits=True, holds=True)),
        (Stored("D1:1", 2), False, Pointless),  # shown already
        (Stored("D1:1", 3), False, Pointless),  # something newer is
        (Stored("D1:1", 1, busy="x", busy_until=T0 + timedelta(seconds=1)), False, Wait()),
        (Stored(), True, Wait(for_first=True)),
        (Stored(), False, Pointless),  # what was to be sent was called off
        (Stored(""), True, Pointless),  # an incoming webhook
    ],
)
def test_the_first_message_is_changed_where_there_is_one_that_shows_less(stored, coming, found):
    made = turn(state(2), stored, coming=coming, now=T0)
    assert made == found or type(made) is found


def test_only_what_moves_the_incident_changes_its_first_messages():
    moved = changed(incident=incident(version=3), changes=("taken",))
    before = changed(incident=incident(version=2), changes=("escalated",))
    repeated = changed(incident=incident(version=4), changes=("changed",))
    assert newest([before, moved, repeated]) == [moved]
    assert newest([repeated]) == []


def test_what_is_kept_of_the_first_message_is_enough_to_show_it_again():
    kept = first_message(delivery())
    assert (kept.event, kept.recipient, kept.page.page_id) == ("page", "ana", "page-1")
