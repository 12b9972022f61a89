"""The shapes of the API that others build on: nothing of them may go."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shared.policy.model.targets import CHANNELS
from tests.api.assembled import DOCUMENT
from tests.api.hosted import BUNDLE, PAGER, Office, problem
from tests.waiting import until

_INCIDENT: Final = {
    "id",
    "integration",
    "dedup_key",
    "title",
    "description",
    "kind",
    "source",
    "severity",
    "labels",
    "attributes",
    "links",
    "status",
    "priority",
    "tier",
    "customer",
    "service",
    "policy",
    "level",
    "round",
    "assignee",
    "waiting_for",
    "reopened",
    "opened_at",
    "acknowledged_at",
    "resolved_at",
    "closed_at",
    "last_event_at",
    "next_due_at",
    "clocks",
    "events",
    "version",
}
_KEY_OF: Final = {"/v1/integrations/{name}": "prometheus"} | {
    path: "genie" for path in DOCUMENT["paths"] if path.startswith("/v2/alerts")
}
_CLOCK: Final = {"target", "state", "goal_seconds", "elapsed_seconds", "due_at", "breached"}


def moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    assert at.utcoffset() == timedelta(0), text
    return at


async def test_an_incident_has_every_field_and_what_was_sent_as_it_was_sent(office: Office) -> None:
    sent = {
        "title": "Checkout is slow – ünïcödé 😀",
        "description": "since noon",
        "kind": "incident",
        "source": "lb-1",
        "severity": "error",
        "customer": "acme",
        "service": "checkout",
        "labels": {"zone": "a"},
        "attributes": {"count": 3, "big": 2**53 + 1, "share": 0.5, "none": None, "list": [1, "x"]},
        "links": [{"href": "https://grafana.example/d/1", "text": "graph"}],
    }
    found = await office.opened("whole", **sent)
    shown = (await office.get(f"/v1/incidents/{found['id']}")).json()
    assert set(shown) >= _INCIDENT
    assert {name: shown[name] for name in sent} == sent
    assert type(shown["attributes"]["count"]) is int
    assert (shown["integration"], shown["dedup_key"]) == ("scripts", "whole")
    assert (shown["status"], shown["priority"], shown["tier"]) == ("triggered", 2, "gold")
    assert (shown["policy"], shown["level"], shown["round"]) == ("main", "desk", 1)
    assert (shown["assignee"], shown["waiting_for"], shown["reopened"], shown["events"]) == ("", "", 0, 1)
    assert (shown["acknowledged_at"], shown["resolved_at"], shown["closed_at"]) == (None, None, None)
    assert moment(shown["next_due_at"]) > moment(shown["opened_at"])


async def test_a_clock_has_its_target_its_state_and_its_times(office: Office) -> None:
    clocks = (await office.opened("clocks"))["clocks"]
    by_target = {clock["target"]: clock for clock in clocks}
    assert set(by_target) == {"acknowledge", "resolve"}
    for clock in clocks:
        assert set(clock) >= _CLOCK
        assert (clock["state"], clock["breached"]) == ("running", False)
        assert moment(clock["due_at"]) > datetime(2026, 1, 1, tzinfo=UTC)
    assert by_target["acknowledge"]["goal_seconds"] == 300
    assert 0 <= by_target["resolve"]["elapsed_seconds"] < 60


async def test_acting_answers_the_incident_as_it_is_then(office: Office) -> None:
    found = await office.opened("acting")
    taken = (await office.act(found["id"], "acknowledge", note="mine")).json()
    assert set(taken) >= _INCIDENT
    assert (taken["status"], taken["assignee"]) == ("acknowledged", "ana")
    assert taken["version"] > found["version"]
    assert moment(taken["acknowledged_at"]) >= moment(taken["opened_at"])
    assert (await office.get(f"/v1/incidents/{found['id']}")).json()["version"] == taken["version"]
    solved = (await office.act(found["id"], "resolve")).json()
    assert solved["status"] == "resolved"
    assert solved["resolved_at"] is not None


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (
            {"action": "escalate", "level": "experts", "because": "expertise", "note": "beyond me"},
            {"level": "experts"},
        ),
        ({"action": "note", "text": "looked at it"}, {}),
        ({"action": "update", "text": "We are on it."}, {}),
    ],
)
async def test_every_action_takes_its_arguments(
    office: Office, body: dict[str, Any], changes: dict[str, Any]
) -> None:
    found = await office.opened(f"argument-{body['action']}")
    answer = await office.ask("POST", f"/v1/incidents/{found['id']}/actions", "ana", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() | changes == answer.json()


async def test_an_impossible_action_is_a_conflict_that_says_why_and_what_is_possible(office: Office) -> None:
    found = await office.opened("impossible")
    await office.act(found["id"], "acknowledge")
    taken = problem(
        await office.act(found["id"], "acknowledge", key="lead", assignee="petra"), 409, "conflict"
    )
    assert "Ana Novak" in taken["detail"]
    assert set(taken["possible"]) >= {"resolve", "escalate", "note", "update"}
    await office.act(found["id"], "resolve")
    over = problem(await office.act(found["id"], "resolve"), 409, "conflict")
    assert "resolved already" in over["detail"]
    assert "note" in over["possible"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "fly"}, "/action"),
        ({"action": "escalate", "level": "nowhere"}, "/action"),
        ({"action": "note", "text": "x", "colour": "red"}, "/colour"),
        ({"note": "x"}, "/action"),
        ({"action": 7}, "/action"),
        ([], "/"),
    ],
)
async def test_an_action_that_makes_no_sense_is_refused_by_field(
    office: Office, body: Any, field: str
) -> None:
    found = await office.opened("no-sense")
    answer = await office.ask("POST", f"/v1/incidents/{found['id']}/actions", "ana", json=body)
    refused = problem(answer, 422, "invalid-request")
    assert [error["field"] for error in refused["errors"]] == [field]
    assert all(error["reason"] for error in refused["errors"])


async def test_the_same_idempotency_key_gets_the_same_answer_and_acts_once(office: Office) -> None:
    found = await office.opened("once")
    path, headers = f"/v1/incidents/{found['id']}/actions", {"Idempotency-Key": "once-1"}
    body = {"action": "note", "text": "only once"}
    answers = [await office.ask("POST", path, "ana", json=body, headers=headers) for _ in range(3)]
    assert {answer.text for answer in answers} == {answers[0].text}
    items = (await office.get(f"/v1/incidents/{found['id']}/timeline")).json()["items"]
    assert sum(item["text"] == "only once" for item in items) == 1
    other = await office.ask("POST", path, "ana", json=body | {"text": "other"}, headers=headers)
    problem(other, 422, "idempotency-key-reused")


async def test_a_list_is_pages_that_follow_each_other_and_every_filter_narrows_it(office: Office) -> None:
    for number in range(5):
        await office.opened(
            f"list-{number}", service="checkout", severity=("critical", "warning")[number % 2]
        )
    seen: list[str] = []
    query: dict[str, Any] = {"q": "list-", "limit": 2}
    while True:
        page = (await office.get("/v1/incidents", **query)).json()
        assert set(page) == {"items", "next", "partial"}
        seen += [item["dedup_key"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [f"list-{number}" for number in reversed(range(5))]
    pressing = (await office.get("/v1/incidents", q="list-", sort="pressing")).json()["items"]
    assert [item["priority"] for item in pressing] == [1, 1, 1, 3, 3]
    for narrowed, names in [
        ({"dedup_key": "list-1"}, ["list-1"]),
        ({"priority": 1, "q": "list-"}, ["list-4", "list-2", "list-0"]),
        ({"priority": [1, 3], "q": "list-", "limit": 2}, ["list-4", "list-3"]),
        ({"integration": "pager", "q": "list-"}, []),
        ({"customer": "acme", "q": "list-"}, []),
        ({"service": "checkout", "q": "list-3"}, ["list-3"]),
        ({"assignee": "petra", "q": "list-"}, []),
        ({"status": ["resolved", "closed"], "q": "list-"}, []),
        ({"status": ["triggered", "resolved"], "q": "list-0"}, ["list-0"]),
    ]:
        items = (await office.get("/v1/incidents", **narrowed)).json()["items"]
        assert [item["dedup_key"] for item in items] == names, narrowed


async def test_the_timeline_says_when_what_who_and_why(office: Office) -> None:
    found = await office.opened("timeline", severity="critical")
    await office.act(found["id"], "note", text="looked at it")
    page = (await office.get(f"/v1/incidents/{found['id']}/timeline")).json()
    assert set(page) == {"items", "next"}
    for item in page["items"]:
        assert set(item) >= {"at", "kind", "actor", "text", "reason"}
        assert item["text"]
        moment(item["at"])
    assert [item["at"] for item in page["items"]] == sorted(item["at"] for item in page["items"])
    assert ("looked at it", "user:ana") in {(item["text"], item["actor"]) for item in page["items"]}
    assert all(item["reason"]["rule"] for item in page["items"] if item["reason"])
    two = (await office.get(f"/v1/incidents/{found['id']}/timeline", limit=2)).json()
    rest = (await office.get(f"/v1/incidents/{found['id']}/timeline", cursor=two["next"])).json()
    assert two["items"] + rest["items"] == page["items"]


async def test_an_explanation_has_a_past_with_reasons_a_future_and_the_policy(office: Office) -> None:
    found = await office.opened("explain")
    explained = (await office.get(f"/v1/incidents/{found['id']}/explain")).json()
    assert set(explained) == {"past", "next", "policy"}
    because = [step["because"] for step in explained["past"] if step["because"]]
    assert all(set(step) >= {"at", "what", "because"} for step in explained["past"])
    assert all("rule" in reason for reason in because)
    assert any({"rule", "expression", "values", "instead_of"} & set(reason) > {"rule"} for reason in because)
    assert all(set(step) == {"at", "what", "unless"} for step in explained["next"])
    assert [step["at"] for step in explained["next"]] == sorted(step["at"] for step in explained["next"])
    assert explained["next"][0]["at"] == found["next_due_at"]
    policy = (await office.get("/v1/policy")).json()
    assert explained["policy"] == {"name": "main", "hash": policy["hash"]}


async def test_on_call_says_who_until_when_by_which_layer_and_who_follows(office: Office) -> None:
    answer = (await office.get("/v1/oncall", at="2026-01-07T12:00:00+01:00")).json()
    (item,) = answer["items"]
    assert set(item) >= {"schedule", "user", "until", "layer", "next"}
    assert (item["schedule"], item["user"], item["layer"]) == ("desk", "ana", "weekly")
    assert item["next"] == {"user": "petra", "from": "2026-01-12T07:00:00Z"}
    (now,) = (await office.get("/v1/oncall")).json()["items"]
    assert now["user"] in {"ana", "petra"}


async def test_an_inbox_shows_messages_newest_first(office: Office) -> None:
    found = await office.opened("inbox", title="The box is full")
    message = await office.paged(found["id"])
    assert message is not None
    assert message["event"] == "page"
    assert "The box is full" in message["title"]
    assert message["reason"]
    assert message["links"]["acknowledge"].startswith(f"{office.url}/v1/replies/link/")
    items = (await office.get("/v1/inbox/ana", "ana", limit=500)).json()["items"]
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)
    page = (await office.get("/v1/inbox/ana", "ana", limit=1)).json()
    following = (await office.get("/v1/inbox/ana", "ana", limit=1, cursor=page["next"])).json()
    assert [page["items"][0]["id"], following["items"][0]["id"]] == [item["id"] for item in items[:2]]
    assert (await office.get("/v1/inbox/nobody", "responder")).json() == {"items": [], "next": None}


async def test_every_channel_says_whether_it_can_be_sent_and_what_is_missing(office: Office) -> None:
    found = {one["channel"]: one for one in (await office.get("/v1/channels")).json()["items"]}
    assert found.keys() == set(CHANNELS)
    assert (found["inbox"]["sends"], found["inbox"]["missing"]) == ("all", "")
    assert (found["email"]["sends"], found["email"]["missing"]) == ("nothing", "LADDER_SMTP_URL is not set")
    assert (found["ntfy"]["sends"], found["ntfy"]["missing"]) == ("urls", "LADDER_NTFY_URL is not set")


async def test_deliveries_say_what_became_of_each_message(office: Office) -> None:
    found = await office.opened("deliveries")

    async def delivered() -> dict[str, Any] | None:
        items = (await office.get("/v1/deliveries", incident=found["id"], state="delivered")).json()["items"]
        return items[0] if items else None

    delivery = await until(delivered)
    assert delivery == (await office.get(f"/v1/deliveries/{delivery['id']}")).json()
    assert (delivery["recipient"], delivery["channel"], delivery["attempts"]) == ("ana", "inbox", 1)
    message = await office.paged(found["id"])
    assert message is not None
    assert delivery["page_id"] == message["page_id"]
    assert "address" not in delivery
    assert (await office.get("/v1/deliveries", page=delivery["page_id"])).json()["items"] == [delivery]
    unknown = await office.get("/v1/deliveries/6f1c7a52-4f0e-4e0c-9f5e-4b8e4f8f0a11")
    problem(unknown, 404, "not-found")
    assert (await office.get("/v1/deliveries/endpoints")).json() == {"items": [], "next": None}


async def test_a_bundle_with_errors_is_refused_with_every_place_and_nothing_changes(office: Office) -> None:
    before = (await office.get("/v1/policy")).json()
    assert set(before) >= {"hash", "revision", "at", "source", "not_in_force"}
    yaml = b"version: 1\nlast_resort: [user:nobody]\npolicy: {}\nroutes: [{when: 'tier ==', policy: main}]\n"
    for kind in ("application/yaml", "application/json"):
        answer = await office.ask("PUT", "/v1/policy", content=yaml, headers={"Content-Type": kind})
        refused = problem(answer, 422, "policy-refused")
        errors = refused["errors"]
        assert len(errors) > 2
        for error in errors:
            assert set(error) >= {"field", "reason", "file", "line", "column", "path"}
        assert ("last_resort[0]", 2) in {(error["path"], error["line"]) for error in errors}
        assert any(error["line"] == 4 and error["column"] > 1 for error in errors)
    assert (await office.get("/v1/policy")).json() == before


async def test_a_good_bundle_in_json_or_yaml_is_in_force_at_once(office: Office) -> None:
    before = (await office.get("/v1/policy")).json()
    changed = BUNDLE | {"users": BUNDLE["users"] | {"emil": {"name": "Emil 😀", "contacts": {}}}}
    put = await office.ask("PUT", "/v1/policy", content=json.dumps(changed).encode())
    assert put.status_code == 200, put.text
    assert put.json()["hash"] != before["hash"]
    assert put.json()["revision"] > before["revision"]
    assert put.json()["changes"] == ["user emil added"]
    shown = (await office.get("/v1/policy")).json()
    answered = {name: value for name, value in put.json().items() if name != "changes"}
    assert shown | {"findings": []} == answered | {"findings": []}
    findings = put.json()["findings"]  # where they stand is known of the body alone
    assert "L111" in {each["code"] for each in findings}  # emil has no contact
    assert shown["findings"] == [each | {"file": "", "line": 0, "column": 0} for each in findings]
    back = await office.ask(
        "PUT", "/v1/policy", content=json.dumps(BUNDLE, ensure_ascii=False, indent=1).encode()
    )
    assert back.json()["hash"] == before["hash"]


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, operations in DOCUMENT["paths"].items()
        if path.startswith(("/v1/events", "/v2/", "/v1/integ", "/v1/heartbeats/")) and "post" in operations
    ],
)
async def test_what_the_document_shows_to_post_is_accepted(office: Office, path: str) -> None:
    shown = DOCUMENT["paths"][path]["post"].get("requestBody", {"content": {"application/json": {}}})
    body = shown["content"].get("application/json", {}).get("example", {})
    if "routing_key" in body:
        body = body | {"routing_key": PAGER}
    key = "" if "routing_key" in body or "{key}" in path else _KEY_OF.get(path, "scripts")
    names = {"name": "backup" if "heartbeats" in path else "prometheus", "key": "prometheus"}
    names |= {"identifier": "4711", "verb": "acknowledge", "signal": "0"}
    query = {"identifierType": "alias"} if "{identifier}" in path else {}
    posted = await office.ask("POST", path.format(**names), key, json=body, params=query)
    assert posted.status_code == 202, posted.text
