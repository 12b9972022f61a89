"""Who is on call over HTTP: overrides, shifts, calendars, and what they mean for what is open."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from icalendar import Calendar

from shared.clock import utcnow
from shared.security.keys import Signer, digest
from tests.domain.tale import bundle, on_main
from tests.services.router.api import Api, keys
from tests.services.router.desk import event

DAILY = {
    "desk": {
        "timezone": "Europe/Prague",
        "layers": [
            {"name": "daily", "rotation": ["ana", "petra"], "shift": "1d", "starts": "2026-01-05T08:00"},
            {
                "name": "nights",
                "rotation": ["karel"],
                "shift": "1w",
                "starts": "2026-01-05T08:00",
                "only": {"days": "fri", "from": "22:00", "to": "06:00"},
            },
        ],
    }
}
FRIDAY = datetime(2027, 1, 8, 12, 0, tzinfo=UTC)


def policy(**sections: Any) -> Any:
    level = {"name": "desk", "notify": ["schedule:desk"], "acknowledge_within": "5m"}
    return bundle(**({"api_keys": keys(), "schedules": DAILY} | on_main(levels=[level]) | sections))


@pytest.fixture
async def served(served: Api) -> Api:
    await served.desk.put_in_force(policy())
    return served


async def ask(
    served: Api, method: str, path: str, key: str = "lead", idempotency: str = "", **rest: Any
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}"} | ({"Idempotency-Key": idempotency} if idempotency else {})
    return await served.client.request(method, path, headers=headers, **rest)


def body(begins: datetime, ends: datetime, user: str = "karel", **more: Any) -> dict[str, Any]:
    return {
        "schedule": "desk",
        "user": user,
        "from": begins.isoformat(),
        "to": ends.isoformat(),
        **more,
    }


async def made(served: Api, begins: datetime, ends: datetime, user: str = "karel") -> dict[str, Any]:
    answer = await ask(served, "POST", "/v1/overrides", json=body(begins, ends, user))
    assert answer.status_code == 201, answer.text
    override: dict[str, Any] = answer.json()
    assert override.pop("gaps") == []
    return override


async def on_call_at(served: Api, at: datetime) -> dict[str, Any]:
    answer = await served.get("/v1/oncall", at=at.isoformat())
    assert answer.status_code == 200, answer.text
    [item] = answer.json()["items"]
    return item


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_an_override_comes_before_every_layer(served: Api) -> None:
    at = FRIDAY.replace(hour=23)
    assert (await on_call_at(served, at))["layer"] == "nights"
    override = await made(served, at - timedelta(hours=1), at + timedelta(hours=1), "petra")
    found = await on_call_at(served, at)
    assert (found["user"], found["layer"], found["override"]) == ("petra", "override", override["id"])
    assert moment(found["until"]) == at + timedelta(hours=1)
    assert found["next"] == {"user": "karel", "from": "2027-01-09T00:00:00Z"}
    assert "petra stands in until 2027-01-09 01:00 Europe/Prague (an override by api:lead)" in found["reason"]


async def test_an_override_is_told_whole_and_one_by_one(served: Api) -> None:
    given = body(FRIDAY, FRIDAY + timedelta(hours=2), comment="dentist")
    override = (await ask(served, "POST", "/v1/overrides", json=given)).json()
    assert override.pop("gaps") == []
    expected = {"schedule": "desk", "user": "karel", "comment": "dentist", "by": "api:lead"}
    assert {name: override[name] for name in expected} == expected
    assert (moment(override["from"]), moment(override["to"])) == (FRIDAY, FRIDAY + timedelta(hours=2))
    one = await served.get(f"/v1/overrides/{override['id']}")
    assert one.json() == override
    assert (await served.get("/v1/overrides")).json() == {"items": [override], "next": None}


async def test_overrides_are_listed_by_schedule_and_range_page_by_page(served: Api) -> None:
    days = [FRIDAY + timedelta(days=number) for number in range(5)]
    all_of_them = [(await made(served, day, day + timedelta(hours=1)))["id"] for day in days]
    within = {"from": days[1].isoformat(), "to": days[3].isoformat()}
    found = (await served.get("/v1/overrides", **within)).json()["items"]
    assert [each["id"] for each in found] == all_of_them[1:3]
    assert (await served.get("/v1/overrides", schedule="other")).json()["items"] == []
    seen, cursor = [], ""
    while True:
        page = (await served.get("/v1/overrides", limit=2, **({"cursor": cursor} if cursor else {}))).json()
        seen += [each["id"] for each in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == all_of_them


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"to": FRIDAY.isoformat()}, "/to", "it must be later than `from`: the override would be empty"),
        ({"schedule": "dsk"}, "/schedule", "no schedule 'dsk' in the policy in force; did you mean 'desk'?"),
        ({"user": "anna"}, "/user", "no user 'anna' in the policy in force; did you mean 'ana'?"),
        ({"from": "2027-01-08T12:00:00"}, "/from", "offset"),  # without an offset it is no instant
    ],
)
async def test_an_override_that_cannot_be_is_refused(
    served: Api, change: dict[str, Any], field: str, reason: str
) -> None:
    given = body(FRIDAY, FRIDAY + timedelta(hours=1)) | change
    answer = await ask(served, "POST", "/v1/overrides", json=given)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]
    assert await served.desk.count("override") == 0


async def test_of_two_overrides_the_one_made_last_counts_and_then_the_other_goes_on(served: Api) -> None:
    outer = await made(served, FRIDAY, FRIDAY + timedelta(hours=4))
    inner = await made(served, FRIDAY + timedelta(hours=1), FRIDAY + timedelta(hours=2), "petra")
    hours = [FRIDAY + timedelta(hours=number, minutes=30) for number in range(3)]
    assert [(await on_call_at(served, at))["override"] for at in hours] == [
        outer["id"],
        inner["id"],
        outer["id"],
    ]
    wide = await made(served, FRIDAY - timedelta(hours=1), FRIDAY + timedelta(hours=5), "ana")
    assert {(await on_call_at(served, at))["override"] for at in hours} == {wide["id"]}


async def test_overrides_made_at_once_all_stand_and_one_of_them_counts(served: Api) -> None:
    given = [body(FRIDAY, FRIDAY + timedelta(hours=2), user) for user in ("ana", "petra", "karel")]
    answers = await asyncio.gather(*(ask(served, "POST", "/v1/overrides", json=each) for each in given))
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    last = max(answers, key=lambda each: (each.json()["made_at"], each.json()["id"])).json()
    assert (await on_call_at(served, FRIDAY))["user"] == last["user"]


async def test_the_same_idempotency_key_makes_one_override(served: Api) -> None:
    given = body(FRIDAY, FRIDAY + timedelta(hours=2))
    first, second = [
        await ask(served, "POST", "/v1/overrides", json=given, idempotency="once") for _ in range(2)
    ]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = await ask(served, "POST", "/v1/overrides", json=given | {"user": "ana"}, idempotency="once")
    assert (other.status_code, other.json()["type"]) == (422, "urn:ladder:problem:idempotency-key-reused")


@pytest.mark.parametrize(("key", "status"), [("viewer", 403), ("responder", 403), ("lead", 201), ("", 401)])
async def test_overrides_are_the_leads_to_make(served: Api, key: str, status: int) -> None:
    given = body(FRIDAY, FRIDAY + timedelta(hours=2))
    assert (await ask(served, "POST", "/v1/overrides", key, json=given)).status_code == status
    assert (await ask(served, "DELETE", f"/v1/overrides/{'0' * 32}", key)).status_code == (
        404 if status == 201 else status
    )


async def test_one_that_has_not_begun_is_taken_back_whole(served: Api) -> None:
    override = await made(served, FRIDAY, FRIDAY + timedelta(hours=2))
    path = f"/v1/overrides/{override['id']}"
    assert (await ask(served, "DELETE", path)).json() == override
    assert (await served.get(path)).status_code == 404
    assert (await ask(served, "DELETE", path)).status_code == 404
    assert await served.desk.count("override") == 0


async def test_one_that_runs_ends_now_so_that_it_stays_known_who_had_it(served: Api) -> None:
    now = utcnow()
    override = await made(served, now - timedelta(hours=1), now + timedelta(hours=1))
    path = f"/v1/overrides/{override['id']}"
    left = (await ask(served, "DELETE", path)).json()
    assert moment(left["from"]) == moment(override["from"])
    assert now <= moment(left["to"]) <= utcnow()
    assert (await on_call_at(served, now - timedelta(minutes=30)))["override"] == override["id"]
    assert (await on_call_at(served, utcnow()))["override"] == ""
    again = await ask(served, "DELETE", path)
    assert again.status_code == 409
    assert "it is history" in again.json()["detail"]


async def test_overrides_survive_a_change_of_policy(served: Api) -> None:
    override = await made(served, FRIDAY, FRIDAY + timedelta(hours=2))
    await served.desk.put_in_force(policy(tiers=["gold", "standard"]))
    assert (await on_call_at(served, FRIDAY))["override"] == override["id"]
    await served.desk.put_in_force(policy(schedules={}, **on_main()))
    assert (await served.get("/v1/oncall")).json() == {"items": []}
    broken = "there is no schedule desk in the policy in force"
    assert (await served.get("/v1/overrides")).json()["items"] == [override | {"broken": broken}]


async def test_who_stands_in_is_paged(served: Api) -> None:
    now = utcnow()
    await made(served, now - timedelta(hours=1), now + timedelta(hours=1))
    await served.desk.accept(event())
    assert [page.recipient.name for page in await served.desk.pages()] == ["karel"]


async def test_an_override_by_somebody_who_left_is_passed_over_and_every_surface_says_so(served: Api) -> None:
    now = utcnow()
    eva = {"name": "Eva", "contacts": {"box": {"inbox": "eva"}}}
    await served.desk.put_in_force(policy(users={**users(), "eva": eva}, schedules={"desk": alone_is("ana")}))
    override = await made(served, now - timedelta(hours=1), now + timedelta(hours=1), "eva")
    assert (await on_call_at(served, now))["user"] == "eva"
    await served.desk.put_in_force(policy(schedules={"desk": alone_is("ana")}))
    gone = "an override by api:lead names eva, who is no user of the policy in force"
    incident = await served.opened()
    [page] = await served.desk.pages()
    assert page.recipient.name == "ana"
    assert gone in page.reason
    items = (await served.get(f"/v1/incidents/{incident}/timeline")).json()["items"]
    assert f"schedule:desk: {gone}: Ana is asked instead" in [each["text"] for each in items]
    duty = await on_call_at(served, now)
    assert (duty["user"], duty["override"], duty["passed"]) == ("ana", "", [gone])
    assert duty["reason"].endswith(gone)
    [shift, *_] = (await served.get("/v1/schedules/desk/shifts")).json()["items"]
    assert (shift["user"], shift["passed"]) == ("ana", [gone])
    [event] = [
        each for each in await events_of(served, await feed(served)) if gone in str(each["description"])
    ]
    assert "Ana on call" in str(event["summary"])
    [listed] = (await served.get("/v1/overrides")).json()["items"]
    assert listed["id"] == override["id"]
    assert listed["broken"] == "eva is no user of the policy in force: what lies beneath counts"


def users() -> dict[str, Any]:
    names = {"ana": "Ana", "petra": "Petra", "karel": "Karel"}
    return {user: {"name": name, "contacts": {"box": {"inbox": user}}} for user, name in names.items()}


async def test_what_is_open_is_handed_over_at_once_when_an_override_cuts_the_shift_short(served: Api) -> None:
    await served.desk.put_in_force(policy(schedules={"desk": alone_is("ana")}))
    incident = await served.opened()
    assert (await served.act(incident, "acknowledge", "ana")).status_code == 200
    await served.desk.sql("DELETE FROM router.outbox")
    now = utcnow()
    await made(served, now - timedelta(minutes=1), now + timedelta(hours=1))
    assert await served.desk.engine.fire() == 1
    told = [notice for message in await served.desk.messages() for notice in message.notices]
    assert [(each.event, each.recipient.name) for each in told] == [("handoff", "karel"), ("handoff", "ana")]
    assert (await served.desk.only()).duty is not None


def alone_is(user: str) -> dict[str, Any]:
    layer = {"name": "all", "rotation": [user], "shift": "1w", "starts": "2026-01-05T08:00"}
    return {"timezone": "UTC", "layers": [layer]}


# --- schedules and shifts ---------------------------------------------------------------------------------


async def test_schedules_are_listed_with_whom_they_name(served: Api) -> None:
    [item] = (await served.get("/v1/schedules")).json()["items"]
    assert item == {
        "name": "desk",
        "timezone": "Europe/Prague",
        "handoff": "inform",
        "layers": ["daily", "nights"],
        "users": ["ana", "petra", "karel"],
    }


async def test_shifts_tile_the_range_with_layers_and_overrides(served: Api) -> None:
    override = await made(served, FRIDAY, FRIDAY + timedelta(hours=2))
    until = FRIDAY + timedelta(days=1)
    answer = await served.get(
        "/v1/schedules/desk/shifts", **{"from": FRIDAY.isoformat(), "to": until.isoformat()}
    )
    found = answer.json()
    assert (found["schedule"], found["timezone"]) == ("desk", "Europe/Prague")
    items = found["items"]
    assert moment(items[0]["from"]) == FRIDAY
    assert moment(items[-1]["to"]) == until
    assert [first["to"] for first in items[:-1]] == [second["from"] for second in items[1:]]
    assert [(each["user"], each["layers"], each["overrides"]) for each in items[:3]] == [
        ("karel", [], [override["id"]]),
        (items[1]["user"], ["daily"], []),
        ("karel", ["nights"], []),
    ]
    mine = await served.get("/v1/schedules/desk/shifts", user="karel", **{"from": FRIDAY.isoformat()})
    assert {each["user"] for each in mine.json()["items"]} == {"karel"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "2027-01-01T00:00:00Z", "to": "2029-01-01T00:00:00Z"}, 422),  # too long
        ({"from": "2027-01-02T00:00:00Z", "to": "2027-01-01T00:00:00Z"}, 422),  # backwards
        ({"from": "9999-12-31T23:00:00Z"}, 422),
        ({"from": "0001-01-01T00:00:00Z"}, 200),  # nobody was on call
        ({"from": "yesterday"}, 422),
        ({}, 200),
    ],
)
async def test_a_range_of_shifts_is_bounded(served: Api, query: dict[str, str], status: int) -> None:
    assert (await served.get("/v1/schedules/desk/shifts", **query)).status_code == status


async def test_turns_too_short_to_list_are_refused_and_an_unknown_schedule_is_none(served: Api) -> None:
    layer = {"rotation": ["ana", "petra"], "shift": "1m", "starts": "2026-01-05T08:00"}
    await served.desk.put_in_force(policy(schedules={"desk": {"timezone": "UTC", "layers": [layer]}}))
    answer = await served.get("/v1/schedules/desk/shifts")
    assert answer.status_code == 422
    assert "more than 10000 turns in the range: ask for a shorter one" in answer.text
    assert (await served.get("/v1/schedules/dsk/shifts")).status_code == 404


# --- calendars --------------------------------------------------------------------------------------------


async def feed(served: Api, key: str = "ana", **query: str) -> httpx2.URL:
    answer = await ask(served, "POST", "/v1/schedules/desk/feed", key, params=query)
    assert answer.status_code == 200, answer.text
    return httpx2.URL(answer.json()["url"])


async def events_of(served: Api, url: httpx2.URL) -> list[Any]:
    answer = await served.client.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/calendar")
    return list(Calendar.from_ical(answer.content).walk("VEVENT"))


async def test_a_calendar_shows_the_shifts_to_whoever_has_its_address(served: Api) -> None:
    url = await feed(served)
    events = await events_of(served, url)
    now = utcnow()
    [current] = [each for each in events if each["dtstart"].dt <= now < each["dtend"].dt]
    expected = await on_call_at(served, now)
    assert current["dtend"].dt == moment(expected["until"]) or expected["layer"] == "nights"
    assert str(current["summary"]).endswith("on call: desk")
    assert len({str(each["uid"]) for each in events}) == len(events)
    assert {each["dtstart"].dt.utcoffset() for each in events} == {timedelta(0)}
    assert (await served.client.get(url)).content == (await served.client.get(url)).content


async def test_a_calendar_of_one_person_shows_theirs_only(served: Api) -> None:
    events = await events_of(served, await feed(served, user="petra"))
    assert {str(each["summary"]) for each in events} == {"Petra on call: desk"}


async def test_a_shift_keeps_its_uid_when_others_change(served: Api) -> None:
    url = await feed(served)
    before = {str(each["uid"]) for each in await events_of(served, url)}
    begins = utcnow() + timedelta(days=40)
    await made(served, begins, begins + timedelta(minutes=5), "karel")
    after = {str(each["uid"]) for each in await events_of(served, url)}
    assert len(before - after) <= 1
    assert len(after - before) <= 3


@pytest.mark.parametrize("broken", ["no", "altered", "another's", "none"])
async def test_a_wrong_token_finds_nothing(served: Api, broken: str) -> None:
    token = (await feed(served)).params["token"]
    given = {
        "no": {},
        "altered": {"token": token[:-2] + ("AA" if token[-2:] != "AA" else "BB")},
        "another's": {"token": token},
        "none": {"token": "x.y"},
    }[broken]
    name = "other" if broken == "another's" else "desk"
    answer = await served.client.get(f"/v1/schedules/{name}/shifts.ics", params=given)
    assert answer.status_code == 404


@pytest.mark.parametrize("key", ["ana", "viewer"])
async def test_the_address_dies_with_its_holder(served: Api, key: str) -> None:
    url = await feed(served, key)
    left = {name: value for name, value in keys().items() if name not in {"ana", "viewer"}}
    people = {name: value for name, value in users().items() if name != "ana"}
    schedule = {"desk": alone_is("petra")}
    parts = on_main(levels=[{"name": "desk", "notify": ["user:petra"], "acknowledge_within": "5m"}])
    teams = {"desk": {"members": ["petra"], "lead": "petra"}}
    await served.desk.put_in_force(
        bundle(api_keys=left, users=people, schedules=schedule, teams=teams, **parts)
    )
    assert (await served.client.get(url)).status_code == 404


async def end(served: Api, key: str, **query: str) -> int:
    status: int = (await ask(served, "DELETE", "/v1/schedules/desk/feed", key, params=query)).status_code
    return status


async def test_an_address_that_went_astray_is_ended_and_the_next_one_works(served: Api) -> None:
    """Whoever has it ends it; those of others take a lead; nobody else's are touched."""
    astray, leads, viewers = [await feed(served, key) for key in ("ana", "lead", "viewer")]
    assert await end(served, "ana") == 204
    assert (await served.client.get(astray)).status_code == 404
    assert await end(served, "viewer", holder="user:petra") == 403
    for url in (leads, viewers, await feed(served, "ana")):
        assert (await served.client.get(url)).status_code == 200
    assert await end(served, "lead", holder="api:viewer") == 204
    assert (await served.client.get(viewers)).status_code == 404
    assert await end(served, "lead", holder="everybody") == 204
    assert (await served.client.get(leads)).status_code == 404
    assert await end(served, "lead", holder="somebody") == 422


