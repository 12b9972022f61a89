"""Silences, maintenance and members over HTTP, with a real database behind them."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from services.router.duty import silence_store
from services.router.loops import retention
from services.router.loops.fan_out import FanOut
from shared.clock import utcnow
from shared.events import ESCALATIONS, Announced
from tests.domain.tale import bundle
from tests.services.router.api import SCHEDULES, Api, keys
from tests.services.router.desk import Desk, event
from tests.services.router.test_relations import by_key, hand_on

SILENCES, MAINTENANCE = "/v1/silences", "/v1/maintenance"


@pytest.fixture
async def served(served: Api) -> Api:
    listed = {**keys(), "petra": {**keys()["ana"], "keys": keys()["bot"]["keys"], "acts_as": "petra"}}
    del listed["bot"]
    await served.desk.put_in_force(bundle(api_keys=listed, schedules=SCHEDULES))
    return served


async def ask(api: Api, method: str, path: str, key: str = "lead", **rest: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}", **rest.pop("headers", {})}
    return await api.client.request(method, path, headers=headers, **rest)


def at(**span: float) -> str:
    return (utcnow() + timedelta(**span)).isoformat()


async def silence(
    api: Api, when: str = "service == 'checkout'", key: str = "bot", **more: Any
) -> dict[str, Any]:
    answer = await ask(api, "POST", SILENCES, key, json={"when": when, "until": at(hours=1)} | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_silence_says_who_made_it_and_is_listed_until_it_is_over(served: Api) -> None:
    made = await silence(served, comment="we know")
    assert (made["by"], made["comment"], made["state"], made["broken"]) == (
        "user:petra",
        "we know",
        "in_force",
        "",
    )
    listed = (await served.get(SILENCES)).json()
    assert listed == {"items": [made], "next": None}
    assert (await served.get(f"{SILENCES}/{made['id']}")).json() == made
    ended = await ask(served, "DELETE", f"{SILENCES}/{made['id']}")
    assert (ended.status_code, ended.json()["state"]) == (200, "over")
    assert (await served.get(SILENCES)).json()["items"] == []
    assert [each["id"] for each in (await served.get(SILENCES, past="true")).json()["items"]] == [made["id"]]
    again = await ask(served, "DELETE", f"{SILENCES}/{made['id']}")
    assert again.status_code == 409


async def test_what_opens_under_a_silence_pages_nobody_and_its_deletion_wakes_it(
    served: Api, desk: Desk
) -> None:
    made = await silence(served)
    await desk.accept(event("a", service="checkout"), event("b", service="other"))
    assert [page.recipient.name for page in await desk.pages()] == ["ana"]
    await ask(served, "DELETE", f"{SILENCES}/{made['id']}")
    await hand_on(desk)
    assert (await by_key(desk))["a"].suppressed_by == ""
    assert len(await desk.pages()) == 2


async def test_a_silence_posted_now_quiets_what_is_open(served: Api, desk: Desk) -> None:
    await desk.accept(event("a", service="checkout"), event("b", service="other"))
    made = await silence(served)
    told = await FanOut(desk.engine).fan_out_once()
    assert told == 1
    await hand_on(desk)
    found = await by_key(desk)
    assert (found["a"].suppressed_by, found["b"].suppressed_by) == (f"silence {made['id']}", "")
    assert (await desk.messages())[-1].settled is not None


async def test_a_silence_by_what_the_directory_says_of_a_customer_quiets_what_is_open(
    served: Api, desk: Desk
) -> None:
    await ask(served, "PUT", "/v1/customers/globex", json={"name": "Globex", "value": 9})
    await desk.accept(event("a", customer="globex"), event("b"))
    await silence(served, "customer.value > 5.0")
    await hand_on(desk)
    assert [each.suppressed_by != "" for each in await desk.incidents()] == [True, False]


async def test_a_viewer_and_a_responder_may_look_at_silences_but_not_make_them(served: Api) -> None:
    made = await silence(served)
    for key in ("viewer", "responder"):
        assert (await served.get(SILENCES, key)).status_code == 200
        body = {"when": "true", "until": at(hours=1)}
        assert (await ask(served, "POST", SILENCES, key, json=body)).status_code == 403
        assert (await ask(served, "DELETE", f"{SILENCES}/{made['id']}", key)).status_code == 403


async def test_a_condition_that_is_wrong_is_refused_with_its_column(served: Api) -> None:
    body = {"when": "servce == 'checkout'", "until": at(hours=1)}
    answer = await ask(served, "POST", SILENCES, json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"] == [
        {"field": "/when", "reason": "column 1: no name 'servce'; did you mean 'service'?"}
    ]
    assert problem["column"] == 1


async def test_a_silence_that_can_never_match_is_not_called_in_force(served: Api) -> None:
    when = "service == 'checkout' ||\n labels.host.matches('[')"
    weekly = {"name": "upgrade", "window": {"days": "sun", "from": "02:00", "to": "04:00"}}
    for path, more in ((SILENCES, {"until": at(hours=1)}), (MAINTENANCE, weekly)):
        answer = await ask(served, "POST", path, json={"when": when} | more)
        assert answer.status_code == 422
        problem = answer.json()
        why = "line 2, column 22: this can never work: invalid regular expression: missing ]: ["
        assert problem["errors"] == [{"field": "/when", "reason": why}]
        assert (problem["line"], problem["column"]) == (2, 22)
        assert (await served.get(path)).json()["items"] == []


async def test_a_silence_of_an_earlier_release_says_what_can_never_work_in_it(
    served: Api, desk: Desk
) -> None:
    now = utcnow()
    held = silence_store.Stored(
        uuid.uuid4(), "title.matches('*')", now, now + timedelta(hours=1), "user:ana", now
    )
    async with desk.engine.database.transaction() as connection:
        await silence_store.add(connection, held)
    (shown,) = (await served.get(SILENCES)).json()["items"]
    assert "no argument for repetition operator: *" in shown["broken"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"when": "true", "until": "2020-01-01T00:00:00Z"}, "/until"),  # over before it begins
        ({"when": "true", "until": "2999-01-01T00:00:00Z"}, "/until"),  # for ever
        ({"when": "true", "until": "2026-01-01T00:00:00"}, "/until"),  # at which place on Earth?
        ({"when": "", "until": "2026-01-01T00:00:00Z"}, "/when"),
        ({"when": "true"}, "/until"),
        ({"when": "1 + 1", "until": "2999-01-01T00:00:00Z"}, "/until"),
    ],
)
async def test_a_silence_that_makes_no_sense_is_refused(served: Api, body: Any, field: str) -> None:
    answer = await ask(served, "POST", SILENCES, json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


async def test_the_same_idempotency_key_makes_one_silence(served: Api, desk: Desk) -> None:
    body = {"when": "true", "until": at(hours=1)}
    headers = {"Idempotency-Key": "once"}
    first = await ask(served, "POST", SILENCES, json=body, headers=headers)
    second = await ask(served, "POST", SILENCES, json=body, headers=headers)
    assert (first.status_code, first.json()) == (201, second.json())
    assert await desk.count("silence") == 1


async def test_a_condition_that_a_new_policy_does_not_know_never_applies_and_is_shown_as_broken(
    served: Api, desk: Desk
) -> None:
    schedule = {
        "timezone": "UTC",
        "layers": [{"rotation": ["ana"], "shift": "1d", "starts": "2026-01-05T08:00"}],
    }
    await desk.put_in_force(bundle(api_keys=keys(), schedules={"desk": schedule}))
    await silence(served, "on_call('desk') == 'ana'", key="lead")
    await desk.put_in_force(bundle(api_keys=keys()))
    await desk.accept(event("a", service="checkout"))
    assert len(await desk.pages()) == 1
    listed = (await served.get(SILENCES)).json()["items"]
    assert listed[0]["broken"] == "no schedule 'desk'"


async def test_silences_survive_a_new_policy(served: Api, desk: Desk) -> None:
    await silence(served)
    await desk.put_in_force(bundle(api_keys=keys(), tiers=["gold", "standard"]))
    await desk.accept(event("a", service="checkout"))
    assert await desk.pages() == []


async def test_maintenance_once_and_again_and_again(served: Api, desk: Desk) -> None:
    once = {"name": "upgrade", "when": "service == 'checkout'", "from": at(minutes=-1), "to": at(hours=2)}
    answer = await ask(served, "POST", MAINTENANCE, json={**once, "then": "drop"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["state"], answer.json()["window"]) == ("in_force", None)
    window = {"days": "mon-sun", "from": "00:00", "to": "24:00", "timezone": "UTC"}
    body = {"name": "always", "when": "service == 'test'", "window": window}
    again = await ask(served, "POST", MAINTENANCE, json=body)
    assert again.status_code == 201, again.text
    assert again.json()["window"]["from"] == "00:00"
    planned = {**once, "name": "later", "from": at(hours=5), "to": at(hours=6)}
    later = (await ask(served, "POST", MAINTENANCE, json=planned)).json()
    assert later["state"] == "planned"
    await desk.accept(event("a", service="checkout"), event("b", service="test"))
    found = await by_key(desk)
    assert (found["a"].suppressed_by, found["b"].suppressed_by) == (
        "maintenance upgrade",
        "maintenance always",
    )
    assert await desk.pages() == []
    assert (await ask(served, "DELETE", f"{MAINTENANCE}/{later['id']}")).status_code == 200
    assert (await served.get(f"{MAINTENANCE}/{later['id']}")).status_code == 404
    assert len((await served.get(MAINTENANCE)).json()["items"]) == 2


NIGHTS = {"timezone": "UTC", "hours": {"days": "mon-sun"}}


async def plan(served: Api, window: Any) -> Any:
    answer = await ask(served, "POST", MAINTENANCE, json={"name": "work", "window": window})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_maintenance_in_several_windows_and_by_a_calendar(served: Api, desk: Desk) -> None:
    await desk.put_in_force(bundle(api_keys=keys(), calendars={"nights": NIGHTS}))
    one = {"days": "sun", "from": "02:00", "to": "04:00"}
    for window in (one, {"calendar": "nights"}, [one, {"calendar": "nights"}]):
        made = await plan(served, window)
        shown = (await served.get(f"{MAINTENANCE}/{made['id']}")).json()
        assert (made["window"], shown["window"], shown["broken"]) == (window, window, "")
    kept = await desk.sql('SELECT "window" IS NULL AS new FROM router.maintenance ORDER BY made_at')
    assert [row.new for row in kept] == [False, True, True], "the last release reads only one window alone"
    await desk.accept(event("a", service="checkout"))
    assert await desk.pages() == []


async def test_a_calendar_that_the_policy_lacks_is_refused_and_one_that_leaves_it_never_opens(
    served: Api, desk: Desk
) -> None:
    for window, field in (
        ({"calendar": "nights"}, "/window/calendar"),
        ([{}, {"calendar": "nights"}], "/window/1/calendar"),
        ({"from": "8"}, "/window/from"),
        ([{}, {"from": "8"}], "/window/1/from"),
    ):
        refused = await ask(served, "POST", MAINTENANCE, json={"name": "x", "window": window})
        assert refused.status_code == 422
        assert [each["field"] for each in refused.json()["errors"]] == [field]
    await desk.put_in_force(bundle(api_keys=keys(), calendars={"nights": NIGHTS}))
    made = await plan(served, [{}, {"calendar": "nights"}])
    await desk.put_in_force(bundle(api_keys=keys()))
    shown = (await served.get(f"{MAINTENANCE}/{made['id']}")).json()
    assert shown["broken"] == "no calendar is called 'nights'"
    await desk.accept(event("a", service="checkout"))
    assert len(await desk.pages()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},  # when?
        {"name": "x", "from": "2999-01-01T00:00:00Z"},
        {"name": "x", "from": "2999-01-02T00:00:00Z", "to": "2999-01-01T00:00:00Z"},
        {"name": "x", "window": {"days": "someday"}},
        {"name": "x", "window": {}, "from": "2999-01-01T00:00:00Z", "to": "2999-01-02T00:00:00Z"},
        {"name": "", "window": {}},
        {"name": "x", "window": {}, "then": "forget"},
    ],
)
async def test_maintenance_that_makes_no_sense_is_refused(served: Api, body: Any) -> None:
    answer = await ask(served, "POST", MAINTENANCE, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [SILENCES, MAINTENANCE])
async def test_an_id_that_names_nothing_is_not_found(served: Api, path: str) -> None:
    for unknown in ("nothing", "00000000-0000-0000-0000-000000000000"):
        assert (await served.get(f"{path}/{unknown}")).status_code == 404
        assert (await ask(served, "DELETE", f"{path}/{unknown}")).status_code == 404


async def test_lists_go_on_where_the_page_ended(served: Api) -> None:
    made = [await silence(served) for _ in range(3)]
    first = (await served.get(SILENCES, limit="2")).json()
    second = (await served.get(SILENCES, limit="2", cursor=first["next"])).json()
    assert [each["id"] for each in first["items"] + second["items"]] == [each["id"] for each in made[::-1]]
    assert second["next"] is None
    assert (await served.get(SILENCES, cursor="nonsense")).status_code == 422


async def announced(desk: Desk) -> list[Announced]:
    rows = await desk.sql(
        "SELECT value, headers FROM router.outbox WHERE topic = :t ORDER BY id", t=ESCALATIONS
    )
    marked = [row for row in rows if Announced.type.encode() in bytes(row.headers)]
    return [msgspec.json.decode(row.value, type=Announced) for row in marked]


async def test_whoever_made_it_hears_of_its_end_once_a_quarter_of_an_hour_before(
    served: Api, desk: Desk
) -> None:
    await silence(served, comment="we know")
    await silence(served, key="lead")  # of a key that acts for nobody
    await desk.accept(event("a", service="checkout"))
    assert await silence_store.announce_once(desk.database, utcnow() + timedelta(minutes=44)) == 0
    assert await silence_store.announce_once(desk.database, utcnow() + timedelta(minutes=46)) == 2
    assert await silence_store.announce_once(desk.database, utcnow() + timedelta(minutes=47)) == 0
    told = await announced(desk)
    assert [each.recipients[0].name for each in told] == ["petra"]
    assert told[0].event == "maintenance"
    assert "we know" in told[0].text
    assert "It keeps 1 incident quiet: what still stands is paged then" in told[0].text


async def test_of_a_short_one_half_its_length_before(served: Api, desk: Desk) -> None:
    await silence(served, until=at(minutes=10))
    assert await silence_store.announce_once(desk.database, utcnow() + timedelta(minutes=4)) == 0
    assert await silence_store.announce_once(desk.database, utcnow() + timedelta(minutes=6)) == 1


async def test_nobody_hears_of_the_end_of_what_was_deleted_or_comes_again(served: Api, desk: Desk) -> None:
    made = await silence(served)
    await ask(served, "DELETE", f"{SILENCES}/{made['id']}")
    await ask(served, "POST", MAINTENANCE, "bot", json={"name": "nights", "window": {}})
    assert await silence_store.announce_once(desk.database, utcnow() + timedelta(minutes=50)) == 0


async def test_what_has_been_over_for_90_days_is_forgotten(served: Api, desk: Desk) -> None:
    made = await silence(served)
    await retention.delete_expired_once(desk.database, utcnow() + timedelta(days=90))
    assert await desk.count("silence") == 1
    await retention.delete_expired_once(
        desk.database, datetime.fromisoformat(made["until"]) + timedelta(days=91)
    )
    assert await desk.count("silence") == 0


async def test_members_are_listed_page_by_page(served: Api, desk: Desk) -> None:
    grouping = [{"name": "g", "by": ["service"], "within": "5m"}]
    await desk.put_in_force(bundle(api_keys=keys(), grouping=grouping))
    await desk.accept(*(event(key, service="checkout") for key in "abcd"))
    await hand_on(desk)
    parent = (await by_key(desk))["a"]
    shown = (await served.get(f"/v1/incidents/{parent.id}")).json()
    assert (shown["members"], shown["members_open"], shown["parent"]) == (3, 3, "")
    first = (await served.get(f"/v1/incidents/{parent.id}/members", limit="2")).json()
    second = (await served.get(f"/v1/incidents/{parent.id}/members", limit="2", cursor=first["next"])).json()
    members = first["items"] + second["items"]
    assert sorted(each["dedup_key"] for each in members) == ["b", "c", "d"]
    assert {each["parent"] for each in members} == {parent.id}
    nobody = "/v1/incidents/00000000-0000-0000-0000-000000000000/members"
    assert (await served.get(nobody)).status_code == 404
