"""CloudEvents over HTTP, in every mode, as senders in the wild write them."""

import base64
import json
from datetime import UTC, datetime

import pytest

from tests.services.intake.fakes import CLOUD, CRM, PAGER, SCRIPTS, bearer
from tests.services.intake.posts import recorded
from tests.services.intake.test_posting import assert_problem

KEY = bearer(CLOUD)
STRUCTURED = KEY | {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = KEY | {"content-type": "application/cloudevents-batch+json"}
BINARY = KEY | {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/db",
    "ce-type": "com.example.disk.full",
}
ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/db", "type": "com.example.disk.full"}


async def test_a_structured_event_keeps_what_it_says(client, log):
    answer = await client.post(
        "/v1/events", content=recorded("cloudevents_structured.json"), headers=STRUCTURED
    )
    (event,) = log.events
    assert (answer.status_code, answer.json()["events"][0]["event_id"]) == (202, event.event_id)
    assert event.integration == "cloud"
    assert (event.action, event.title) == ("trigger", "com.example.someevent: larger-context")
    assert event.dedup_key == "/mycontext/subcontext larger-context"
    assert event.source == "/mycontext/subcontext"
    assert event.labels == {
        "ce_type": "com.example.someevent",
        "comexampleextension1": "value",
        "comexampleothervalue": "5",
    }
    assert event.attributes == {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True}
    assert event.occurred_at == datetime(2018, 4, 5, 17, 31, tzinfo=UTC)


async def test_a_batch_is_taken_whole_and_bytes_that_are_no_text_stay_base64(client, log):
    answer = await client.post("/v1/events", content=recorded("cloudevents_batch.json"), headers=BATCH)
    assert answer.json()["accepted"] == 2
    first, second = log.events
    assert first.attributes == {"data": "AQL/"}
    assert second.attributes["appinfoB"] == 123
    assert first.dedup_key == first.event_id
    assert (await client.post("/v1/events", json=[], headers=BATCH)).json() == {"accepted": 0, "events": []}


async def test_source_and_id_are_the_same_event_in_every_mode(client, log):
    body = {**ATTRIBUTES, "data": {"n": 1}}
    await client.post("/v1/events", json={"n": 1}, headers=BINARY)
    await client.post("/v1/events", content=json.dumps(body), headers=STRUCTURED)
    await client.post("/v1/events", content=json.dumps([body, body | {"id": "2"}]), headers=BATCH)
    await client.post("/v1/events", content=json.dumps(body | {"source": "/other"}), headers=STRUCTURED)
    first, second, third, other_id, other_source = (event.event_id for event in log.events)
    assert first == second == third
    assert len({first, other_id, other_source}) == 3


async def test_data_in_the_native_format_are_a_native_event(client, log):
    said = {
        "title": "Disk full",
        "dedup_key": "disk",
        "severity": "critical",
        "service": "checkout",
        "labels": {"host": "db-1"},
        "attributes": {"used": 0.99},
        "impact": "high",
    }
    await client.post("/v1/events", json=said, headers=BINARY)
    await client.post(
        "/v1/events", json={"action": "resolve", "dedup_key": "disk"}, headers=BINARY | {"ce-id": "2"}
    )
    opened, resolved = log.events
    assert (opened.title, opened.dedup_key, opened.severity) == ("Disk full", "disk", "critical")
    assert (opened.service, opened.attributes) == ("checkout", {"used": 0.99})
    assert opened.labels == {"ce_type": "com.example.disk.full", "host": "db-1"}
    assert "impact cannot be 'high'" in opened.notes
    assert (resolved.action, resolved.dedup_key) == ("resolve", "disk")


@pytest.mark.parametrize(
    ("headers", "body", "attributes"),
    [
        ({}, b'{"n": 1}', {"n": 1}),  # no content type at all: it is JSON
        ({"content-type": "application/json; charset=utf-8"}, b'{"n": 1}', {"n": 1}),
        ({"content-type": "application/x-www-form-urlencoded"}, b'{"n": 1}', {"n": 1}),  # curl -d
        ({"content-type": "application/vnd.x+json"}, b"[1]", {"data": [1]}),
        ({"content-type": "text/plain"}, b"full", {"data": "full"}),
        ({"content-type": "text/plain; charset=latin-1"}, b"pln\xfd", {"data": "plný"}),
        ({"content-type": "application/octet-stream"}, b"\xff\xfe", {"data": "//4="}),
        ({"content-type": "application/json"}, b"{broken", {"data": "{broken"}),
        ({}, b"", {}),
    ],
)
async def test_binary_mode_takes_any_data(client, log, headers, body, attributes):
    request = client.build_request("POST", "/v1/events", content=body, headers=BINARY | headers)
    assert (await client.send(request)).status_code == 202
    assert log.events[0].attributes == attributes


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),  # the specification's example
        ("plný".encode(), "plný"),
        ("pln\u00fd".encode("latin-1"), "plný"),
        (b'"a \\"quoted\\" one"', 'a "quoted" one'),
        (b"%00", "\ufffd"),
    ],
)
async def test_header_values_are_decoded(client, log, raw, subject):
    headers = [*((name.encode(), value.encode()) for name, value in BINARY.items()), (b"ce-subject", raw)]
    await client.post("/v1/events", content=b"{}", headers=headers)
    assert log.events[0].dedup_key == f"/db {subject}"


