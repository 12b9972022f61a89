"""What Ladder holds, read through its API as a client would read it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.bad_days.loss import Arrival, HeldIncident
from tests.world.bundle import KEY
from tests.world.sink import Sink
from tests.world.wire import Answer, Connection


@dataclass
class Reader:
    """The router's API at one address."""

    url: str
    key: str = KEY

    async def get(self, path: str, **query: str | int) -> Any:
        """The JSON of a 200; AssertionError for anything else."""
        answer = await self._request("GET", f"{path}?{urlencode(query)}" if query else path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.body[:500]!r}"
        return answer.json()

    async def act(self, incident: str, body: bytes) -> Answer:
        return await self._request("POST", f"/v1/incidents/{quote(incident)}/actions", body)

    async def incidents(self, **query: str | int) -> list[dict[str, Any]]:
        """All that match, over all pages of the list."""
        return await self.listed("/v1/incidents", **query)

    async def listed(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, limit=500, **query, **cursor)
            items += page["items"]
            if not page["next"]:
                return items
            cursor = {"cursor": page["next"]}

    async def _request(self, method: str, path: str, body: bytes = b"") -> Answer:
        connection = Connection(self.url, headers={"Authorization": f"Bearer {self.key}"})
        try:
            return await connection.request(method, path, body)
        finally:
            connection.close()


def held_incidents(incidents: list[dict[str, Any]], prefix: str) -> list[HeldIncident]:
    """Those of one test, told by how their keys begin."""
    return [
        HeldIncident(incident["id"], incident["dedup_key"])
        for incident in incidents
        if incident["dedup_key"].startswith(prefix)
    ]


def arrivals(sink: Sink, prefix: str) -> list[Arrival]:
    """The pages that the sink accepted for one test."""
    return [
        Arrival(
            webhook_id=hit.webhook_id,
            page=hit.page["id"],
            incident=hit.incident["id"],
            recipient=hit.path,
            level=hit.page["level"],
        )
        for hit in sink.pages()
        if hit.incident["dedup_key"].startswith(prefix)
    ]
