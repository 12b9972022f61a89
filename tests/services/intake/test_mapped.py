"""Anybody's JSON, by the expressions of an integration's `map`."""

import pytest

from tests.services.intake.fakes import TICKETS, FakeLog, bearer, intake
from tests.services.intake.posts import recorded
from tests.services.intake.test_posting import assert_problem

PATH, HEADERS = "/v1/integrations/tickets", bearer(TICKETS)


async def test_a_body_becomes_what_the_mapping_says_of_it(client, log):
    answer = await client.post(PATH, content=recorded("ticket.json"), headers=HEADERS)
    (event,) = log.events
    named = [{"event_id": event.event_id, "dedup_key": "48151"}]
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "events": named})
    assert (event.action, event.title) == ("trigger", "The invoice cannot be paid")
    assert (event.customer, event.kind, event.source) == ("acme", "incident", "tickets")
    assert event.labels == {"team": "desk"}


async def test_what_an_expression_cannot_give_is_not_said_and_noted(client, log):
    await client.post(PATH, json={"ticket": {"subject": "x", "state": "open"}}, headers=HEADERS)
    (event,) = log.events
    assert (event.customer, event.kind, event.attributes) == (None, None, {})
    assert event.dedup_key == event.event_id
    assert 'the mapping of customer gave nothing: no field "account" was sent' in event.notes


async def test_a_closed_ticket_resolves_by_its_key(client, log):
    await client.post(PATH, json={"ticket": {"id": 7, "state": "closed", "type": "x"}}, headers=HEADERS)
    (event,) = log.events
    assert (event.action, event.dedup_key, event.title) == ("resolve", "7", None)


async def test_a_field_whose_expression_failed_is_named_for_whoever_wrote_the_policy(client, log):
    """What gives null was said on purpose."""
    ticket = {"id": 8, "state": "open", "subject": "Down", "account": None, "budget": "5"}
    await client.post(PATH, json={"ticket": ticket}, headers=HEADERS)
    (event,) = log.events
    assert event.unmapped == {"kind": 'no field "type" was sent'}


@pytest.mark.parametrize(
    ("ticket", "field", "reason"),
    [
        (
            {"id": 1, "state": "open"},
            "/title",
            'needed for trigger: map.title (ticket.subject): no field "subject" was sent',
        ),
        (
            {"id": 1, "state": "open", "subject": " "},
            "/title",
            "needed for trigger: map.title (ticket.subject): it gives an empty text",
        ),
        (
            {"id": 1, "state": "open", "subject": None},
            "/title",
            "needed for trigger: map.title (ticket.subject): it gives null",
        ),
        (
            {"state": "closed", "subject": "x"},
            "/dedup_key",
            'needed for resolve: map.dedup_key (ticket.id): no field "id" was sent',
        ),
    ],
)
async def test_without_what_every_event_needs_it_is_refused_by_the_expressions_name(
    client, log, ticket, field, reason
):
    refused = await client.post(PATH, json={"ticket": ticket}, headers=HEADERS)
    assert_problem(refused, 422, "invalid-event", field)
    assert refused.json()["errors"][0]["reason"] == reason
    assert log.records == []


async def test_a_list_is_a_batch_taken_whole_or_not_at_all(client, log):
    good, bad = {"ticket": {"id": 1, "subject": "a", "state": "open"}}, {"ticket": 5}
    refused = await client.post(PATH, json=[good, bad, bad], headers=HEADERS)
    assert_problem(refused, 422, "invalid-event", "/1/title", "/2/title")
    assert log.records == []
    assert (await client.post(PATH, json=[good, good], headers=HEADERS)).json()["accepted"] == 2
    assert_problem(await client.post(PATH, json=[good, 5], headers=HEADERS), 422, "invalid-event", "/1")
    assert_problem(await client.post(PATH, json=[good] * 1001, headers=HEADERS), 422, "invalid-event", "body")


@pytest.mark.parametrize(
    ("account", "taken"),
    [
        (2**70, "1.1805916207174113e21"),  # beyond what an expression holds exactly
        ("\u0000x", "\ufffdx"),
        ("a" * 300, "a" * 254 + "…"),
        (True, "true"),
        ({"deep": [1]}, '{"deep":[1]}'),
    ],
)
async def test_hostile_values_are_made_storable(client, log, account, taken):
    ticket = {"id": 1, "subject": "x", "state": "open", "account": account}
    assert (await client.post(PATH, json={"ticket": ticket}, headers=HEADERS)).status_code == 202
    assert log.events[0].customer == taken


async def test_a_mapping_can_make_times_and_lists(client, log):
    tickets = log.policy.integrations["tickets"]
    mapping = {
        "title": "'made'",
        "attributes.at": "timestamp('2026-01-05T08:00:00Z')",
        "attributes.all": "[b'raw', duration('90s'), {1: 'one'}]",
        "occurred_at": "timestamp('2026-01-05T08:00:00Z')",
    }
    made = tickets.model_copy(update={"map": mapping})
    other = FakeLog(policy=log.policy.model_copy(update={"integrations": {"tickets": made}}))
    async with intake(other) as client:
        assert (await client.post(PATH, json={}, headers=HEADERS)).status_code == 202
    (event,) = other.events
    assert event.attributes["at"] == "2026-01-05T08:00:00Z"
    assert event.attributes["all"][2] == {"1": "one"}
