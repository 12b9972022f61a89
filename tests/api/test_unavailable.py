"""A database that is away: a 503 to try again for programs, a page for people, never a 500."""

import uuid
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import httpx2
import pytest

from ladder.web.host import assemble
from services.notifier.api import routes as notifier_api
from services.notifier.sending.concurrency import ConcurrencyLimits
from shared.policy import Bundle
from shared.security.keys import Signer
from shared.service import Service
from tests.api.assembled import APP, SECRET, nowhere
from tests.api.hosted import BUNDLE, problem


def _client(app: Any) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app)
    key = {"Authorization": "Bearer admin"}
    return httpx2.AsyncClient(transport=transport, base_url="http://ladder", headers=key)


UNKNOWN = "0b0e7d8e-5f0c-4b53-9d5c-3a1f0a6c2f11"


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with _client(APP) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/v1/incidents", f"/v1/incidents/{UNKNOWN}/explain", "/v1/oncall", "/v1/policy"]
)
async def test_the_routers_paths_say_try_again(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/v1/inbox/ana", "/v1/deliveries", f"/v1/deliveries/{UNKNOWN}"])
async def test_the_notifiers_paths_say_try_again(path: str) -> None:
    bundle = Bundle.model_validate(BUNDLE)
    paths = notifier_api.routes(nowhere(), lambda: bundle, ConcurrencyLimits({}), (), lambda: None)
    service = Service("notifier", paths, nullcontext, tuple)  # type: ignore[arg-type]
    async with _client(assemble([service], loopback=True)) as client:
        answer = await client.get(path)
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_whoever_follows_a_link_then_reads_that_nothing_was_changed(
    client: httpx2.AsyncClient, method: str
) -> None:
    token = Signer((SECRET,)).sign(
        "reply", {"action": "acknowledge", "incident": str(uuid.uuid4()), "user": "ana"}
    )
    answer = await client.request(method, f"/v1/replies/link/{token}")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert int(answer.headers["retry-after"]) > 0
    assert "Nothing was changed. Try again in a few seconds." in answer.text


async def test_intake_without_a_policy_says_try_again_and_never_that_the_key_is_wrong(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.post("/v1/events", json={"title": "x"})
    problem(answer, 503, "no-policy")
    assert int(answer.headers["retry-after"]) > 0
