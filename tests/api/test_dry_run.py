"""`POST /v1/policy/try`: what would come of a post, and nothing of it kept."""

from typing import Any

from tests.api.hosted import Office, problem


async def tried(office: Office, body: Any, key: str = "responder", **more: Any) -> Any:
    post = {"integration": "crm", "body": body, "headers": {"X-Service": "checkout"}} | more
    return await office.ask("POST", "/v1/policy/try", key, json=post)


async def test_a_post_can_be_tried_by_whoever_may_act(office: Office) -> None:
    answer = await tried(office, {"name": "Disk full", "id": "tried-1"})
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["events"]
    assert one["event"]["title"] == "Disk full"
    assert one["event"]["service"] == "checkout"
    assert (one["route"]["rule"], one["policy"], one["level"], one["priority"]) == (
        "routes[0]",
        "main",
        "desk",
        2,
    )
    (page,) = one["first_paged"]
    assert (page["who"], page["name"], page["at"]) == ("user:ana", "Ana Novak", answer.json()["at"])
    assert one["next"][0]["what"].startswith("breach: acknowledge was promised within 5 min")
    problem(await tried(office, {}, key="viewer"), 403, "forbidden")


async def test_what_is_tried_is_neither_stored_nor_sent(office: Office) -> None:
    assert (await tried(office, {"name": "Disk full", "id": "tried-2"})).status_code == 200
    kept = await office.get("/v1/incidents", integration="crm", dedup_key="tried-2")
    assert kept.json()["items"] == []


async def test_of_an_open_incident_of_the_same_key_it_is_told(office: Office) -> None:
    posted = await office.ask("POST", "/v1/integrations/crm", "crm", json={"name": "Down", "id": "tried-3"})
    assert posted.status_code == 202
    found = await office.opened("tried-4")  # the log is read in order: what came before is there, or nearly
    assert found
    standing = await office._first("/v1/incidents", integration="crm", dedup_key="tried-3")
    answer = await tried(office, {"name": "Down", "id": "tried-3"})
    assert answer.json()["events"][0]["stands"] == (standing or {}).get("id", "")


async def test_what_intake_would_refuse_is_refused_in_the_same_words(office: Office) -> None:
    refused = problem(await tried(office, {"id": 1}), 422, "invalid-event")
    real = await office.ask("POST", "/v1/integrations/crm", "crm", json={"id": 1})
    assert refused["errors"] == problem(real, 422, "invalid-event")["errors"]
    assert refused["errors"][0]["reason"].startswith("needed for trigger: map.title (body.name): no field")
    problem(await tried(office, {}, integration="crmm"), 404, "no-such-integration")
    problem(await tried(office, None, text="{"), 422, "invalid-event")


async def test_what_is_ignored_and_formats_of_others_can_be_tried_too(office: Office) -> None:
    ignored = (await tried(office, {"kind": "test"})).json()
    assert (ignored["ignored"], ignored["events"]) == (1, [])
    alert = {"alerts": [{"status": "firing", "labels": {"alertname": "Disk"}, "fingerprint": "f"}]}
    (one,) = (await tried(office, alert, integration="prometheus")).json()["events"]
    assert (one["event"]["dedup_key"], one["what"]) == ("f", "it opens an incident")
    closed = {"alerts": [{"status": "resolved", "labels": {}, "fingerprint": "none"}]}
    (one,) = (await tried(office, closed, integration="prometheus")).json()["events"]
    assert (one["what"], one["priority"], one["first_paged"]) == (
        "resolve: no incident has this key",
        None,
        [],
    )


async def test_whatever_is_tried_it_is_refused_or_answered(office: Office) -> None:
    """Half characters, numbers beyond all measure, depth."""
    for raw in (
        b'{"integration": "crm", "body": {"name": "\\ud800", "id": 1e999}, "headers": {"x": "\\ud800"}}',
        b'{"integration": "crm", "body": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"integration": "crm", "body": {"name": 123456789012345678901234567890}}',
    ):
        answer = await office.ask(
            "POST",
            "/v1/policy/try",
            "responder",
            content=raw,
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in {200, 422}, answer.text
