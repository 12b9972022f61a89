"""A silence and a group through the whole of Ladder: posted over HTTP, felt in the inbox."""

from datetime import timedelta
from typing import Any

from shared.clock import utcnow
from tests.api.hosted import Office
from tests.waiting import until


async def _shown(office: Office, incident_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await office.get(f"/v1/incidents/{incident_id}")).json()
    return shown


async def test_a_silence_quiets_what_is_open_within_seconds_and_its_end_pages_again(office: Office) -> None:
    incident = await office.opened("quiet-story", service="checkout")
    first = await office.paged(incident["id"])
    assert first is not None
    body = {"when": "service == 'checkout'", "until": (utcnow() + timedelta(hours=1)).isoformat()}
    made = await office.ask("POST", "/v1/silences", "lead", json=body)
    assert made.status_code == 201, made.text

    async def is_quiet() -> bool:
        return bool((await _shown(office, incident["id"]))["suppressed_by"])

    await until(is_quiet)
    explained = (await office.get(f"/v1/incidents/{incident['id']}/explain")).json()
    assert explained["next"][0]["what"].startswith(f"silence {made.json()['id']}")
    ended = await office.ask("DELETE", f"/v1/silences/{made.json()['id']}", "lead")
    assert ended.status_code == 200

    async def is_paged_again() -> bool:
        newest = await office.paged(incident["id"])
        return newest is not None and newest["page_id"] != first["page_id"]

    await until(is_paged_again)
