"""What is put into Ladder over HTTP: created, listed, shown, taken away; once for each Idempotency-Key."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx2
import pytest

from shared.clock import utcnow
from tests.api.hosted import Office, problem

_AN_ID: Final = "6f1c7a52-4f0e-4e0c-9f5e-4b8e4f8f0a11"


def at(**span: float) -> str:
    return (utcnow() + timedelta(**span)).isoformat()


@dataclass(frozen=True)
class Kind:
    """One kind of thing: its path, a body that is good, what an item has, how its absence is called."""

    path: str
    body: Mapping[str, Any]
    fields: frozenset[str]
    missing: str

    def __str__(self) -> str:
        return self.path.rpartition("/")[2]


OVERRIDE: Final = Kind(
    "/v1/overrides",
    {"schedule": "desk", "user": "petra", "from": at(days=30), "to": at(days=31), "comment": "swap"},
    frozenset({"id", "schedule", "user", "from", "to", "comment", "by", "made_at", "absent", "broken"}),
    "no-such-override",
)
SILENCE: Final = Kind(
    "/v1/silences",
    {"when": "service == 'nobody-has-it'", "until": at(hours=1), "comment": "ünïcödé 😀"},
    frozenset({"id", "when", "from", "until", "comment", "by", "made_at", "state", "broken"}),
    "no-such-silence",
)
MAINTENANCE: Final = Kind(
    "/v1/maintenance",
    {"name": "upgrade", "when": "service == 'nobody-has-it'", "from": at(days=1), "to": at(days=2)},
    frozenset({"id", "name", "when", "from", "to", "window", "then", "by", "made_at", "state", "broken"}),
    "no-such-maintenance",
)
KINDS: Final = (OVERRIDE, SILENCE, MAINTENANCE)
CUSTOMER: Final = {
    "name": "Dune",
    "tier": "gold",
    "value": 1000,
    "owner": "petra",
    "match": ["dune.example"],
    "contacts": {"mail": {"email": "ops@dune.example"}},
}


async def make(
    office: Office, kind: Kind, key: str = "lead", again: str = "", **changes: Any
) -> httpx2.Response:
    headers = {"Idempotency-Key": again} if again else {}
    return await office.ask("POST", kind.path, key, json=dict(kind.body) | changes, headers=headers)


async def remove(office: Office, path: str, again: str = "") -> httpx2.Response:
    return await office.ask("DELETE", path, "lead", headers={"Idempotency-Key": again} if again else {})


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_what_is_created_is_listed_shown_and_taken_away(office: Office, kind: Kind) -> None:
    answer = await make(office, kind)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    made.pop("gaps", None)  # what an override leaves to nobody is said once, when it is made
    assert set(made) >= kind.fields
    assert made["by"] == "api:lead"
    for name in set(kind.body) - {"from", "to", "until"}:
        assert made[name] == kind.body[name]
    path = f"{kind.path}/{made['id']}"
    assert (await office.get(path)).json() == made
    page = (await office.get(kind.path)).json()
    assert set(page) == {"items", "next"}
    assert made in page["items"]
    taken = await remove(office, path)
    assert (taken.status_code, taken.json()["id"]) == (200, made["id"])
    assert made["id"] not in {item["id"] for item in (await office.get(kind.path)).json()["items"]}
    again = await remove(office, path)
    problem(again, again.status_code, "conflict" if again.status_code == 409 else kind.missing)
    assert again.status_code in {404, 409}


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_the_same_key_again_gets_the_same_answer_and_nothing_twice(office: Office, kind: Kind) -> None:
    key = str(uuid.uuid4())
    first = await make(office, kind, again=key)
    second = await make(office, kind, again=key)
    assert (first.status_code, second.status_code) == (201, 201), second.text
    assert first.content == second.content
    other = problem(await make(office, kind, again=key, comment="x", name="x"), 422, "invalid-request")
    assert other["errors"], "a body with unknown fields is refused before anything else"
    changed = {"to": at(days=40)} if "to" in kind.body else {"until": at(hours=2)}
    problem(await make(office, kind, again=key, **changed), 422, "idempotency-key-reused")
    path, taking = f"{kind.path}/{first.json()['id']}", str(uuid.uuid4())
    gone = await remove(office, path, again=taking)
    assert gone.status_code == 200
    repeated = await remove(office, path, again=taking)
    assert (repeated.status_code, repeated.content) == (200, gone.content)
    problem(await remove(office, f"{kind.path}/{_AN_ID}", again=taking), 422, "idempotency-key-reused")


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("odd", [_AN_ID, "x", "%00", "%ff", "9" * 400, "{}", "%F0%9F%98%80"])
async def test_an_id_that_names_nothing_is_not_found(office: Office, kind: Kind, odd: str) -> None:
    problem(await office.get(f"{kind.path}/{odd}"), 404, kind.missing)
    problem(await remove(office, f"{kind.path}/{odd}"), 404, kind.missing)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_list_goes_on_where_its_page_ends(office: Office, kind: Kind) -> None:
    shift = {"from": at(days=60), "to": at(days=61)}, {"from": at(days=62), "to": at(days=63)}
    made = [
        (await make(office, kind, **(shift[number] if kind is not SILENCE else {}))).json()["id"]
        for number in range(2)
    ]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = (await office.get(kind.path, **query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert set(made) <= set(seen)
    assert len(seen) == len(set(seen))
    for each in made:
        await remove(office, f"{kind.path}/{each}")


async def test_a_customer_is_put_listed_shown_and_removed(office: Office) -> None:
    key = str(uuid.uuid4())
    put = await office.ask(
        "PUT", "/v1/customers/dune", "lead", json=CUSTOMER, headers={"Idempotency-Key": key}
    )
    assert put.status_code == 200, put.text
    made = put.json()
    assert {name: made[name] for name in CUSTOMER} == CUSTOMER
    assert (made["id"], made["source"], made["changed_by"]) == ("dune", "api", "api:lead")
    again = await office.ask(
        "PUT", "/v1/customers/dune", "lead", json=CUSTOMER, headers={"Idempotency-Key": key}
    )
    assert again.content == put.content
    reused = CUSTOMER | {"value": 7}
    answer = await office.ask(
        "PUT", "/v1/customers/dune", "lead", json=reused, headers={"Idempotency-Key": key}
    )
    problem(answer, 422, "idempotency-key-reused")
    assert (await office.get("/v1/customers/dune", "lead")).json() == made | {"notes": []}
    listed = (await office.get("/v1/customers")).json()
    assert {"acme", "dune"} <= {item["id"] for item in listed["items"]}
    assert set(listed) == {"items", "next"}
    for _ in range(2):
        gone = await remove(office, "/v1/customers/dune", again=key + "-gone")
        assert (gone.status_code, gone.content) == (204, b"")
    problem(await remove(office, "/v1/customers/dune"), 404, "not-found")
    problem(await office.get("/v1/customers/dune"), 404, "not-found")
    problem(await office.ask("PUT", "/v1/customers/acme", "lead", json=CUSTOMER), 409, "conflict")
    problem(await remove(office, "/v1/customers/acme"), 409, "conflict")


@pytest.mark.parametrize(
    ("kind", "changes", "field", "says"),
    [
        (OVERRIDE, {"schedule": "dest"}, "/schedule", "did you mean 'desk'"),
        (OVERRIDE, {"user": "petr"}, "/user", "did you mean 'petra'"),
        (OVERRIDE, {"absent": "anna"}, "/absent", "did you mean 'ana'"),
        (OVERRIDE, {"nobody": True}, "/nobody", "either somebody or nobody"),
        (OVERRIDE, {"user": None}, "/user", "who stands in?"),
        (OVERRIDE, {"schedule": None}, "/schedule", "which schedule?"),
        (OVERRIDE, {"absent": "petra"}, "/user", "cannot stand in for themselves"),
        (OVERRIDE, {"to": at(days=1)}, "/to", "later than `from`"),
        (OVERRIDE, {"from": "2026-05-01T08:00:00"}, "/from", "expected an offset"),
        (OVERRIDE, {"from": "0001-01-01T00:00:00+14:00"}, "/from", "too far away"),
        (OVERRIDE, {"to": "9999-12-31T23:59:59-14:00"}, "/to", "too far away"),
        (OVERRIDE, {"user": "a\0b"}, "/user", "NUL"),
        (OVERRIDE, {"from": at(days=-2), "to": at(days=-1)}, "/to", "in the past"),
        (OVERRIDE, {"from": 5}, "/from", "expected a time in writing"),
        (OVERRIDE, {"from": "1767225600"}, "/from", "expected a time in writing"),
        (SILENCE, {"until": 4e9}, "/until", "expected a time in writing"),
        (SILENCE, {"until": "0001-01-01T00:00:00+14:00"}, "/until", "too far away"),
        (SILENCE, {"until": "9999-12-31T23:59:59-14:00"}, "/until", "too far away"),
        (SILENCE, {"until": "9999-12-31T23:59:59Z"}, "/until", "at most 366 days"),
        (SILENCE, {"until": "2020-01-01T00:00:00Z"}, "/until", "past"),
        (SILENCE, {"until": 1e400}, "", ""),
        (SILENCE, {"when": "servce == 'x'"}, "/when", "column 1"),
        (SILENCE, {"when": "service == "}, "/when", "column"),
        (SILENCE, {"when": "priority + 1"}, "/when", "not true or false"),
        (SILENCE, {"when": "'\0'"}, "/when", "NUL"),
        (SILENCE, {"when": "(" * 3000}, "/when", ""),
        (SILENCE, {"when": ""}, "/when", "empty"),
        (MAINTENANCE, {"to": at(hours=1)}, "/to", "later"),
        (MAINTENANCE, {"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, "/to", "past"),
        (MAINTENANCE, {"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:59:59-14:00"}, "/to", "too far"),
        (MAINTENANCE, {"then": "explode"}, "/then", "page"),
        (MAINTENANCE, {"window": {"days": "sun", "from": "02:00", "to": "04:00"}}, "/", "either"),
        (MAINTENANCE, {"name": " \t "}, "/name", "empty"),
        (MAINTENANCE, {"wen": "true"}, "/wen", "no such field"),
    ],
    ids=lambda each: ",".join(each) if isinstance(each, dict) else str(each),  # times differ between runs
)
async def test_what_is_wrong_is_refused_at_its_place(
    office: Office, kind: Kind, changes: Mapping[str, Any], field: str, says: str
) -> None:
    body = dict(kind.body) | changes
    if body.get("until") == float("inf"):
        answer = await office.ask(
            "POST",
            kind.path,
            "lead",
            content=b'{"when": "true", "until": 1e400}',
            headers={"Content-Type": "application/json"},
        )
    else:
        answer = await office.ask("POST", kind.path, "lead", json=body)
    errors = problem(answer, 422, "invalid-request")["errors"]
    assert any(error["field"].startswith(field) and says in error["reason"] for error in errors), errors
