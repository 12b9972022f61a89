"""Opsgenie's alert API: what its clients send, and the answers they insist on."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from services.intake.formats.opsgenie import VERBS, Opsgenie
from services.intake.formats.opsgenie_ids import alert_id, alias_of, request_of
from tests.services.intake.fakes import OPSGENIE, SCRIPTS, bearer
from tests.services.intake.posts import recorded

GENIE = {"authorization": f"GenieKey {OPSGENIE}"}


async def test_an_alert_of_alertmanagers_is_an_event_by_its_alias(client, log):
    answer = await client.post(
        "/v2/alerts", content=recorded("opsgenie_from_alertmanager.json"), headers=GENIE
    )
    (event,) = log.events
    assert answer.status_code == 202
    said = answer.json()
    assert said["result"] == "Request will be processed"
    assert isinstance(said["took"], float)
    assert (event.integration, event.action) == ("genie", "trigger")
    assert event.dedup_key.startswith("3f0b2cd7")
    assert (event.title, event.severity) == ("[FIRING:1] HighErrorRate (checkout)", "critical")
    assert event.labels == {"priority": "P1"}
    assert event.attributes["job"] == "checkout"
    assert event.attributes["tags"] == ["prometheus", "checkout"]
    assert event.source.startswith("http://alertmanager.example")


async def test_everything_that_the_client_library_can_say_is_kept(client, log):
    await client.post("/v2/alerts", content=recorded("opsgenie_from_python_sdk.json"), headers=GENIE)
    event, note = log.events
    assert (event.dedup_key, event.severity) == ("python_sample", "warning")
    assert event.labels == {"priority": "P3", "entity": "An example entity"}
    assert event.attributes["key1"] == "value1"
    assert event.attributes["responders"] == [{"name": "SampleTeam", "type": "team"}]
    assert (note.action, note.dedup_key, note.description) == (
        "note",
        "python_sample",
        "Created from the SDK",
    )


async def test_clients_can_poll_for_what_became_of_a_request(client):
    created = (await client.post("/v2/alerts", json={"message": "x", "alias": "a/ž"}, headers=GENIE)).json()
    answer = await client.get(f"/v2/alerts/requests/{created['requestId']}", headers=GENIE)
    assert answer.status_code == 200
    told = answer.json()["data"]
    assert (told["isSuccess"], told["action"], told["alias"]) == (True, "Create", "a/ž")
    assert alias_of(told["alertId"]) == "a/ž"
    assert datetime.fromisoformat(told["processedAt"]).tzinfo
    assert answer.json()["requestId"] == created["requestId"]
    assert (await client.get("/v2/alerts/requests/unknown", headers=GENIE)).status_code == 404
    assert (
        await client.get(f"/v2/alerts/requests/{created['requestId']}", headers=bearer("wrong"))
    ).status_code == 401


async def test_an_alert_without_an_alias_can_be_closed_by_the_id_that_was_told(client, log):
    created = (await client.post("/v2/alerts", json={"message": "x"}, headers=GENIE)).json()
    told = (await client.get(f"/v2/alerts/requests/{created['requestId']}", headers=GENIE)).json()["data"]
    assert (
        await client.post(f"/v2/alerts/{told['alertId']}/close", json={}, headers=GENIE)
    ).status_code == 202
    opened, closed = log.events
    assert (closed.action, closed.dedup_key) == ("resolve", opened.dedup_key)


@pytest.mark.parametrize("alias", ["plain", "with space", "a/b", "a/close", "100%", "ž", "?x=1", "requests"])
@pytest.mark.parametrize("encode", [lambda alias: quote(alias, safe=""), quote])
async def test_aliases_stand_in_paths_however_they_are_written(client, log, alias, encode):
    path = f"/v2/alerts/{encode(alias)}/acknowledge?identifierType=alias"
    assert (await client.post(path, headers=GENIE)).status_code == 202
    assert log.events[0].dedup_key == alias


@pytest.mark.parametrize(
    ("verb", "body", "expected"),
    [
        ("close", {"user": "ana", "note": "done"}, {"action": "resolve"}),
        ("acknowledge", {}, {"action": "acknowledge"}),
        ("unacknowledge", {}, {"action": "unacknowledge"}),
        (
            "snooze",
            {"endTime": "2026-01-05T10:00:00Z"},
            {"action": "snooze", "until": datetime(2026, 1, 5, 10, tzinfo=UTC)},
        ),
        ("escalate", {"escalation": {"name": "experts"}}, {"action": "escalate", "to": "experts"}),
        ("escalate", {}, {"action": "escalate", "to": None}),
        ("assign", {"owner": {"username": "ana@example.com"}}, {"action": "assign", "to": "ana@example.com"}),
        ("notes", {"note": "looked at it"}, {"action": "note", "description": "looked at it"}),
        ("details", {"details": {"n": 5}}, {"action": "update", "attributes": {"n": 5}}),
        ("priority", {"priority": "P1"}, {"action": "update", "severity": "critical"}),
        ("message", {"message": "new"}, {"action": "update", "title": "new"}),
        ("description", {"description": "new"}, {"action": "update", "description": "new"}),
        (
            "tags",
            {"tags": ["a"], "user": "ana"},
            {"action": "note", "description": 'tags were added by ana: ["a"] (recorded only)'},
        ),
        ("responders", {"responder": {"name": "x"}}, {"action": "note"}),
    ],
)
async def test_each_action_becomes_its_event(client, log, verb, body, expected):
    path = f"/v2/alerts/disk/{verb}?identifierType=alias"
    assert (await client.post(path, json=body, headers=GENIE)).status_code == 202
    event = log.events[0]
    assert event.dedup_key == "disk"
    assert {name: getattr(event, name) for name in expected} == expected
    if "note" in body and verb != "notes":
        assert [each.description for each in log.events[1:]] == [body["note"]]


async def test_alertmanager_updates_alerts_by_put(client, log):
    path = "/v2/alerts/disk/message?identifierType=alias"
    assert (await client.put(path, json={"message": "again"}, headers=GENIE)).status_code == 202
    assert (log.events[0].action, log.events[0].title) == ("update", "again")


async def test_a_deleted_alert_is_resolved_and_says_so(client, log):
    await client.delete("/v2/alerts/disk?identifierType=alias&user=ana", headers=GENIE)
    assert (log.events[0].action, log.events[0].notes) == ("resolve", ("the alert was deleted by ana",))
    await client.delete("/v2/alerts/disk/tags?identifierType=alias&tags=a,b", headers=GENIE)
    assert log.events[1].description == "tags were removed: a,b (recorded only)"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v2/alerts", {}, 422),  # no message
        ("POST", "/v2/alerts", [], 422),
        ("POST", "/v2/alerts/disk/close?identifierType=tiny", {}, 422),
        ("POST", "/v2/alerts/70413a06-38d6-4c85-92b8-5ebc900d42e2/close", {}, 422),  # an id of Opsgenie's own
        ("POST", "/v2/alerts/disk/snooze?identifierType=alias", {}, 422),
        ("POST", "/v2/alerts/disk/snooze?identifierType=alias", {"endTime": "soon"}, 422),
        ("POST", "/v2/alerts/disk/assign?identifierType=alias", {"owner": {}}, 422),
        ("POST", "/v2/alerts/disk/notes?identifierType=alias", {}, 422),
        ("DELETE", "/v2/alerts/disk/notes?identifierType=alias", None, 405),
        ("GET", "/v2/alerts/disk?identifierType=alias", None, 501),
        ("GET", "/v2/alerts?query=status:open", None, 501),
    ],
)
async def test_every_refusal_is_an_object_with_a_message(client, log, method, path, body, status):
    answer = await client.request(method, path, json=body, headers=GENIE)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["message"]
    assert answer.json()["requestId"]
    assert log.records == []


async def test_long_fields_are_cut_and_never_refused(client, log):
    body = {
        "message": "m" * 2000,
        "alias": "a" * 600,
        "source": "s" * 3000,
        "description": "d" * 40_000,
        "tags": ["t" * 100] * 50,
        "priority": "P9",
    }
    assert (await client.post("/v2/alerts", json=body, headers=GENIE)).status_code == 202
    (event,) = log.events
    assert (len(event.title), len(event.dedup_key)) == (1024, 255)
    assert event.severity == "error"
    again = "/v2/alerts/" + "a" * 600 + "/close?identifierType=alias"
    await client.post(again, headers=GENIE)
    assert log.events[1].dedup_key == event.dedup_key


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (bearer("wrong"), 401), (bearer(SCRIPTS), 403), (bearer(OPSGENIE), 202), (GENIE, 202)],
)
async def test_who_may_post(client, headers, status):
    answer = await client.post("/v2/alerts", json={"message": "x"}, headers=headers)
    assert answer.status_code == status
    assert answer.json()


async def test_the_same_idempotency_key_is_the_same_events(client, log):
    headers = GENIE | {"idempotency-key": "one"}
    for _ in range(2):
        await client.post("/v2/alerts", json={"message": "x", "note": "y"}, headers=headers)
    ids = [event.event_id for event in log.events]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2
    assert log.events[0].dedup_key == log.events[2].dedup_key


@pytest.mark.parametrize("identifier", ["", "x", "ladder-a-", "ladder-a-!", "ladder-a-ž", "ladder-r-bm8"])
def test_foreign_ids_are_nobodys(identifier):
    assert not alias_of(identifier)
    assert request_of(identifier) is None


def test_ids_say_their_alias():
    for alias in ("a", "a/b?c", "ž" * 100, "\ufffd"):
        assert alias_of(alert_id(alias)) == alias


def test_every_verb_can_be_spoken_as_a_format():
    assert {Opsgenie(verb).kind for verb in VERBS} == {"opsgenie"}
