"""Intake over HTTP: who may post what where, what is answered, and 202 only for what the log acknowledged."""

import asyncio
import base64
import gzip
import json

import httpx2
import pytest
from structlog.testing import capture_logs

from services.intake.app import build
from services.intake.settings import IntakeSettings
from tests.services.intake.fakes import (
    API,
    CRM,
    EXPIRED,
    MAPPED,
    PAGER,
    PROMETHEUS,
    SCRIPTS,
    SHARED,
    FakeLog,
    bearer,
    intake,
    serving,
)
from tests.services.intake.posts import recorded
from tests.waiting import until

MIB = 1024 * 1024
BASIC = {"authorization": "Basic " + base64.b64encode(f"any:{PROMETHEUS}".encode()).decode()}
ENQUEUED = {"event_action": "trigger", "payload": {"summary": "s", "source": "x", "severity": "error"}}
GROUP = {"alerts": [{"status": "firing", "labels": {"alertname": "A"}}]}


def assert_problem(response: httpx2.Response, status: int, kind: str, *fields: str):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["type"], body["status"]) == (f"urn:ladder:problem:{kind}", status)
    assert [error["field"] for error in body.get("errors", [])] == list(fields)
    assert all(error["reason"] for error in body.get("errors", []))


async def test_an_accepted_event_is_on_the_log_when_202_is_answered(client, log):
    response = await client.post("/v1/events", json={"title": "x", "dedup_key": "k"}, headers=bearer(SCRIPTS))
    (event,) = log.events
    assert response.status_code == 202
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"accepted": 1, "events": [{"event_id": event.event_id, "dedup_key": "k"}]}
    (record,) = log.records
    assert record.key == b"scripts:k"
    assert record.headers["ce_type"] == b"dev.ladder.event"
    assert record.headers["ce_id"].decode() == event.event_id


async def test_an_accepted_post_is_one_line_in_the_log_with_its_event_ids(client, log, caplog):
    caplog.set_level("DEBUG")
    with capture_logs() as lines:
        await client.post("/v1/events", json={"title": "Disk full"}, headers=bearer(SCRIPTS))
        await client.post("/v1/events", json=[{"title": "x"}] * 50, headers=bearer(SCRIPTS))
    one, many = [line for line in lines if line.get("action") == "accepted"]
    ids = [event.event_id for event in log.events]
    assert (one["integration"], one["event_id"], one["count"]) == ("scripts", ids[0], 1)
    assert (many["event_ids"], many["count"]) == (ids[1:6], 50)


async def test_arrays_and_lines_are_batches(client, log):
    array = await client.post("/v1/events", json=[{"title": "a"}, {"title": "b"}], headers=bearer(SCRIPTS))
    lines = await client.post(
        "/v1/events",
        content=b'{"title":"c"}\n{"title":"d"}\n',
        headers=bearer(SCRIPTS) | {"content-type": "application/x-ndjson; charset=utf-8"},
    )
    assert (array.json()["accepted"], lines.json()["accepted"]) == (2, 2)
    assert [event.title for event in log.events] == ["a", "b", "c", "d"]


