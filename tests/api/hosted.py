"""A whole Ladder as `ladder up` hosts it, with a key for every role, and what a caller does with it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from shared.security.keys import digest
from tests.waiting import until

ROLES: Final = ("viewer", "responder", "lead", "admin")
SECRET: Final = "the key of signed links"
PAGER: Final = "pager0key0of0thirtytwo0characters"[:32]


def _key(secret: str, **more: Any) -> dict[str, Any]:
    return {"keys": [{"sha256": digest(secret), **more}]}


BUNDLE: Final[dict[str, Any]] = {
    "version": 1,
    "last_resort": ["user:karel"],
    "users": {
        "ana": {"name": "Ana Novak", "timezone": "Europe/Prague", "contacts": {"box": {"inbox": "ana"}}},
        "rita": {
            "name": "Rita Nova",
            "contacts": {
                "box": {"inbox": "rita"},
                "phone": {"sms": "+420777000111"},
                "other": {"inbox": "rita-2"},
            },
            "rules": {
                "high": [{"via": "box"}, {"via": "phone", "after": "1h"}, {"via": "other", "after": "2h"}]
            },
        },
        "petra": {"name": "Petra Dvorak", "role": "lead", "contacts": {"box": {"inbox": "petra"}}},
        "karel": {"name": "Karel Maly", "role": "admin", "contacts": {"box": {"inbox": "karel"}}},
    },
    "teams": {"desk": {"members": ["ana", "petra"], "lead": "petra"}},
    "schedules": {
        "desk": {
            "timezone": "Europe/Prague",
            "layers": [
                {"name": "weekly", "rotation": ["ana", "petra"], "shift": "1w", "starts": "2026-01-05T08:00"}
            ],
        }
    },
    "tiers": ["gold", "standard"],
    "customers": {"acme": {"name": "Acme", "tier": "gold", "value": 250000, "owner": "petra"}},
    "services": {"checkout": {"name": "Checkout", "team": "desk"}},
    "slas": [{"name": "all", "acknowledge": "5m", "resolve": "4h"}],
    "policies": {
        "main": {
            "levels": [
                {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "30m"},
                {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "30m"},
            ],
            "finally": {"notify": ["user:karel"], "every": "30m"},
        }
    },
    "routes": [{"policy": "main"}],
    "integrations": {
        "scripts": {"kind": "native", **_key("scripts")},
        "prometheus": {"kind": "alertmanager", **_key("prometheus")},
        "pager": {"kind": "pagerduty", **_key(PAGER)},
        "boards": {"kind": "grafana", **_key("boards")},
        "genie": {"kind": "opsgenie", **_key("genie")},
        "crm": {
            "kind": "json",
            **_key("crm"),
            "ignore": "body.kind == 'test'",
            "map": {"title": "body.name", "dedup_key": "body.id", "service": "headers['x-service']"},
        },
        "retired": {"kind": "native", **_key("retired", expires="2026-01-01")},
    },
    "heartbeats": {
        "backup": {"every": "24h", "late_after": "2h", "event": {"title": "Backup is late"}},
    },
    "api_keys": {
        "viewer": {**_key("viewer"), "role": "viewer"},
        "responder": {**_key("responder"), "role": "responder"},
        "lead": {**_key("lead"), "role": "lead"},
        "admin": {**_key("admin"), "role": "admin"},
        "ana": {**_key("ana"), "acts_as": "ana"},
        "rita": {**_key("rita"), "acts_as": "rita"},
        "old": {**_key("old", expires="2026-01-01"), "role": "admin"},
    },
}


@dataclass(frozen=True, slots=True)
class Office:
    """A running Ladder and a client without a key."""

    url: str
    client: httpx2.AsyncClient

    async def get(self, path: str, key: str = "viewer", **query: Any) -> httpx2.Response:
        return await self.ask("GET", path, key, **({"params": query} if query else {}))

    async def ask(self, method: str, path: str, key: str = "admin", **rest: Any) -> httpx2.Response:
        """Send it with this key; '' for none."""
        bearer = {"Authorization": f"Bearer {key}".encode()} if key else {}
        headers = bearer | {name: value.encode() for name, value in rest.pop("headers", {}).items()}
        return await self.client.request(method, path, headers=headers, **rest)

    async def announce(self, method: str, path: str, length: int) -> str:
        """The whole answer to a request whose body of this length never comes."""
        place = httpx2.URL(self.url)
        reader, writer = await asyncio.open_connection(place.host, place.port)
        head = [
            f"{method} {path} HTTP/1.1",
            "Host: ladder",
            "Authorization: Bearer admin",
            "Connection: close",
        ]
        writer.write("\r\n".join([*head, f"Content-Length: {length}", "", ""]).encode())
        try:
            return (await asyncio.wait_for(reader.read(), 10)).decode()
        finally:
            writer.close()

    async def act(self, incident_id: str, action: str, key: str = "ana", **more: Any) -> httpx2.Response:
        body = {"action": action, **more}
        return await self.ask("POST", f"/v1/incidents/{incident_id}/actions", key, json=body)

    async def opened(self, name: str, **fields: Any) -> dict[str, Any]:
        """Post an event, and wait until its incident knows that its page is in ana's inbox."""
        event = {"dedup_key": name, "title": f"{name} is down", "severity": "error"} | fields
        accepted = await self.ask("POST", "/v1/events", "scripts", json=event)
        assert accepted.status_code == 202, accepted.text
        found = await until(lambda: self._first("/v1/incidents", dedup_key=name))
        path = f"/v1/incidents/{found['id']}"

        async def told() -> bool:
            items = (await self.get(f"{path}/timeline")).json()["items"]
            return any(item["kind"] == "delivery" for item in items)

        await until(told)
        shown: dict[str, Any] = (await self.get(path)).json()
        return shown

    async def paged(self, incident_id: str, user: str = "ana") -> dict[str, Any] | None:
        """The newest message about this incident in somebody's inbox."""
        items = (await self.get(f"/v1/inbox/{user}", "admin", limit=500)).json()["items"]
        return next((item for item in items if item["incident_id"] == incident_id), None)

    async def _first(self, path: str, **query: Any) -> dict[str, Any] | None:
        answer = await self.get(path, **query)
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        return items[0] if items else None


def problem(answer: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem document of a refusal, which has this status and this stable type."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["type"], document["status"]) == (f"urn:ladder:problem:{kind}", status)
    assert document["title"]
    return document
