"""Stories of senders through HTTP: a nightly job, and a group of alerts that was cut."""

from datetime import datetime
from typing import Any

from tests.api.hosted import Office
from tests.waiting import until


async def test_a_nightly_job_that_fails_is_an_incident_until_it_succeeds(office: Office) -> None:
    key = "scripts"
    assert (await office.ask("GET", f"/v1/heartbeats/backup/{key}/start", "")).status_code == 202
    failed = await office.ask("POST", "/v1/heartbeats/backup/7", key, content=b"tape is full")
    assert failed.status_code == 202
    assert failed.json()["signal"] == "fail"

    async def with_status(status: str) -> dict[str, Any] | None:
        items = (await office.get("/v1/incidents", integration="heartbeat", status=status)).json()["items"]
        return items[0] if items else None

    incident = await until(lambda: with_status("triggered"))
    assert incident["title"] == "backup failed with exit status 7"
    assert incident["description"] == "tape is full"
    (item,) = (await office.get("/v1/heartbeats")).json()["items"]
    assert (item["state"], item["said"]) == ("failed", "tape is full")
    assert item["took_seconds"] is not None
    assert (await office.ask("HEAD", "/v1/heartbeats/backup", key)).status_code == 202
    assert (await until(lambda: with_status("resolved")))["id"] == incident["id"]


async def test_an_incident_says_when_its_sender_last_spoke(office: Office) -> None:
    opened = await office.opened("speaks")
    event = {"dedup_key": "speaks", "title": "speaks again"}
    assert (await office.ask("POST", "/v1/events", "scripts", json=event)).status_code == 202

    async def repeated() -> dict[str, Any] | None:
        shown = (await office.get(f"/v1/incidents/{opened['id']}")).json()
        return shown if shown["events"] == 2 else None

    shown = await until(repeated)
    spoke = datetime.fromisoformat(shown["last_event_at"])
    assert (
        spoke > datetime.fromisoformat(opened["last_event_at"]) >= datetime.fromisoformat(opened["opened_at"])
    )
    page = await office.paged(opened["id"])
    assert page is not None
    assert "Its sender last spoke: " in page["text"]


async def test_the_timeline_of_an_alert_that_a_cut_group_forgot_says_so(office: Office) -> None:
    def group(status: str, *names: str, **said: Any) -> dict[str, Any]:
        alerts = [{"status": status, "labels": {"alertname": "Disk", "host": name}} for name in names]
        return {"version": "4", "groupKey": "{}:{x}", "status": status, "alerts": alerts} | said

    async def post(body: dict[str, Any]) -> None:
        answer = await office.ask("POST", "/v1/integrations/prometheus", "prometheus", json=body)
        assert answer.status_code == 202, answer.text

    await post(group("firing", "kept", "cut"))

    async def forgotten() -> dict[str, Any] | None:
        items = (await office.get("/v1/incidents", integration="prometheus", limit=500)).json()["items"]
        return next((item for item in items if item["labels"].get("host") == "cut"), None)

    incident = await until(forgotten)
    await post(group("resolved", "kept", truncatedAlerts=1))

    async def told() -> dict[str, Any] | None:
        items = (await office.get(f"/v1/incidents/{incident['id']}/timeline")).json()["items"]
        return next((item for item in items if item["kind"] == "silent"), None)

    line = await until(told)
    assert line["text"] == (
        "its alert group is over and did not name it; its sender left 1 out: "
        "whether it still stands is asked in 1 min unless it is heard of"
    )
    await post(group("firing", "cut", alerts=None))
    await post(group("resolved", "cut"))


async def test_why_a_sender_is_refused_is_seen_by_whoever_asks_not_only_by_the_sender(
    office: Office,
) -> None:
    before = (await office.get("/v1/integrations/scripts")).json()["refused"]
    batch = [{"title": "x"}, {"title": ""}]
    refused = await office.ask("POST", "/v1/integrations/scripts", "scripts", json=batch)
    assert refused.status_code == 422

    async def seen() -> dict[str, Any] | None:
        item = (await office.get("/v1/integrations/scripts")).json()
        return item if item["refused"] > before else None

    item = await until(seen)
    assert item["last_refused"]["reason"] == "The event cannot be accepted: /1/title: needed for a trigger"
    assert (item["last_refused"]["kind"], item["last_refused"]["event"]) == ("invalid-event", 1)
    assert item["last_refused_at"]
    listed = (await office.get("/v1/integrations")).json()["items"]
    assert item["name"] in {each["name"] for each in listed}
    wrong = await office.ask("DELETE", "/v1/integrations/scripts", "scripts")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST, PUT")
