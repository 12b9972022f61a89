"""What every process answers whatever it hosts, shown with two services made up for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ladder.embedded.postgres import free_port
from ladder.processes import HostSettings, hosting
from ladder.serving import listener
from ladder.web.front_page import wants_json
from ladder.web.host import Shown, assemble, measured
from shared.http.problems import Fault, Problem
from shared.policy import load
from shared.security.demo_keys import DEMO_KEY
from shared.service import KnownPolicy, Service
from tests.ladder.running import POLICY


class Order(BaseModel):
    """A body with a whole number in it."""

    count: int


class Hot:
    """A plain ASGI route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"] == b"refuse":
            raise Problem(413, "too-large", "The body is too large", "Send less.", [Fault("/title", "long")])
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send(
            {"type": "http.response.body", "body": scope.get("path_params", {}).get("name", "").encode()}
        )


@asynccontextmanager
async def _running() -> AsyncIterator[None]:
    yield


def _services(*missing: str) -> list[Service]:
    router = APIRouter(prefix="/v1/orders", tags=["orders"])
    inner = APIRouter(prefix="/inner")

    @router.post("/{number}")
    async def order(number: int, body: Order) -> Order:
        return body

    @router.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the password is hunter2")

    @inner.get("/{name}")
    async def nested(name: str) -> str:
        return name

    router.include_router(inner)
    described = {
        "/v1/hot": {"post": {"tags": ["hot"], "summary": "Hot", "responses": {"202": {"description": "ok"}}}}
    }
    fast = Service(
        name="fast",
        api=APIRouter(),
        running=_running,
        unready=lambda: (),
        routes=[Route("/v1/hot", Hot(), methods=["POST"]), Route("/v1/hot/{name}", Hot(), methods=["POST"])],
        openapi_paths=described,
    )
    return [fast, Service(name="slow", api=router, running=_running, unready=lambda: missing)]


