"""Somebody is away from every schedule, a gap that is wanted, and what is open when either begins."""

from datetime import timedelta
from typing import Any

import pytest

from shared.clock import utcnow
from tests.domain.tale import on_main
from tests.services.router.api import Api
from tests.services.router.desk import event
from tests.services.router.test_duty import alone_is, ask, policy, users


def two_schedules() -> dict[str, Any]:
    """Ana alone on the desk; on the other one Petra lies beneath her."""
    beneath, above = alone_is("petra"), alone_is("ana")
    return {"desk": alone_is("ana"), "back": above | {"layers": [*beneath["layers"], *above["layers"]]}}


@pytest.fixture
async def served(served: Api) -> Api:
    await served.desk.put_in_force(policy(schedules=two_schedules(), users=users()))
    return served


async def away(served: Api, **more: Any) -> dict[str, Any]:
    now = utcnow()
    times = {"from": (now - timedelta(minutes=1)).isoformat(), "to": (now + timedelta(days=3)).isoformat()}
    answer = await ask(served, "POST", "/v1/overrides", json=times | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def on_call(served: Api) -> dict[str, dict[str, Any]]:
    items = (await served.get("/v1/oncall")).json()["items"]
    return {item["schedule"]: item for item in items}


async def test_ana_is_away_from_every_schedule_by_one_call_and_what_lies_beneath_counts(served: Api) -> None:
    made = await away(served, absent="ana", comment="holiday")
    assert (made["schedule"], made["user"], made["absent"]) == ("", "", "ana")
    found = await on_call(served)
    assert {name: item["user"] for name, item in found.items()} == {"desk": "", "back": "petra"}
    assert "ana, whom all names, is absent until" in found["back"]["reason"]
    assert found["desk"]["reason"].startswith("nobody else is on call until")
    [shift, *_] = (await served.get("/v1/schedules/back/shifts")).json()["items"]
    assert (shift["user"], shift["overrides"]) == ("petra", [made["id"]])
    listed = (await served.get("/v1/overrides", schedule="desk")).json()["items"]
    assert [each["id"] for each in listed] == [made["id"]]
    await served.desk.accept(event())
    assert [page.recipient.name for page in await served.desk.pages()] == ["karel"]  # finally


async def test_an_absence_says_what_it_leaves_to_nobody(served: Api) -> None:
    """Nobody lies beneath Ana on the desk; on the other one Petra does, and where Karel stands in nothing is open."""
    assert (await away(served, absent="ana", user="karel", comment="one day off"))["gaps"] == []
    made = await away(served, absent="ana")
    (gap,) = made["gaps"]
    assert gap["schedule"] == "desk"
    assert gap["to"] == made["to"]
    assert made["from"] < gap["from"] < utcnow().isoformat()  # from now on
    assert (await away(served, schedule="desk", nobody=True))["gaps"] == []  # that is wanted
    listed = (await served.get("/v1/overrides")).json()["items"]
    assert not any("gaps" in each for each in listed)


async def test_a_gap_goes_from_when_nobody_is_left_until_somebody_is_back(served: Api) -> None:
    layers = [
        {
            "rotation": ["ana"],
            "shift": "1d",
            "starts": "2026-01-05T00:00",
            "only": {"days": "mon-sun", "from": "08:00", "to": "18:00"},
        }
    ]
    day = {"timezone": "UTC", "layers": layers}
    await served.desk.put_in_force(policy(schedules={"desk": day}, users=users()))
    since = utcnow().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    gaps = (
        await away(
            served, absent="ana", **{"from": since.isoformat(), "to": (since + timedelta(days=2)).isoformat()}
        )
    )["gaps"]
    assert [(gap["from"][11:16], gap["to"][11:16]) for gap in gaps] == [("08:00", "18:00")] * 2


async def test_whoever_is_named_for_ana_stands_in_on_every_schedule_until_she_is_back(served: Api) -> None:
    made = await away(served, absent="ana", user="karel")
    found = await on_call(served)
    assert {item["user"] for item in found.values()} == {"karel"}
    assert {item["override"] for item in found.values()} == {made["id"]}
    assert found["desk"]["reason"].startswith("karel stands in for ana until")
    assert (await ask(served, "DELETE", f"/v1/overrides/{made['id']}")).status_code == 200
    assert {item["user"] for item in (await on_call(served)).values()} == {"ana"}


async def test_a_gap_that_is_wanted_is_said_as_such(served: Api) -> None:
    await away(served, schedule="desk", nobody=True)
    duty = (await on_call(served))["desk"]
    assert (duty["user"], duty["next"]["user"]) == ("", "ana")
    assert "on purpose (an override by api:lead)" in duty["reason"]
    incident = await served.opened()
    texts = [
        each["text"] for each in (await served.get(f"/v1/incidents/{incident}/timeline")).json()["items"]
    ]
    assert any("schedule:desk: nobody is on call now: nobody is on call until" in text for text in texts)


async def test_what_ana_did_not_take_is_asked_of_who_stands_in_when_she_is_away(served: Api) -> None:
    desk = alone_is("ana") | {"handoff": "page"}
    await served.desk.put_in_force(policy(schedules={"desk": desk}, users=users()))
    await served.opened()
    assert [page.recipient.name for page in await served.desk.pages()] == ["ana"]
    await served.desk.sql("DELETE FROM router.outbox")
    await away(served, absent="ana", user="karel")
    assert await served.desk.engine.fire() == 1
    assert [page.recipient.name for page in await served.desk.pages()] == ["karel"]


async def test_applying_a_bundle_without_her_warns_of_all_that_names_her(served: Api) -> None:
    """Also what she was asked and did not take goes to whoever is on call by the new bundle, at once."""
    desk = alone_is("ana") | {"handoff": "page"}
    services = {"checkout": {"team": "desk"}, "payments": {"team": "desk"}}
    level = {"name": "desk", "notify": ["schedule:desk"], "acknowledge_within": "5m"}
    own = {"name": "own", "notify": ["user:eva"], "acknowledge_within": "5m"}
    people = {**users(), "eva": {"name": "Eva", "contacts": {"box": {"inbox": "eva"}}}}
    before = policy(
        users=people, schedules={"desk": desk | alone_is("eva")}, services=services,
        **on_main(levels=[level, own]),
    )  # fmt: skip
    await served.desk.put_in_force(before)
    override = await away(served, schedule="desk", user="eva")
    ended = (utcnow() + timedelta(hours=1)).isoformat()
    silence = {"when": "service == 'payments'", "until": ended, "comment": "deploy"}
    silenced = (await ask(served, "POST", "/v1/silences", json=silence)).json()["id"]
    taken, asked = await served.opened(service="payments"), ""
    assert (await served.act(taken, "acknowledge", "admin", assignee="eva")).status_code == 200
    asked = await served.opened("other")
    await served.desk.sql("DELETE FROM router.outbox")

    after = policy(
        users=users(), schedules={"desk": desk}, services={"checkout": {"team": "desk"}},
        **on_main(levels=[level]),
    )  # fmt: skip
    content = after.model_dump_json(by_alias=True, exclude_unset=True)
    answer = await ask(served, "PUT", "/v1/policy", "admin", content=content)
    assert answer.status_code == 200, answer.text
    told = answer.json()["warnings"]
    assert (
        f"override {override['id']}: eva is no user of the policy in force: what lies beneath counts" in told
    )
    assert f"silence {silenced} names service 'payments', which this policy has no longer" in told
    assert f"1 open incident is assigned to eva, who is no user of this policy ({taken})" in told
    assert f"1 open incident is asked of eva, who is no user of this policy ({asked})" in told
    assert f"1 open incident is of service payments, which this policy has no longer ({taken})" in told
    assert [each for each in told if "which names user:eva: this one has none" in each]
    assert (await served.get("/v1/policy")).json()["warnings"] == [
        each for each in told if "override" in each or "assigned" in each
    ]
    while await served.desk.engine.fire():
        pass
    assert "ana" in [page.recipient.name for page in await served.desk.pages()]
