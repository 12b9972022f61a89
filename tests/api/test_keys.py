"""Who may ask for what: every operation that needs a key, without one, with an old one, with too small a role."""

import asyncio
import re
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.api.assembled import DOCUMENT
from tests.api.hosted import ROLES, Office, problem

_SECURED: Final = [
    (method.upper(), path)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if operation.get("security")
    and not path.startswith(("/v2/alerts", "/v2/heartbeats"))  # have words of their own
]
_INTAKES: Final = ("/v1/integrations", "/v1/events", "/v1/heartbeats/")
_KEYED: Final = [(method, path) for method, path in _SECURED if not path.startswith(_INTAKES)]
_INBOX: Final = "/v1/inbox/{user}"
_AN_ID: Final = "6f1c7a52-4f0e-4e0c-9f5e-4b8e4f8f0a11"
_WRITES: Final = {
    ("PUT", "/v1/policy"): "admin",
    ("POST", "/v1/policy/try"): "responder",  # it shows what a viewer may read, and costs work
    ("POST", "/v1/policy/check"): "lead",
    ("DELETE", "/v1/deliveries/endpoints"): "admin",
    ("POST", "/v1/deliveries/{delivery_id}/retry"): "responder",
    ("POST", "/v1/overrides"): "lead",
    ("DELETE", "/v1/overrides/{override_id}"): "lead",
    ("POST", "/v1/silences"): "lead",
    ("DELETE", "/v1/silences/{silence_id}"): "lead",
    ("POST", "/v1/maintenance"): "lead",
    ("DELETE", "/v1/maintenance/{maintenance_id}"): "lead",
    ("DELETE", "/v1/unsubscribed/{unsubscribed_id}"): "lead",
    ("POST", "/v1/customers/import"): "lead",
    ("PUT", "/v1/customers/{customer_id}"): "lead",
    ("DELETE", "/v1/customers/{customer_id}"): "lead",
    ("POST", "/v1/dead-letters/{letter_id}/replay"): "admin",
    ("POST", "/v1/dead-letters/{letter_id}/dismiss"): "admin",
    ("POST", "/v1/schedules/{name}/feed"): "viewer",  # it opens nothing that a viewer may not read
    ("POST", "/v1/users/{name}/test-page"): "lead",  # one's own is another test's
    ("DELETE", "/v1/users/{name}/test-page"): "lead",
    ("DELETE", "/v1/schedules/{name}/feed"): "viewer",  # one's own; those of others take a lead
}
_READS: Final = {  # of others a viewer reads everything
    "/v1/dead-letters": "lead",
    "/v1/dead-letters/{letter_id}": "admin",  # a record may hold an address that is secret
    _INBOX: "responder",  # of somebody else; a viewer's own is another test's
}
_ACTIONS: Final = {
    "subscribe": "viewer",
    "unsubscribe": "viewer",
    **dict.fromkeys(("acknowledge", "unacknowledge", "assign", "escalate", "snooze", "wait"), "responder"),
    **dict.fromkeys(("resolve", "reopen", "confirm", "refuse", "resume", "set", "decide"), "responder"),
    **dict.fromkeys(("note", "update"), "responder"),
    **dict.fromkeys(("close", "merge", "reapply"), "lead"),
}
_ACTING: Final = ("POST", "/v1/incidents/{incident_id}/actions")  # which role depends on the action


def concrete(path: str) -> str:
    """A path whose names stand for something, where that has no consequences."""
    names = {"{user}": "ana", "{name}": "desk" if "schedules" in path else "scripts"}
    return re.sub(r"\{\w+\}", lambda found: names.get(found[0], _AN_ID), path)


@pytest.mark.parametrize(("method", "path"), _SECURED)
async def test_without_a_valid_key_every_operation_says_the_same(
    office: Office, method: str, path: str
) -> None:
    """Nothing, something wrong, one that has expired, an integration that has expired, the wrong scheme."""
    answers = [
        await office.ask(
            method, concrete(path), key, content=b"{}", headers={"Content-Type": "application/json"}
        )
        for key in (
            "",
            "wrong",
            "old" if (method, path) in _KEYED else "retired",
            "ADMIN",
            "ü",
        )
    ]
    first = problem(answers[0], 401, "unauthorized")
    assert all(problem(answer, 401, "unauthorized") == first for answer in answers)
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        *((method, path, _READS.get(path, "viewer")) for method, path in _KEYED if method == "GET"),
        *((method, path, least) for (method, path), least in _WRITES.items()),
    ],
)
async def test_a_key_may_what_its_role_may_and_no_more(
    office: Office, method: str, path: str, least: str
) -> None:
    for role in ROLES:
        answer = await office.ask(
            method, concrete(path), role, content=b"{" if method == "PUT" else None, params=_needed(path)
        )
        if ROLES.index(role) < ROLES.index(least):
            problem(answer, 403, "forbidden")
        else:
            assert answer.status_code not in {401, 403}, answer.text
            assert answer.status_code < 500


