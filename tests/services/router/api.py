"""The router's API over HTTP, as a process serves it, with a real database behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from pydantic import SecretStr

from ladder.web.host import assemble
from services.router import api
from services.router.settings import RouterSettings
from shared.security.keys import Signer, digest
from shared.service import Service
from tests.domain.tale import bundle
from tests.services.router.desk import Desk, event

SIGNER = Signer(("a secret for tests",))
ROLES = ("viewer", "responder", "lead", "admin")


def keys() -> dict[str, Any]:
    listed: dict[str, Any] = {role: {"keys": [{"sha256": digest(role)}], "role": role} for role in ROLES}
    listed["bot"] = {"keys": [{"sha256": digest("bot")}], "role": "responder"}
    listed["ana"] = {"keys": [{"sha256": digest("ana")}], "acts_as": "ana"}
    listed["old"] = {"keys": [{"sha256": digest("old"), "expires": "2020-01-01"}], "role": "admin"}
    return listed


SCHEDULES = {
    "desk": {
        "timezone": "Europe/Prague",
        "layers": [{"rotation": ["ana", "petra"], "shift": "1w", "starts": "2026-01-05T08:00"}],
    }
}


class Api:
    """A client with a key."""

    def __init__(self, client: httpx2.AsyncClient, desk: Desk) -> None:
        self.client = client
        self.desk = desk

    async def get(self, path: str, key: str = "viewer", **query: Any) -> httpx2.Response:
        return await self.client.get(path, params=query, headers={"Authorization": f"Bearer {key}"})

    async def items(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.get("/v1/incidents", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    async def act(
        self, incident: str, action: str, key: str = "ana", idempotency: str = "", **more: Any
    ) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key}"} | (
            {"Idempotency-Key": idempotency} if idempotency else {}
        )
        body = {"action": action, **more}
        return await self.client.post(f"/v1/incidents/{incident}/actions", json=body, headers=headers)

    async def opened(self, *names: str, **fields: Any) -> str:
        for name in names or ("checkout",):
            await self.desk.accept(event(name, **fields))
        return (await self.desk.incidents())[-1].id


@asynccontextmanager
async def api_of(
    desk: Desk, api_keys: dict[str, Any], listen: str = "127.0.0.1:0", **more: Any
) -> AsyncIterator[Api]:
    """The router's paths as a process serves them that listens there; `more` settings."""
    await desk.put_in_force(bundle(api_keys=api_keys, schedules=SCHEDULES))
    settings = RouterSettings(secret_key=SecretStr(SIGNER.keys[0]), listen=listen, **more)
    paths = api.routes(desk.engine, settings, lambda: None)
    service = Service("router", paths, lambda: None, lambda: (), openapi_schemas=api.schemas())  # type: ignore[arg-type]
    app = assemble([service], loopback=True)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://ladder") as client:
        yield Api(client, desk)
