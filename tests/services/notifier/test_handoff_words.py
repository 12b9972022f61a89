"""What a handoff reads like: to the one who comes, to the one who goes, and when it asks to take over."""

import json

from services.notifier.domain.messages.compose import render
from services.notifier.domain.messages.webhook_body import webhook_body
from services.notifier.domain.plan import plan
from tests.services.notifier.building import T0, bundle, changed, incident, notice, page, user

PEOPLE = {"ana": {"box": {"inbox": "ana"}}, "petra": {"box": {"inbox": "petra"}}}


def rendered(message):
    policy = bundle(PEOPLE)
    (delivery,) = plan(message, policy, T0).deliveries
    return delivery, render(delivery, policy, {}, T0)


def test_the_incoming_person_reads_what_is_open_and_who_has_it():
    told = notice("handoff", user("petra"), text="You are on call now.", reason="you are on call for desk")
    _, found = rendered(changed(notices=(told,), incident=incident(assignee="ana")))
    assert found.title.startswith("Handoff: [P")
    assert found.opening == "You are on call now."
    assert dict(found.facts)["Why you"] == "you are on call for desk"


def test_a_page_at_a_handoff_asks_to_take_it_over():
    asked = page(user("petra"), through="handoff")
    _, found = rendered(changed(asked, incident=incident(assignee="ana")))
    assert found.opening == "Ana has it and is off now; you are on call and asked to take it over."


def test_a_webhook_hears_of_it_by_its_name():
    told = notice("handoff", user("petra"))
    delivery, found = rendered(changed(notices=(told,), incident=incident(assignee="ana")))
    assert found.opening == "It goes with the shift to whoever is on call now."
    assert json.loads(webhook_body(delivery, found, T0))["type"] == "handoff"