async def test_nothing_of_a_bad_batch_is_published(client, log):
    response = await client.post(
        "/v1/events", json=[{"title": "good"}, {"title": 4}, {}], headers=bearer(SCRIPTS)
    )
    assert_problem(response, 422, "invalid-event", "/1/title", "/2/title")
    assert log.records == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/events", {}, 401),
        ("/v1/events", bearer("wrong"), 401),
        ("/v1/events", bearer(""), 401),
        ("/v1/events", bearer(EXPIRED), 401),
        ("/v1/events", {"authorization": "Basic !!!"}, 401),
        ("/v1/events", {"authorization": b"Bearer \xff\xfe"}, 401),
        ("/v1/events", {"authorization": "bearer " + SCRIPTS}, 202),  # schemes know no case
        ("/v1/events", bearer(SHARED), 202),  # also opens integrations of other kinds
        ("/v1/events", bearer(PROMETHEUS), 403),
        ("/v1/events", bearer(API), 403),
        ("/v1/events?key=" + SCRIPTS, {}, 202),
        ("/v1/integrations/scripts", bearer(SCRIPTS), 202),
        ("/v1/integrations/scripts", bearer(CRM), 403),
        ("/v1/integrations/crm", bearer(CRM), 202),
        ("/v1/integrations/nobody", bearer(SCRIPTS), 403),  # the same whether or not the name exists
        ("/v1/integrations/nobody", bearer("wrong"), 401),
        ("/v1/integrations/nobody", {}, 401),
    ],
)
async def test_who_may_post_native_events(client, log, path, headers, status):
    response = await client.post(path, json={"title": "x"}, headers=headers)
    assert response.status_code == status, response.text
    assert len(log.records) == (status == 202)
    if status == 401:
        assert_problem(response, 401, "unauthorized")
        assert "Bearer" in response.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/integrations/prometheus", bearer(PROMETHEUS), 202),
        ("/v1/integrations/prometheus", BASIC, 202),
        (f"/v1/integrations/prometheus?key={PROMETHEUS}", {}, 202),
        (f"/v1/integrations/prometheus/{PROMETHEUS}", {}, 202),
        ("/v1/integrations/prometheus/wrong", {}, 401),
        ("/v1/integrations/mapped", BASIC, 403),
        ("/v1/integrations/prometheus", {}, 401),
    ],
)
async def test_who_may_post_alerts(client, log, path, headers, status):
    response = await client.post(path, json=GROUP, headers=headers)
    assert response.status_code == status, response.text
    assert len(log.records) == (status == 202)


@pytest.mark.parametrize(
    ("path", "headers", "key"),
    [
        ("/v2/enqueue", {}, PAGER),
        ("/v2/enqueue", {"accept": "application/vnd.pagerduty+json;version=2"}, PAGER),
        ("/v2/enqueue", {"content-type": "application/x-www-form-urlencoded"}, PAGER),
        ("/v2/enqueue", {"x-routing-key": PAGER}, None),
        ("/v1/integrations/pager", {}, PAGER),
        ("/v1/integrations/pager", bearer(PAGER), None),
    ],
)
async def test_who_may_enqueue(client, log, path, headers, key):
    body = ENQUEUED | ({"routing_key": key} if key else {})
    response = await client.post(path, content=json.dumps(body), headers=headers)
    assert response.status_code == 202, response.text
    (event,) = log.events
    assert response.json() == {
        "status": "success",
        "message": "Event processed",
        "dedup_key": event.dedup_key,
    }
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("key", ["wrong", "", None, 7, SCRIPTS])
@pytest.mark.parametrize("path", ["/v2/enqueue", "/v2/change/enqueue", "/v1/integrations/pager"])
async def test_a_wrong_routing_key_is_an_invalid_event(client, log, path, key):
    response = await client.post(path, json=ENQUEUED | {"routing_key": key})
    assert response.status_code == 400
    assert response.json()["status"] == "invalid event"
    assert response.json()["errors"]
    assert log.records == []


async def test_a_change_never_notifies_but_is_recorded(client, log):
    response = await client.post("/v2/change/enqueue", content=recorded("pagerduty_change.json"))
    assert response.json()["message"] == "Change event processed"
    assert [event.action for event in log.events] == ["change"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"routing_key":"\\ud800"}', b"[" * 50_000])
async def test_what_is_no_event_is_invalid_for_pagerduty_clients_too(client, body):
    response = await client.post("/v2/enqueue", content=body)
    assert (response.status_code, response.json()["status"]) == (400, "invalid event")


async def test_a_group_of_alerts_is_taken_whole(client, log):
    body = recorded("alertmanager_firing.json")
    response = await client.post("/v1/integrations/prometheus", content=body, headers=BASIC)
    assert response.json()["accepted"] == 2
    assert [event.action for event in log.events] == ["trigger", "resolve"]