async def test_chunked_bodies_without_a_length_are_counted_by_bytes(client, log):
    async def chunks(count):
        for _ in range(count):
            yield b" " * 1024

    assert (await client.post("/v1/events", content=chunks(1025), headers=BINARY)).status_code == 413
    assert (await client.post("/v1/events", content=chunks(100), headers=BINARY)).status_code == 202


async def test_base64_data_that_are_json_are_read(client, log):
    packed = base64.b64encode(b'{"title": "packed"}').decode()
    await client.post(
        "/v1/events", content=json.dumps(ATTRIBUTES | {"data_base64": packed}), headers=STRUCTURED
    )
    assert log.events[0].title == "packed"


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
async def test_what_names_an_event_is_needed(client, log, missing):
    body = {name: value for name, value in ATTRIBUTES.items() if name != missing}
    structured = await client.post("/v1/events", content=json.dumps(body), headers=STRUCTURED)
    assert_problem(structured, 422, "invalid-event", f"/{missing}")
    binary = {name: value for name, value in BINARY.items() if name != f"ce-{missing}"}
    assert_problem(
        await client.post("/v1/events", json={}, headers=binary), 422, "invalid-event", f"/{missing}"
    )
    assert log.records == []


async def test_a_type_that_says_resolved_needs_a_key_and_resolves(client, log):
    resolved = BINARY | {"ce-type": "com.example.disk.resolved"}
    refused = await client.post("/v1/events", json={}, headers=resolved)
    assert_problem(refused, 422, "invalid-event", "/dedup_key")
    await client.post("/v1/events", json={}, headers=resolved | {"ce-subject": "db-1"})
    (event,) = log.events
    assert (event.action, event.dedup_key) == ("resolve", "/db db-1")


async def test_a_mapping_sees_the_whole_cloudevent(client, log):
    body = recorded("cloudevents_pull_request.json")
    await client.post("/v1/integrations/mapped-cloud", content=body, headers=STRUCTURED)
    closed = json.loads(body) | {"type": "com.github.pull_request.closed", "id": "2"}
    await client.post("/v1/integrations/mapped-cloud", content=json.dumps(closed), headers=STRUCTURED)
    opened, resolved = log.events
    assert (opened.title, opened.dedup_key) == ("Say what a subject is", "123")
    assert opened.attributes["author"] == "ana"
    assert (resolved.action, resolved.dedup_key) == ("resolve", "123")


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v1/events", SCRIPTS, 202),  # native integrations may post CloudEvents, too
        ("/v1/integrations/scripts", SCRIPTS, 202),
        ("/v1/integrations/crm", CRM, 202),
        ("/v1/integrations/cloud", CLOUD, 202),
        ("/v1/events", PAGER, 403),
        ("/v1/integrations/scripts", CLOUD, 403),
        ("/v1/events", "wrong", 401),
    ],
)
async def test_who_may_post_cloudevents(client, log, path, key, status):
    answer = await client.post(path, json={}, headers=BINARY | bearer(key))
    assert answer.status_code == status
    assert len(log.records) == (status == 202)


async def test_a_cloudevents_key_posts_nothing_else(client):
    assert (await client.post("/v1/events", json={"title": "x"}, headers=KEY)).status_code == 403
    plain = await client.post("/v1/integrations/cloud", json={"title": "x"}, headers=KEY)
    assert_problem(plain, 422, "invalid-event", "/specversion", "/id", "/source", "/type")


async def test_a_native_event_inside_a_cloudevent_keeps_its_links(client, log):
    links = [
        {"href": "https://runbooks.example/disk", "text": "Runbook"},
        {"href": "https://charts.example/disk.png", "image": True},
        "https://db-1.example",
        {"text": "nowhere"},
        "javascript:alert(1)",
    ]
    await client.post("/v1/events", json={"title": "Disk full", "links": links}, headers=BINARY)
    (event,) = log.events
    assert [(link.href, link.text, link.image) for link in event.links] == [
        ("https://runbooks.example/disk", "Runbook", False),
        ("https://charts.example/disk.png", "", True),
        ("https://db-1.example", "", False),
    ]
    assert any("javascript" in note for note in event.notes)


async def test_data_with_a_key_and_a_severity_but_no_title_are_read_as_far_as_they_go(client, log):
    said = {
        "dedup_key": "disk-db-1",
        "severity": "critical",
        "service": "checkout",
        "labels": {"host": "db-1"},
        "attributes": {"used": 0.99},
        "mount": "/var",
    }
    await client.post("/v1/events", json=said, headers=BINARY | {"ce-subject": "db-1"})
    await client.post("/v1/events", json=said | {"summary": "Disk full"}, headers=BINARY | {"ce-id": "2"})
    event, summed = log.events
    assert (event.title, event.dedup_key) == ("com.example.disk.full: db-1", "disk-db-1")
    assert (event.severity, event.service, event.labels["host"]) == ("critical", "checkout", "db-1")
    assert event.attributes == {"used": 0.99, "mount": "/var"}
    assert summed.title == "Disk full"


@pytest.mark.parametrize("key", [5, "", " ", None])
async def test_data_whose_dedup_key_is_no_text_are_no_native_event(client, log, key):
    await client.post("/v1/events", json={"dedup_key": key, "severity": "info"}, headers=BINARY)
    assert log.events[0].attributes == {"dedup_key": key, "severity": "info"}
