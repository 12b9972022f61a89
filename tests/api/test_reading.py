"""What Ladder tells of schedules, heartbeats, groups and figures, by whole shapes with something in them."""

import csv
import io
from typing import Any

import pytest

from tests.api.hosted import Office, problem
from tests.waiting import until

_FIGURES = {
    "sla": {"target", "kept_by", "promised", "in_time", "breached", "running", "compliance"},
    "response": {"incidents", "acknowledged", "mtta_mean", "mttr_p90", "reopened", "avoided", "rated"},
    "levels": {"level", "reached", "solved", "handed_up", "passed", "held_mean", "pages"},
}


@pytest.fixture(scope="session")
async def solved(office: Office) -> dict[str, Any]:
    """An incident of acme that ana took and solved."""
    found = await office.opened("solved-for-reports", customer="acme", service="checkout")
    for action in ("acknowledge", "resolve"):
        assert (await office.act(found["id"], action)).status_code == 200
    return found


@pytest.mark.parametrize("name", _FIGURES)
async def test_a_report_has_its_groups_and_its_figures_as_json_and_as_csv(
    office: Office, solved: dict[str, Any], name: str
) -> None:
    query = {"by": "tier,policy", "customer": "acme"}
    items = (await office.get(f"/v1/reports/{name}", **query)).json()["items"]
    assert items
    for item in items:
        assert set(item) >= {"tier", "policy"} | _FIGURES[name]
        assert "service" not in item, "a group that was not asked for is left out"
        assert (item["tier"], item["policy"]) == ("gold", "main")
    answer = await office.ask(
        "GET", f"/v1/reports/{name}", "viewer", params=query, headers={"Accept": "text/csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == len(items)
    assert set(lines[0]) >= _FIGURES[name]


async def test_schedules_tell_their_shifts_and_an_override_stands_in_them(office: Office) -> None:
    listed = (await office.get("/v1/schedules")).json()["items"]
    assert [(item["name"], item["users"]) for item in listed] == [("desk", ["ana", "petra"])]
    body = {"schedule": "desk", "user": "karel", "from": "2031-01-07T08:00:00Z", "to": "2031-01-08T08:00:00Z"}
    made = (await office.ask("POST", "/v1/overrides", "lead", json=body)).json()
    query = {"from": "2031-01-06T08:00:00Z", "to": "2031-01-09T08:00:00Z"}
    shifts = (await office.get("/v1/schedules/desk/shifts", **query)).json()
    assert set(shifts) >= {"schedule", "timezone", "from", "to", "items"}
    users = [item["user"] for item in shifts["items"]]
    assert users[1] == "karel"
    assert users[0] == users[2]
    assert [item["overrides"] for item in shifts["items"]] == [[], [made["id"]], []]
    assert shifts["items"][0]["to"] == shifts["items"][1]["from"], "without gap or overlap"
    (duty,) = (await office.get("/v1/oncall", at="2031-01-07T12:00:00Z")).json()["items"]
    assert (duty["user"], duty["until"], duty["override"]) == ("karel", "2031-01-08T08:00:00Z", made["id"])
    within = body | {"user": "petra", "from": "2031-01-07T10:00:00Z", "to": "2031-01-07T14:00:00Z"}
    inner = (await office.ask("POST", "/v1/overrides", "lead", json=within)).json()
    (duty,) = (await office.get("/v1/oncall", at="2031-01-07T12:00:00Z")).json()["items"]
    assert (duty["user"], duty["until"], duty["override"]) == ("petra", "2031-01-07T14:00:00Z", inner["id"])
    for each in (inner, made):
        await office.ask("DELETE", f"/v1/overrides/{each['id']}", "lead")


async def test_a_private_address_is_a_calendar_without_a_key(office: Office) -> None:
    feed = await office.ask("POST", "/v1/schedules/desk/feed", "ana")
    assert feed.status_code == 200, feed.text
    address = feed.json()["url"]
    assert address.startswith(office.url)
    calendar = await office.ask("GET", address.removeprefix(office.url), "")
    assert calendar.headers["content-type"].startswith("text/calendar")
    assert "BEGIN:VEVENT" in calendar.text
    problem(
        await office.ask("GET", "/v1/schedules/desk/shifts.ics?token=guessed", ""), 404, "no-such-schedule"
    )


async def test_a_heartbeat_says_when_it_came_and_when_it_would_be_late(office: Office) -> None:
    assert (await office.ask("POST", "/v1/heartbeats/backup", "scripts")).status_code == 202

    async def beaten() -> dict[str, Any] | None:
        (item,) = (await office.get("/v1/heartbeats")).json()["items"]
        return item if item["last"] is not None else None

    item = await until(beaten)
    assert (item["name"], item["every"], item["state"], item["by"]) == ("backup", "1d", "beating", "scripts")
    assert item["late_at"] > item["last"]
    assert item["late_since"] is None
    problem(await office.ask("POST", "/v1/heartbeats/unknown", "scripts"), 404, "no-such-heartbeat")


async def test_merged_incidents_are_members_of_the_one_that_goes_on(office: Office) -> None:
    one, other = await office.opened("goes-on"), await office.opened("merges")
    merged = await office.act(other["id"], "merge", key="lead", into=one["id"])
    assert merged.status_code == 200, merged.text
    assert (merged.json()["status"], merged.json()["parent"]) == ("closed", one["id"])
    page = (await office.get(f"/v1/incidents/{one['id']}/members")).json()
    assert page["next"] is None
    assert [item["id"] for item in page["items"]] == [other["id"]]
    refused = problem(await office.act(other["id"], "acknowledge"), 409, "conflict")
    assert refused["detail"]
    assert "acknowledge" not in refused["possible"]