async def test_an_integrations_set_and_map_override_what_was_read(client, log):
    labels = {"alertname": "A", "job": "checkout", "level": "critical"}
    await client.post(
        "/v1/integrations/mapped",
        json={"alerts": [{"labels": labels}, {"labels": {"alertname": "B"}}]},
        headers=bearer(MAPPED),
    )
    full, bare = log.events
    assert (full.service, full.severity, full.source, full.title) == (
        "checkout",
        "critical",
        "prometheus",
        "A",
    )
    assert full.notes[-2:] == (
        "no severity: read as error",
        "the mapping of title gave nothing: nothing named 'annotations' was sent",
    )
    assert (bare.service, bare.severity) == (None, "error")
    assert 'the mapping of severity gave nothing: no field "level" was sent' in bare.notes


async def test_fixed_values_hold_for_native_events_too(client, log):
    await client.post(
        "/v1/events", json={"title": "x", "source": "cron", "labels": {"a": "b"}}, headers=bearer(CRM)
    )
    (event,) = log.events
    assert (event.source, event.labels) == ("crm", {"a": "b", "team": "desk"})


async def test_unknown_kinds_and_services_are_accepted_and_noted(client, log):
    batch = [
        {"title": "x", "kind": "incident", "service": "checkout"},
        {"title": "x", "kind": "flood", "service": "cellar"},
        {"title": "x", "kind": "budget_overrun", "attributes": {"budget": "much"}},
    ]
    await client.post("/v1/events", json=batch, headers=bearer(SCRIPTS))
    assert [event.notes for event in log.events] == [
        (),
        ("service 'cellar' is not in the policy", "kind 'flood' is not in the policy"),
        ("kind 'budget_overrun' should carry attributes.budget (number)",),
    ]