async def test_an_address_ends_with_the_key_that_asked_for_it(served: Api) -> None:
    """A key that was changed because it leaked takes along what was made with it."""
    url = await feed(served, "viewer")
    await served.desk.put_in_force(policy())
    assert (await served.client.get(url)).status_code == 200
    changed = {"keys": [{"sha256": digest("another viewer")}], "role": "viewer"}
    await served.desk.put_in_force(policy(api_keys=keys() | {"viewer": changed}))
    assert (await served.client.get(url)).status_code == 404


def test_a_token_ends_with_the_secret_key_that_signed_it() -> None:
    """While the key is changed both count; once the old one is gone, so is what it signed."""
    token = Signer(("old",)).sign("shifts", {"schedule": "desk"})
    assert Signer(("new", "old")).verify("shifts", token, utcnow()) == {"schedule": "desk"}
    assert Signer(("new",)).verify("shifts", token, utcnow()) is None


async def test_an_address_is_given_for_schedules_and_people_that_exist(served: Api) -> None:
    assert (await ask(served, "POST", "/v1/schedules/dsk/feed", "viewer")).status_code == 404
    unknown = await ask(served, "POST", "/v1/schedules/desk/feed", "viewer", params={"user": "nobody"})
    assert unknown.status_code == 422
    assert urlsplit(str(await feed(served, "viewer"))).path == "/v1/schedules/desk/shifts.ics"
    assert digest("viewer") not in str(await feed(served, "viewer"))
