"""The router's paths over HTTP, with a real database behind them."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.clock import utcnow
from shared.policy import content_hash, dump_json
from shared.security.demo_keys import DEMO_KEY
from shared.security.keys import digest
from tests.domain.tale import bundle, ladder
from tests.services.router.api import SIGNER, Api, api_of, keys
from tests.services.router.desk import Desk, event
from tests.waiting import until


async def test_an_incident_shows_what_was_sent_and_where_it_stands(served: Api) -> None:
    incident_id = await served.opened(
        customer="acme", service="checkout", attributes={"count": 3, "share": 0.5}
    )
    shown = (await served.get(f"/v1/incidents/{incident_id}")).json()
    assert shown["id"] == incident_id
    assert (shown["status"], shown["level"], shown["tier"], shown["customer"]) == (
        "triggered",
        "desk",
        "gold",
        "acme",
    )
    assert shown["attributes"] == {"count": 3, "share": 0.5}
    assert shown["next_due_at"] is not None
    assert shown["assignee"] == ""


@pytest.mark.parametrize("incident_id", ["nope", "42", "0b0e7d8e-5f0c-4b53-9d5c-3a1f0a6c2f11"])
@pytest.mark.parametrize("path", ["", "/timeline", "/explain"])
async def test_an_id_that_names_nothing_is_not_found(served: Api, incident_id: str, path: str) -> None:
    answer = await served.get(f"/v1/incidents/{incident_id}{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await served.act(incident_id, "acknowledge")).status_code == 404


@pytest.mark.parametrize("key", ["", "wrong", "old", "VIEWER"])
async def test_without_a_valid_key_nothing_is_shown(served: Api, key: str) -> None:
    answer = await served.get("/v1/incidents", key=key)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:ladder:problem:unauthorized"


@pytest.mark.parametrize(("listen", "status"), [("127.0.0.1:0", 200), ("0.0.0.0:0", 401), (":8080", 401)])
async def test_the_demo_key_opens_nothing_where_others_reach_it(desk: Desk, listen: str, status: int) -> None:
    demo = {"demo": {"keys": [{"sha256": digest(DEMO_KEY)}], "role": "admin"}}
    async with api_of(desk, keys() | demo, listen=listen) as served:
        assert (await served.get("/v1/incidents", key=DEMO_KEY)).status_code == status
        assert (await served.get("/v1/incidents", key="viewer")).status_code == 200


@pytest.mark.parametrize(
    ("key", "status"), [("viewer", 403), ("responder", 200), ("lead", 200), ("admin", 200), ("ana", 200)]
)
async def test_a_viewer_reads_and_a_responder_acts(served: Api, key: str, status: int) -> None:
    incident_id = await served.opened()
    assert (await served.get(f"/v1/incidents/{incident_id}", key=key)).status_code == 200
    answer = await served.act(incident_id, "acknowledge", key=key)
    assert answer.status_code == status, answer.text


async def test_acknowledging_answers_the_incident_and_calls_the_pages_off(served: Api) -> None:
    incident_id = await served.opened()
    shown = (await served.act(incident_id, "acknowledge")).json()
    assert (shown["status"], shown["assignee"]) == ("acknowledged", "ana")
    last = (await served.desk.messages())[-1]
    assert last.settled is not None
    assert last.incident.version == shown["version"]


async def test_an_impossible_action_says_why_and_what_is_possible(served: Api) -> None:
    incident_id = await served.opened()
    await served.act(incident_id, "resolve")
    refused = await served.act(incident_id, "acknowledge")
    assert refused.status_code == 409
    assert "resolved already" in refused.json()["detail"]
    assert refused.json()["possible"] == ["reopen", "confirm", "refuse", "note", "update", "subscribe"]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "fly"},
        {},
        {"action": "note"},
        {"action": "note", "text": "x\u0000y"},
        {"action": "note", "text": "x", "colour": "red"},
        {"action": "escalate", "level": "nowhere"},
        {"action": "escalate", "because": "boredom"},  # what is missing is expertise or authority
        {"action": "note", "text": "y" * 20_000},
    ],
)
async def test_an_action_that_makes_no_sense_is_refused(served: Api, body: dict[str, Any]) -> None:
    incident_id = await served.opened()
    before = await served.desk.only()
    headers = {"Authorization": "Bearer ana"}
    answer = await served.client.post(f"/v1/incidents/{incident_id}/actions", json=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await served.desk.only() == before


async def test_the_same_idempotency_key_acts_once(served: Api) -> None:
    incident_id = await served.opened()
    first = await served.act(incident_id, "note", idempotency="k1", text="looking at it")
    again = await served.act(incident_id, "note", idempotency="k1", text="looking at it")
    assert again.json() == first.json()
    notes = [row for row in await served.desk.sql("SELECT kind FROM router.timeline") if row.kind == "note"]
    assert len(notes) == 1


async def test_an_idempotency_key_belongs_to_one_request(served: Api) -> None:
    incident_id = await served.opened()
    await served.act(incident_id, "note", idempotency="k1", text="one")
    other = await served.act(incident_id, "note", idempotency="k1", text="two")
    assert other.status_code == 422
    assert other.json()["type"] == "urn:ladder:problem:idempotency-key-reused"
    assert (await served.act(incident_id, "note", key="bot", idempotency="k1", text="one")).status_code == 200


async def test_a_refused_action_leaves_its_idempotency_key_free(served: Api) -> None:
    incident_id = await served.opened()
    assert (await served.act(incident_id, "note", idempotency="k1")).status_code == 422
    assert (await served.act(incident_id, "note", idempotency="k1", text="now")).status_code == 200


async def test_the_timeline_gives_each_step_with_its_reason_page_by_page(served: Api) -> None:
    incident_id = await served.opened()
    for number in range(4):
        await served.act(incident_id, "note", text=f"note {number}")
    path, cursor, seen = f"/v1/incidents/{incident_id}/timeline", None, []
    while True:
        answer = (await served.get(path, limit=2, **({"cursor": cursor} if cursor else {}))).json()
        seen += answer["items"]
        cursor = answer["next"]
        if cursor is None:
            break
    assert seen == (await served.get(path)).json()["items"]
    assert [item["text"] for item in seen if item["kind"] == "note"] == [
        f"note {number}" for number in range(4)
    ]
    assert seen[0]["kind"] == "opened"
    assert "rule" in seen[0]["reason"]


async def test_an_explanation_tells_the_past_with_reasons_and_what_comes_next(served: Api) -> None:
    incident_id = await served.opened()
    explained = (await served.get(f"/v1/incidents/{incident_id}/explain")).json()
    assert explained["policy"] == {"name": "main", "hash": (await served.desk.only()).policy_hash}
    assert any(step["because"] for step in explained["past"])
    due = (await served.desk.only()).next_due_at
    assert due is not None
    assert datetime.fromisoformat(explained["next"][0]["at"]) == due
    assert "petra" in explained["next"][0]["what"].lower()
    assert explained["next"][0]["unless"]


async def test_what_an_explanation_foretells_is_what_happens(served: Api) -> None:
    quick = ladder(levels=[{"name": "desk", "notify": ["user:ana"], "acknowledge_within": "1s"}])
    await served.desk.put_in_force(bundle(api_keys=keys(), policies={"main": quick}))
    incident_id = await served.opened()
    foretold = (await served.get(f"/v1/incidents/{incident_id}/explain")).json()["next"][0]
    await until(served.desk.engine.fire)
    told = [row.text for row in await served.desk.sql("SELECT text FROM router.timeline ORDER BY seq")]
    assert foretold["what"] in told


async def test_lists_are_narrowed_by_every_filter(served: Api) -> None:
    await served.opened("a", customer="acme", service="checkout", title="Checkout is slow")
    await served.opened("b", severity="info", title="Disk 100%_full")
    await served.act(await served.opened("c"), "acknowledge")
    for query, keys_found in [
        ({}, ["c", "b", "a"]),
        ({"status": "acknowledged"}, ["c"]),
        ({"status": ["triggered", "acknowledged"]}, ["c", "b", "a"]),
        ({"status": "closed"}, []),
        ({"customer": "acme"}, ["a"]),
        ({"service": "checkout"}, ["a"]),
        ({"assignee": "ana"}, ["c"]),
        ({"dedup_key": "b"}, ["b"]),
        ({"integration": "other"}, []),
        ({"priority": 4}, ["b"]),
        ({"q": "SLOW"}, ["a"]),
        ({"q": "100%_"}, ["b"]),  # % and _ are letters here
        ({"q": "%"}, ["b"]),
    ]:
        assert [item["dedup_key"] for item in await served.items(**query)] == keys_found, query


async def test_the_most_pressing_come_first(served: Api) -> None:
    """Priority, then the time to the first breach, then what the customer is worth."""
    slas = [{"name": "slow", "when": "title == 'slow'", "resolve": "3d"}, {"name": "quick", "resolve": "1h"}]
    await served.desk.put_in_force(bundle(api_keys=keys(), slas=slas))
    await served.opened("late", severity="error", title="slow")
    await served.opened("low", severity="info")
    await served.opened("soon", severity="error")
    await served.opened("top", severity="critical", title="slow")
    order = [item["dedup_key"] for item in await served.items(sort="pressing")]
    assert order == ["top", "soon", "late", "low"]


@pytest.mark.parametrize("sort", ["newest", "pressing"])
async def test_cursors_walk_through_everything_once(served: Api, sort: str) -> None:
    await served.desk.accept(
        *(event(f"k{number}", severity=["error", "info"][number % 2]) for number in range(11))
    )
    whole = [item["id"] for item in await served.items(sort=sort)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"sort": sort, "limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = (await served.get("/v1/incidents", **query)).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert seen == whole
    assert len(set(seen)) == 11


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 501},
        {"cursor": "x"},
        {"cursor": "W10"},
        {"cursor": "WyJuZXdlc3QiLCAxLCAyXQ"},
        {"status": "lost"},
        {"priority": 6},
        {"sort": "best"},
        {"q": "a\x00b"},
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(served: Api, query: dict[str, Any]) -> None:
    answer = await served.get("/v1/incidents", **query)
    assert answer.status_code == 422, answer.text


async def test_on_call_says_who_until_when_and_who_follows(served: Api) -> None:
    (item,) = (await served.get("/v1/oncall", at="2026-01-07T12:00:00Z")).json()["items"]
    assert (item["schedule"], item["user"], item["next"]["user"]) == ("desk", "ana", "petra")
    assert item["until"] == item["next"]["from"] == "2026-01-12T07:00:00Z"
    before = (await served.get("/v1/oncall", at="2025-12-01T12:00:00Z")).json()["items"][0]
    assert before["user"] == ""
    for odd in ("yesterday", "2026-01-07T12:00:00", "9999-12-31T23:59:59Z"):
        assert (await served.get("/v1/oncall", at=odd)).status_code in {200, 422}


async def test_a_policy_is_replaced_by_an_admin_only(served: Api) -> None:
    body = b'{"version": 1}'
    for key, status in [("lead", 403), ("admin", 422)]:
        answer = await served.client.put(
            "/v1/policy", content=body, headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == status


async def test_a_bundle_with_errors_is_refused_with_their_places(served: Api) -> None:
    before = (await served.get("/v1/policy")).json()
    yaml = (
        b"version: 1\nlast_resort: [user:nobody]\npolicies: {main: {levels: [{name: a, notify: [user:x]}]}}\n"
    )
    answer = await served.client.put("/v1/policy", content=yaml, headers={"Authorization": "Bearer admin"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:ladder:problem:policy-refused"
    assert {error["file"] for error in problem["errors"]} == {"bundle.yaml"}
    assert any((error["line"], error["path"]) == (2, "last_resort[0]") for error in problem["errors"])
    assert (await served.get("/v1/policy")).json() == before


async def test_a_good_bundle_is_in_force_at_once_and_published(served: Api) -> None:
    changed = bundle(api_keys=keys(), last_resort=["user:petra"])
    answer = await served.client.put(
        "/v1/policy", content=dump_json(changed), headers={"Authorization": "Bearer admin"}
    )
    assert answer.status_code == 200, answer.text
    status = answer.json()
    assert (status["hash"], status["source"], status["by"]) == (content_hash(changed), "api", "api:admin")
    assert status["changes"] == [
        "schedule desk removed",
        "last_resort: user:petra added, user:karel removed",
    ]
    assert (await served.get("/v1/policy")).json()["hash"] == status["hash"]
    rows = await served.desk.sql("SELECT key FROM router.outbox WHERE topic = 'ladder.policy'")
    assert [row.key for row in rows] == [b"bundle"]


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("lead", "(now api_keys.admin) has the role lead there"),
        (None, "(now api_keys.admin) is not among its api_keys"),
    ],
)
async def test_a_policy_that_would_lock_out_whoever_applies_it_is_refused_unless_they_insist(
    served: Api, role: str | None, why: str
) -> None:
    before = (await served.get("/v1/policy")).json()
    left = {name: key for name, key in keys().items() if role or name != "admin"}
    if role:
        left["admin"] = left["admin"] | {"role": role}
    body, key = dump_json(bundle(api_keys=left)), {"Authorization": "Bearer admin"}
    refused = await served.client.put("/v1/policy", content=body, headers=key)
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["type"], problem["role"]) == ("urn:ladder:problem:would-lock-out", role)
    assert why in problem["detail"]
    assert "--force" in problem["detail"]
    assert (await served.get("/v1/policy")).json() == before

    insisted = await served.client.put("/v1/policy?force=true", content=body, headers=key)
    assert insisted.status_code == 200
    again = await served.client.put("/v1/policy?force=true", content=body, headers=key)
    assert again.status_code == (403 if role else 401)


def link(
    incident: str, page: str = "p", user: str = "ana", expires: datetime | None = None, **more: str
) -> str:
    claims = {"incident": incident, "page": page, "user": user, "action": "acknowledge"} | more
    return "/v1/replies/link/" + SIGNER.sign("reply", claims, expires or utcnow() + timedelta(days=1))


async def test_the_button_of_a_message_hands_it_up_once_and_only_while_its_page_counts(served: Api) -> None:
    incident_id = await served.opened()
    (page,) = await served.desk.pages()

    async def pressed(page_id: str, user: str = "ana", **more: str) -> tuple[int, str]:
        answer = await served.client.post(link(incident_id, page_id, user, action="escalate", **more))
        return answer.status_code, (await served.get(f"/v1/incidents/{incident_id}")).json()["level"]

    assert await pressed("another page") == (409, "desk")
    assert await pressed(page.page_id, "petra") == (409, "desk")  # who is not asked by this page
    assert await pressed(page.page_id, "") == (409, "desk")
    for _ in range(2):  # a phone tries again when it heard no answer
        assert await pressed(page.page_id) == (200, "experts")
    assert await pressed(page.page_id, why="by another message") == (409, "experts")


async def test_opening_a_link_shows_a_button_and_changes_nothing(served: Api) -> None:
    incident_id = await served.opened(title="<script>alert(1)</script>")
    before = await served.desk.only()
    for _ in range(2):
        answer = await served.client.get(link(incident_id))
        assert answer.status_code == 200
        assert '<form method="post"' in answer.text
        assert "<script>" not in answer.text
    assert await served.desk.only() == before


async def test_pressing_the_button_takes_it_for_the_person_who_was_paged(served: Api) -> None:
    incident_id = await served.opened()
    (page,) = await served.desk.pages()
    answer = await served.client.post(link(incident_id, page.page_id))
    assert answer.status_code == 200
    assert "Ana" in answer.text
    incident = await served.desk.only()
    assert (incident.status, incident.assignee) == ("acknowledged", "ana")


async def test_a_link_answers_kindly_when_there_is_nothing_left_to_do(served: Api) -> None:
    incident_id = await served.opened()
    await served.act(incident_id, "acknowledge")
    other = await served.client.post(link(incident_id, user="petra"))
    assert (other.status_code, "taken already, by Ana" in other.text) == (409, True)
    assert (
        await served.client.post(link(incident_id))
    ).status_code == 200  # she has it: that is what she asked for
    await served.act(incident_id, "resolve")
    shown = await served.client.get(link(incident_id))
    assert "resolved already" in shown.text
    assert "<form" not in shown.text
    assert (await served.client.post(link(incident_id))).status_code == 409


async def test_a_broken_or_old_link_does_nothing(served: Api) -> None:
    incident_id = await served.opened()
    before = await served.desk.only()
    good = link(incident_id)
    for bad in (
        good[:-3] + "AAA",
        "/v1/replies/link/x",
        link(incident_id, expires=datetime(2026, 1, 1, tzinfo=UTC)),
        link(str(uuid.uuid4())),
        link("no uuid"),
        link(incident_id, action="delete"),
    ):
        for answer in (await served.client.get(bad), await served.client.post(bad)):
            assert answer.status_code == 404
            assert answer.headers["content-type"].startswith("text/html")
    assert await served.desk.only() == before


async def test_openapi_names_only_shapes_that_exist(served: Api) -> None:
    document = (await served.client.get("/openapi.json")).json()
    assert "/v1/incidents/{incident_id}/actions" in document["paths"]
    known = set(document["components"]["schemas"])
    text = str(document)
    named = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= known


async def test_a_database_that_is_away_is_a_503_to_try_again(served: Api) -> None:
    await served.desk.sql("ALTER SCHEMA router RENAME TO away")
    answer = await served.get("/v1/incidents")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