async def test_the_same_idempotency_key_is_the_same_events(client):
    headers = bearer(SCRIPTS) | {"idempotency-key": "post-1"}
    answers = [
        (await client.post("/v1/events", json=[{"title": "a"}, {"title": "b"}], headers=headers)).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    other = await client.post(
        "/v1/events", json=[{"title": "a"}], headers=headers | {"idempotency-key": "post-2"}
    )
    assert other.json()["events"][0] not in answers[0]["events"]
    too_long = await client.post(
        "/v1/events", json={"title": "a"}, headers=headers | {"idempotency-key": "k" * 256}
    )
    assert_problem(too_long, 422, "invalid-header", "Idempotency-Key")


def padded(size: int) -> bytes:
    body = b'{"title":"x","padding":"%s"}'
    return body % (b"x" * (size - len(body) + 2))


async def test_a_body_may_be_a_mebibyte_and_not_a_byte_more(client, log):
    within = await client.post("/v1/events", content=padded(MIB), headers=bearer(SCRIPTS))
    assert within.status_code == 202
    over = await client.post("/v1/events", content=padded(MIB + 1), headers=bearer(SCRIPTS))
    assert_problem(over, 413, "too-large", "body")
    assert len(log.records) == 1


async def test_bodies_without_a_length_are_counted(client, log):
    async def chunks(size: int):
        body = padded(size)
        for start in range(0, size, 100_000):
            yield body[start : start + 100_000]

    within = await client.post("/v1/events", content=chunks(MIB), headers=bearer(SCRIPTS))
    over = await client.post("/v1/events", content=chunks(MIB + 1), headers=bearer(SCRIPTS))
    assert (within.status_code, over.status_code) == (202, 413)


async def test_pagerduty_bodies_may_be_half_a_mebibyte(client):
    def body(size: int) -> bytes:
        event = json.dumps(ENQUEUED | {"routing_key": PAGER, "padding": ""}).encode()
        return event.replace(b'"padding": ""', b'"padding": "%s"' % (b"x" * (size - len(event))))

    assert (await client.post("/v2/enqueue", content=body(512 * 1024))).status_code == 202
    over = await client.post("/v2/enqueue", content=body(512 * 1024 + 1))
    assert over.status_code == 413
    assert over.json()["message"] == "The body is too large"


async def test_compressed_bodies_are_bounded_by_what_they_become(client):
    headers = bearer(SCRIPTS) | {"content-encoding": "gzip"}
    within = await client.post("/v1/events", content=gzip.compress(padded(MIB)), headers=headers)
    assert within.status_code == 202
    bomb = await client.post("/v1/events", content=gzip.compress(b"x" * 50 * MIB), headers=headers)
    assert_problem(bomb, 413, "too-large", "body")
    assert_problem(await client.post("/v1/events", content=b"no", headers=headers), 422, "invalid-body")
    cut = await client.post("/v1/events", content=gzip.compress(padded(500))[:-20], headers=headers)
    assert_problem(cut, 422, "invalid-body")
    brotli = await client.post("/v1/events", content=b"x", headers=headers | {"content-encoding": "br"})
    assert_problem(brotli, 415, "unsupported-encoding", "Content-Encoding")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 202),
        ("application/json; charset=utf-8", 202),
        ("Application/JSON", 202),
        ("application/vnd.acme+json", 202),
        ("text/xml", 415),
        ("multipart/form-data", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
async def test_content_types(client, content_type, status):
    headers = bearer(SCRIPTS) | ({"content-type": content_type} if content_type else {})
    response = await client.post("/v1/events", content=b'{"title":"x"}', headers=headers)
    assert response.status_code == status
    if status == 415:
        assert_problem(response, 415, "unsupported-media-type", "Content-Type")


async def test_while_the_log_is_down_nothing_is_claimed(client, log):
    log.down = True
    native = await client.post("/v1/events", json={"title": "x"}, headers=bearer(SCRIPTS))
    assert_problem(native, 503, "log-unavailable")
    alerts = await client.post("/v1/integrations/prometheus", json=GROUP, headers=BASIC)
    assert_problem(alerts, 503, "log-unavailable")
    enqueued = await client.post("/v2/enqueue", json=ENQUEUED | {"routing_key": PAGER})
    assert enqueued.status_code == 503
    assert enqueued.json()["status"] == "error"
    assert {response.headers["retry-after"] for response in (native, alerts, enqueued)} == {"2"}
    log.down = False
    assert (await client.post("/v1/events", json={"title": "x"}, headers=bearer(SCRIPTS))).status_code == 202


async def test_a_record_larger_than_the_log_takes_is_too_large(client, log):
    log.longest = 100
    assert_problem(
        await client.post("/v1/events", json={"title": "x"}, headers=bearer(SCRIPTS)), 413, "too-large"
    )


async def test_a_slow_log_is_not_buried_under_waiting_bodies():
    log = FakeLog(hold=asyncio.Event())
    async with intake(log, intake_in_flight_bytes=16 * MIB) as client:

        def post():
            return client.post("/v1/events", content=padded(MIB), headers=bearer(SCRIPTS))

        posts = [asyncio.create_task(post()) for _ in range(17)]
        done, waiting = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        assert_problem(done.pop().result(), 503, "log-busy")
        assert len(waiting) == 16
        log.hold.set()
        assert {response.status_code for response in await asyncio.gather(*waiting)} == {202}
        assert (await post()).status_code == 202


async def test_without_a_policy_it_is_unready_and_never_says_that_a_key_is_wrong():
    log = FakeLog(policy=None, wrong_topics=["topic ladder.incidents is missing"])
    service = build(IntakeSettings(), log=log)
    assert "intake: the topics of the event log are not verified yet" in service.unready()
    async with serving(service) as client:
        await until(lambda: "intake: topic ladder.incidents is missing" in service.unready())
        assert "intake: no policy is known yet" in service.unready()
        response = await client.post("/v1/events", json={"title": "x"}, headers=bearer("wrong"))
        assert_problem(response, 503, "no-policy")
        assert response.headers["retry-after"]
        assert (await client.post("/v2/enqueue", json=ENQUEUED)).status_code == 503


async def test_other_methods_are_not_allowed(client):
    response = await client.get("/v2/enqueue")
    assert_problem(response, 405, "method-not-allowed")