def _client(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://ladder")


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with _client(assemble(_services(), loopback=True)) as client:
        yield client


async def test_it_is_ready_when_every_service_is(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": {}})


async def test_not_ready_says_which_service_and_why_and_the_process_is_alive_all_the_same() -> None:
    async with _client(assemble(_services("no policy yet"), loopback=True)) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "reasons": {"slow": ["no policy yet"]}}
        assert (await client.get("/healthz")).status_code == 200


async def test_the_root_says_what_this_is_that_it_is_well_and_where_to_go(client: httpx2.AsyncClient) -> None:
    """A browser gets a page without a script, a program JSON."""
    page = await client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "It is well." in page.text
    assert 'href="/docs"' in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert "style=" not in page.text
    told = await client.get("/", headers={"Accept": "application/json"})
    assert (told.status_code, told.headers["content-type"]) == (200, "application/json")
    assert told.json()["ready"] is True
    assert told.json()["services"] == ["fast", "slow"]
    assert told.json()["links"]["docs"] == "/docs"
    for path in told.json()["links"].values():
        assert (await client.get(path)).status_code == 200
    assert (await client.head("/")).status_code == 200


async def test_the_root_says_what_is_broken_as_readyz_does() -> None:
    async with _client(assemble(_services("no policy <yet>"), loopback=True)) as client:
        page = await client.get("/")
        assert page.status_code == 503
        assert "It is not well." in page.text
        assert "slow: no policy &lt;yet&gt;" in page.text
        assert "No policy is known here" in page.text
        told = await client.get("/", headers={"Accept": "application/json"})
        assert (told.status_code, told.json()["ready"]) == (503, False)
        assert told.json()["reasons"] == (await client.get("/readyz")).json()["reasons"]


@pytest.mark.parametrize(
    ("name", "says", "shows"),
    [
        ("intake", "This is intake: other systems post their events here.", "/v1/events"),
        ("router", "This is the router: it decides who handles what", "ladder apply FILE"),
        ("notifier", "This is the notifier: it reaches people", "/v1/inbox/ana"),
    ],
)
@pytest.mark.parametrize("loopback", [True, False], ids=["here", "anywhere"])
async def test_each_service_alone_says_which_it_is_and_shows_the_demo_key_on_this_machine_only(
    name: str, says: str, shows: str, *, loopback: bool
) -> None:
    known = KnownPolicy("a1b2c3" * 10, 7, load(POLICY))
    one = Service(name=name, api=APIRouter(), running=_running, unready=lambda: (), policy=lambda: known)
    async with _client(assemble([one], loopback=loopback)) as client:
        page = (await client.get("/")).text
    assert says in page
    assert "revision 7" in page
    assert (shows in page) or (name == "notifier" and not loopback)
    assert (DEMO_KEY in page) == (loopback and name != "router")
    assert ("ana" in page) == (loopback and name == "notifier"), "no name of the policy without a key"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("ladder.example:8443", "http://ladder.example:8443/v1/events"),
        ("[::1]:8080", "http://[::1]:8080/v1/events"),
        ("x'; rm -rf ~; echo '", "http://127.0.0.1:8080/v1/events"),  # it would stand in a command
    ],
)
async def test_the_root_shows_commands_for_the_address_that_was_called(host: str, address: str) -> None:
    known = KnownPolicy("a1b2c3" * 10, 7)
    one = Service(name="intake", api=APIRouter(), running=_running, unready=lambda: (), policy=lambda: known)
    async with _client(assemble([one], loopback=True)) as client:
        assert f"curl -s {address} " in (await client.get("/", headers={"Host": host})).text


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("application/json, text/html;q=0.5", True),
        ("text/html, application/json", False),
        ("text/html;q=0, application/json;q=0.1", True),
        ("application/json;q=x", False),
    ],
)
def test_json_is_answered_to_whoever_prefers_it(accept: str, *, json_wanted: bool) -> None:
    assert wants_json(accept) == json_wanted


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("PUT", "/v1/orders/1", 405, "method-not-allowed"),
        ("GET", "/v1/hot", 405, "method-not-allowed"),
        ("POST", "/v1/hot?refuse", 413, "too-large"),
        ("POST", "/v1/orders/x", 422, "invalid-request"),
        ("GET", "/v1/orders/broken", 500, "internal"),
    ],
)
async def test_every_refusal_is_a_problem_document(
    client: httpx2.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await client.request(method, path, json={"count": 1} if method == "POST" else None)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:ladder:problem:{kind}")


async def test_a_body_that_does_not_fit_is_told_by_field_and_reason(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/orders/x", json={"count": "many"})
    fields = {fault["field"] for fault in answer.json()["errors"]}
    assert fields == {"path:number", "/count"}
    assert all(fault["reason"] for fault in answer.json()["errors"])


async def test_a_surprise_says_nothing_of_the_inside(client: httpx2.AsyncClient) -> None:
    assert "hunter2" not in (await client.get("/v1/orders/broken")).text


async def test_hot_routes_answer_with_and_without_a_name_in_their_path(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/v1/hot")).status_code == 202
    assert (await client.post("/v1/hot/alertmanager")).text == "alertmanager"


async def test_requests_are_counted_by_service_and_declared_path_and_never_by_id(
    client: httpx2.AsyncClient,
) -> None:
    await client.post("/v1/hot/some-name")
    await client.get("/v1/orders/inner/some-id")
    await client.get("/nowhere/else")
    metrics = (await client.get("/metrics")).text
    counted = [line for line in metrics.splitlines() if line.startswith("ladder_http_requests_total{")]
    assert any('path="/v1/hot/{name}",service="fast",status="202"' in line for line in counted)
    assert any('path="/v1/orders/inner/{name}",service="slow",status="200"' in line for line in counted)
    assert any('path="(none)",service="ladder",status="404"' in line for line in counted)
    assert not any("some-" in line or "nowhere" in line for line in counted)


async def test_openapi_holds_hot_routes_and_the_errors_as_they_are_sent(client: httpx2.AsyncClient) -> None:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    assert document["paths"]["/v1/hot"]["post"]["summary"] == "Hot"
    refused = document["paths"]["/v1/orders/{number}"]["post"]["responses"]["422"]
    assert list(refused["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_the_documentation_needs_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "/v1/hot" in page
    assert "/v1/orders/{number}" in page
    assert "<script" not in page
    assert "//" not in page.replace("<!doctype", "")


async def test_metrics_and_docs_that_are_closed_are_not_there_and_the_rest_is() -> None:
    """Who scrapes has an address of their own; a stranger learns neither figures nor paths."""
    closed = assemble(_services(), loopback=True, shown=Shown(metrics=False, docs=False))
    async with _client(closed) as client:
        for path in ("/metrics", "/docs", "/openapi.json"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (404, "urn:ladder:problem:not-found")
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/v1/orders/inner/a")).status_code == 200


async def test_the_metrics_own_address_answers_figures_and_health_and_nothing_else() -> None:
    async with _client(measured(_services("no policy yet"))) as client:
        assert "ladder_http_requests_total" in (await client.get("/metrics")).text
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        for path in ("/docs", "/openapi.json", "/v1/orders/inner/a", "/v1/hot"):
            assert (await client.get(path)).status_code == 404


async def test_whoever_scrapes_has_an_address_of_their_own() -> None:
    """With LADDER_METRICS_LISTEN the metrics are there and no longer where everybody comes."""
    settings = HostSettings.read(listen="127.0.0.1:0", metrics_listen=f"127.0.0.1:{free_port()}")
    sock, address = listener.bind(settings.address)
    async with (
        hosting(_services(), settings, sock, address),
        httpx2.AsyncClient(trust_env=False) as client,
    ):
        aside = await client.get(f"http://{settings.metrics_listen}/metrics")
        assert "ladder_http_requests_total" in aside.text
        assert (await client.get(f"{address.url}/metrics")).status_code == 404
        assert (await client.get(f"{address.url}/readyz")).status_code == 200


@pytest.mark.parametrize(
    "presented",
    [{"headers": {"Authorization": f"Bearer {DEMO_KEY}"}}, {"auth": ("anybody", DEMO_KEY)}],
)
async def test_the_demo_key_is_refused_where_others_can_reach_it(presented: dict[str, Any]) -> None:
    async with _client(assemble(_services(), loopback=False)) as client:
        answer = await client.post("/v1/hot", **presented)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:ladder:problem:demo-key")
    async with _client(assemble(_services(), loopback=True)) as client:
        assert (await client.post("/v1/hot", **presented)).status_code == 202
