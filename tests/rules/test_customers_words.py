"""The customer's contact details go with the case: who they are, what they heard last, what they said last."""

from typing import Any

import msgspec
import pytest

from services.router.domain.model.stored import decode, encode
from shared.events import IncidentSnapshot
from tests.domain.tale import Tale, bundle, ladder, tale

TOLD: Any = {"who": ["customer"], "events": ["opened", "update", "resolved"]}
CONTACTS: Any = {
    "jane": {"email": "jane@acme.example"},
    "bob": {"sms": "+420777000111"},
    "hook": {"webhook": "https://acme.example/hook/of/secret"},
    "desk": {"email": "secret:acme-desk"},
    "room": {"slack": "https://hooks.slack.example/T0/B0/secret"},
}


def of_acme(**sections: Any) -> Tale:
    acme = bundle().customers["acme"].model_dump(mode="json", exclude_none=True)
    customers = {"acme": acme | {"contacts": CONTACTS}, "globex": {"name": "Globex", "contacts": CONTACTS}}
    return tale(customers=customers, subscriptions=[TOLD], **sections)


def last(story: Tale) -> IncidentSnapshot:
    messages = [each.message for each in story.decisions if each.message is not None]
    return messages[-1].incident


def test_whoever_is_asked_reads_who_the_customers_people_are_and_no_secret() -> None:
    story = of_acme()
    story.event(customer="acme")
    people = [(each.name, each.channel, each.address) for each in last(story).customer_people]
    assert people == [("jane", "email", "jane@acme.example"), ("bob", "sms", "+420777000111")]
    assert b"secret" not in msgspec.json.encode(last(story))


@pytest.mark.parametrize("said", ["", "nobody knows them"])
def test_without_a_known_customer_there_is_nobody_to_ask(said: str) -> None:
    story = of_acme()
    story.event(customer=said)
    assert last(story).customer_people == ()
    assert last(story).customer_told is None


def test_people_are_those_of_the_customer_that_it_is_for_now() -> None:
    story = of_acme()
    story.event()
    story.act("set", changes={"customer": "globex"})
    assert len(last(story).customer_people) == 2


def test_the_next_level_reads_what_the_customer_was_told_last() -> None:
    story = of_acme()
    story.event(customer="acme")
    opened = last(story).customer_told
    story.later(minutes=1)
    story.act("update", text="We replace the disk.")
    story.later(minutes=5)
    told = last(story).customer_told
    assert opened is not None
    assert opened.event == "opened"
    assert story.pages[-1].level == "experts"
    assert told is not None
    assert (told.event, told.text) == ("update", "We replace the disk.")
    assert (told.at - opened.at).total_seconds() == 60


def test_the_next_level_reads_what_the_customer_answered() -> None:
    close = {"confirmed_by": "customer", "after": "3d"}
    story = of_acme(policies={"main": ladder(close=close)})
    story.event(customer="acme")
    story.act("resolve")
    story.act("refuse", user="", note="The printer still burns.")
    said = last(story).customer_said
    assert said is not None
    assert (said.event, said.text) == ("refuse", "The printer still burns.")
    assert story.incident is not None
    assert decode(encode(story.incident)).customer_said == said


def test_a_long_update_does_not_make_every_message_long() -> None:
    story = of_acme()
    story.event(customer="acme")
    story.act("update", text="word " * 1000)
    told = last(story).customer_told
    assert told is not None
    assert len(told.text) == 500