def _needed(path: str) -> dict[str, str]:
    return {"endpoint": "https://nowhere.example/…"} if path.endswith("/endpoints") else {}


async def test_every_operation_is_covered_by_the_tests_of_roles() -> None:
    assert {one for one in _KEYED if one[0] != "GET"} == {*_WRITES, _ACTING}


async def test_each_action_asks_for_the_role_that_the_policy_language_gives_it(office: Office) -> None:
    """Viewers read (and hear, if they wish); responders act; a lead also merges, closes, goes by a new policy."""
    incident = await office.opened("each-action")
    for action, least in _ACTIONS.items():
        for role in ROLES[: ROLES.index(least)]:
            refused = problem(await office.act(incident["id"], action, key=role), 403, "forbidden")
            assert least in refused["detail"], refused
        for role in ROLES[ROLES.index(least) :]:  # of an incident that is none: nothing is done
            answer = await office.act(_AN_ID, action, key=role)
            assert answer.status_code in {404, 422}, answer.text
    document = DOCUMENT["components"]["schemas"]["ActionBody"]["properties"]["action"]["enum"]
    assert set(document) == set(_ACTIONS)


async def test_only_a_lead_makes_an_incident_less_urgent(office: Office) -> None:
    incident = await office.opened("less-urgent")
    lower = min(incident["priority"] + 1, 5)
    refused = problem(
        await office.act(incident["id"], "set", key="responder", priority=lower), 403, "forbidden"
    )
    assert "lead" in refused["detail"]
    assert (await office.act(incident["id"], "set", key="responder", priority=1)).status_code == 200
    lowered = await office.act(incident["id"], "set", key="lead", priority=lower)
    assert lowered.json()["priority"] == lower


async def test_a_viewer_may_do_nothing_to_an_incident_and_a_responder_may(office: Office) -> None:
    incident = await office.opened("roles")
    for action, more in [
        ("acknowledge", {}),
        ("resolve", {}),
        ("note", {"text": "x"}),
        ("update", {"text": "x"}),
    ]:
        problem(await office.act(incident["id"], action, key="viewer", **more), 403, "forbidden")
    shown = (await office.get(f"/v1/incidents/{incident['id']}")).json()
    assert (shown["status"], shown["version"]) == (incident["status"], incident["version"])
    assert (await office.act(incident["id"], "acknowledge", key="responder")).status_code == 200


async def test_an_api_key_may_not_post_and_an_integrations_key_may_not_read(office: Office) -> None:
    problem(await office.ask("POST", "/v1/events", "admin", json={"title": "x"}), 403, "forbidden")
    problem(await office.get("/v1/incidents", key="scripts"), 401, "unauthorized")
    problem(
        await office.ask("POST", "/v1/integrations/prometheus", "scripts", json={"alerts": []}),
        403,
        "forbidden",
    )
    problem(await office.ask("POST", "/v1/integrations/boards", "boards", json={}), 422, "invalid-event")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
async def test_what_a_process_says_of_itself_needs_no_key(office: Office, path: str) -> None:
    answer = await office.get(path, key="")
    assert answer.status_code == 200
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind == {"/metrics": "text/plain", "/docs": "text/html"}.get(path, "application/json")


async def test_health_readiness_and_metrics_have_their_shapes(office: Office) -> None:
    assert (await office.get("/healthz", key="")).json() == {"status": "alive", "reasons": {}}
    assert (await office.get("/readyz", key="")).json() == {"ready": True, "reasons": {}}
    metrics = (await office.get("/metrics", key="")).text
    assert 'ladder_http_requests_total{method="GET",path="/healthz",service="ladder",status="200"}' in metrics
    for name in (
        "ladder_intake_events_accepted_total",
        "ladder_consumer_lag_records",
        "ladder_consumer_lag_seconds",
        "ladder_outbox_oldest_seconds",
        "ladder_timer_late_seconds_count",
        "ladder_timers_overdue",
        "ladder_pages_total",
        "ladder_event_to_first_attempt_seconds_count",
    ):
        assert f"# TYPE {name.removesuffix('_total').removesuffix('_count')}" in metrics


@pytest.mark.parametrize("asks", [b"", b"Expect: 100-continue\r\n"])
async def test_whoever_has_no_key_is_refused_before_a_byte_of_the_body_is_read(
    office: Office, asks: bytes
) -> None:
    """Eight megabytes are announced and none is sent: every operation that needs a key says 401 at once."""
    place = urlsplit(office.url)
    for method, path in _SECURED:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        target = f"{method} {re.sub(r'{[a-z_]+}', '1', path)} HTTP/1.1".encode()
        head = (target, b"Host: ladder", b"Authorization: Bearer wrong", b"Content-Length: 8000000")
        writer.write(b"\r\n".join(head) + b"\r\nContent-Type: application/json\r\n" + asks + b"\r\n")
        async with asyncio.timeout(5):
            line = await reader.readline()
        assert line.split()[1] == b"401", (method, path, line)
        writer.close()
