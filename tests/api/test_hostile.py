"""What nobody should send: it is refused as a problem, or answered as what it is, and never a surprise."""

import base64
import json
from typing import Any, Final
from urllib.parse import quote

import httpx2
import pytest

from ladder.web.edge import Edge
from tests.api.assembled import APP
from tests.api.hosted import PAGER, Office, problem

_AN_ID: Final = "6f1c7a52-4f0e-4e0c-9f5e-4b8e4f8f0a11"
_TOO_EARLY: Final = f'["0001-01-01T00:00:00+14:00","{_AN_ID}"]'
_JSON: Final = {"Content-Type": "application/json"}


def cursor(place: Any) -> str:
    """A cursor of the lists, made by hand."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def refused(answer: httpx2.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].startswith("urn:ladder:problem:")


@pytest.mark.parametrize(
    "place",
    [
        ["newest", "0001-01-01T00:00:00+14:00", _AN_ID],
        ["newest", "9999-12-31T23:59:59-14:00", _AN_ID],
        ["newest", "2026-01-01T00:00:00", _AN_ID],
        ["newest", "yesterday", _AN_ID],
        ["newest", 1, 2],
        ["newest"],
        ["newest", "2026-01-01T00:00:00Z", "no uuid"],
        ["pressing", 1, "infinity", 0, _AN_ID],
        [],
        {},
        "newest",
        None,
    ],
)
async def test_a_cursor_made_by_hand_is_refused(office: Office, place: Any) -> None:
    answer = await office.get("/v1/incidents", cursor=cursor(place))
    assert problem(answer, 422, "invalid-request")["errors"][0]["field"] == "query:cursor"


@pytest.mark.parametrize(
    "place",
    [
        '["pressing",1e999,"infinity",0,"ID"]',
        '["pressing",100000000000000000000,"infinity",0,"ID"]',
        '["pressing",0,"infinity",0,"ID"]',
        '["pressing",1,"infinity",1' + "0" * 320 + ',"ID"]',
        '["pressing",1,"2026-W01-1",0,"ID"]',
        '["pressing",1,"now",0,"ID"]',
        '["pressing",1,"0001-01-01T00:00:00+14:00",0,"ID"]',
        '["pressing",1,null,0,"ID"]',
        "[" * 300,
    ],
)
async def test_a_cursor_of_the_pressing_made_by_hand_is_refused(office: Office, place: str) -> None:
    made = base64.urlsafe_b64encode(place.replace("ID", _AN_ID).encode()).decode().rstrip("=")
    refused(await office.get("/v1/incidents", sort="pressing", cursor=made))


@pytest.mark.parametrize(
    ("path", "odd"),
    [
        ("/v1/deliveries", base64.urlsafe_b64encode(_TOO_EARLY.encode()).decode()),
        ("/v1/dead-letters", base64.urlsafe_b64encode(_TOO_EARLY.encode()).decode()),
        ("/v1/dead-letters", cursor(["2026-01-01T00:00:00Z", 7])),
        ("/v1/dead-letters", cursor(["2026-01-01T00:00:00Z", "\0"])),
        ("/v1/dead-letters", cursor(["2026-01-01T00:00:00", "x"])),
        ("/v1/dead-letters", cursor({})),
        ("/v1/deliveries", base64.urlsafe_b64encode(b'["one"]').decode()),
        ("/v1/deliveries", base64.urlsafe_b64encode(b"{}").decode()),
        ("/v1/deliveries", "%FF"),
        ("/v1/deliveries", "x" * 201),
        ("/v1/inbox/ana", "-1"),
        ("/v1/inbox/ana", "9" * 30),
        ("/v1/inbox/ana", "٣"),
        ("/v1/inbox/ana", "1.5"),
    ],
)
async def test_other_lists_refuse_such_cursors_too(office: Office, path: str, odd: str) -> None:
    refused(await office.get(path, "admin", cursor=odd))


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=" + "9" * 5000,
        "limit=1e2",
        "limit=",
        "priority=0",
        "priority=" + "9" * 30,
        "status=lost",
        "status=%00",
        "sort=best",
        "q=%00",
        "customer=a%00b",
        "q=" + "a" * 60_000,
        "cursor=" + "a" * 60_000,
        "statsu=triggered",
        "q=x&colour=red",
    ],
)
async def test_a_list_refuses_what_it_cannot_use_and_what_it_does_not_know(
    office: Office, query: str
) -> None:
    """An unknown parameter is mostly a misspelled filter: an answer with everything would be wrong."""
    answer = await office.get(f"/v1/incidents?{query}")
    errors = problem(answer, 422, "invalid-request")["errors"]
    assert all(error["field"].startswith("query:") for error in errors)


_TEXTS: Final = ("", "%00", "%ff", "a" * 60_000, "%ED%A0%80", "٣", "1e999", "-1", "9" * 400, "[]")
_TIMES: Final = (
    *_TEXTS,
    "5",
    "2026-01-07T12:00:00",
    "0001-01-01T00:00:00%2B14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-01-07T25:00:00Z",
)
_LISTS: Final = {
    "/v1/overrides": ("schedule", "from", "to", "limit", "cursor"),
    "/v1/silences": ("past", "limit", "cursor"),
    "/v1/maintenance": ("past", "limit", "cursor"),
    "/v1/customers": ("q", "tier", "owner", "limit", "cursor"),
    "/v1/schedules/desk/shifts": ("from", "to", "user"),
    "/v1/schedules/desk/shifts.ics": ("token", "user"),
    "/v1/oncall": ("at",),
    "/v1/heartbeats": (),
    f"/v1/incidents/{_AN_ID}/members": ("status", "limit", "cursor"),
    **dict.fromkeys(
        ("/v1/reports/sla", "/v1/reports/response", "/v1/reports/levels"),
        ("from", "to", "by", "period", "tz", "tier", "service", "customer", "policy", "priority"),
    ),
}


@pytest.mark.parametrize(("path", "name"), [(path, name) for path in _LISTS for name in _LISTS[path]])
async def test_whatever_stands_in_a_parameter_is_answered_or_refused_at_its_place(
    office: Office, path: str, name: str
) -> None:
    for said in _TIMES if name in {"from", "to", "at"} else _TEXTS:
        answer = await office.get(f"{path}?{name}={said}")
        if answer.status_code != 200:
            refused(answer)
            fields = [error["field"] for error in answer.json().get("errors", ())]
            assert all(field.startswith("query:") for field in fields), (said, fields)


@pytest.mark.parametrize("path", [path for path in _LISTS if not path.endswith(".ics")])
async def test_an_unknown_parameter_of_any_list_is_refused(office: Office, path: str) -> None:
    """A misspelled filter must not answer with everything."""
    errors = problem(await office.get(f"{path}?colour=red"), 422, "invalid-request")["errors"]
    assert [error["field"] for error in errors] == ["query:colour"]


@pytest.mark.parametrize("path", ["/v1/overrides", "/v1/silences", "/v1/maintenance", "/v1/customers"])
@pytest.mark.parametrize(
    "place",
    [
        ["0001-01-01T00:00:00+14:00", _AN_ID],
        ["9999-12-31T23:59:59-14:00", _AN_ID],
        ["2026-01-01T00:00:00", _AN_ID],
        ["2026-01-01T00:00:00Z", "x"],
        ["id", "\0"],
        ["id", "a" * 1000],
        ["id", 7],
        [],
        {},
        None,
        7,
    ],
)
async def test_no_list_takes_a_cursor_made_by_hand(office: Office, path: str, place: Any) -> None:
    answer = await office.get(path, cursor=cursor(place))
    assert problem(answer, 422, "invalid-request")["errors"][0]["field"] == "query:cursor"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"\xff",
        b"[" * 100_000,
        b'{"when": ' + b"9" * 6000 + b"}",
        b'{"when": "\\ud800", "until": "2030-01-01T00:00:00Z", "name": "\\ud800"}',
        b'{"when": "\\u0000", "until": "\\u0000", "name": "\\u0000"}',
        b'{"when": {"a": 1}, "until": [], "name": {}, "from": 1e400, "to": -1e400, "window": 1}',
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/overrides"),
        ("POST", "/v1/silences"),
        ("POST", "/v1/maintenance"),
        ("PUT", "/v1/customers/strange"),
        ("POST", "/v1/customers/import"),
    ],
)
async def test_a_body_that_is_none_is_refused_wherever_it_is_written(
    office: Office, method: str, path: str, body: bytes
) -> None:
    kinds = ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
    for kind in (*kinds, "text/csv", "application/x-ndjson", "x", ""):
        answer = await office.ask(method, path, "lead", content=body, headers={"Content-Type": kind})
        refused(answer)
        assert answer.status_code in {400, 415, 422}, answer.text


@pytest.mark.parametrize(
    "action",
    [
        {"action": "snooze", "until": "0001-01-01T00:00:00+14:00"},
        {"action": "snooze", "until": "9999-12-31T23:59:59-14:00"},
        {"action": "snooze", "until": "9999-12-31T23:59:59Z"},
        {"action": "snooze", "seconds": 1e300},
        {"action": "snooze", "seconds": 10**400},
        {"action": "snooze", "seconds": 1, "until": "2030-01-01T00:00:00Z"},
        {"action": "snooze", "until": 5},
        {"action": "wait", "seconds": 60, "for": "a\0b"},
        {"action": "wait", "seconds": 60, "for": "x" * 5000},
        {"action": "set", "priority": 10**30},
        {"action": "set", "priority": True},
        {"action": "set", "attributes": {"": 1}},
        {"action": "set", "attributes": {"a": "\0"}},
        {"action": "set", "attributes": {"a": 10**400}},
        {"action": "set", "attributes": {str(number): 1 for number in range(100)}},
        {"action": "merge", "into": "x"},
        {"action": "merge", "into": _AN_ID},
        {"action": "subscribe", "who": "ana\0", "via": ""},
        {"action": "subscribe", "who": "http://169.254.169.254/", "via": "fax"},
        {"action": "decide", "decision": "perhaps"},
        {"action": "confirm", "rating": 2.5},
    ],
)
async def test_an_action_with_impossible_arguments_changes_nothing(
    office: Office, action: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    found = await office.opened(
        f"impossible-{request.node.callspec.id}"
    )  # its own: no repeat comes in between
    before = (await office.get(f"/v1/incidents/{found['id']}")).json()["version"]
    refused(await office.ask("POST", f"/v1/incidents/{found['id']}/actions", "lead", json=action))
    assert (await office.get(f"/v1/incidents/{found['id']}")).json()["version"] == before


@pytest.mark.parametrize(
    "text", ["%ff%fe", "%ED%A0%80", "%25", "%5C", "_", "'", "%27%3B--", "%F0%9F%98%80", "%E2%80%AE"]
)
async def test_text_that_is_only_odd_finds_nothing(office: Office, text: str) -> None:
    for path in (f"/v1/incidents?q={text}zzz", f"/v1/inbox/{text}zzz", f"/v1/deliveries?recipient={text}zzz"):
        answer = await office.get(path, "admin")
        assert (answer.status_code, answer.json()["items"]) == (200, []), path


@pytest.mark.parametrize("odd", ["x", "42", "%00", "%ff", "..%2f..", "9" * 400, "{}", _AN_ID + "0", _AN_ID])
async def test_an_id_that_names_nothing_is_refused_wherever_it_stands(office: Office, odd: str) -> None:
    for path in (f"/v1/incidents/{odd}", f"/v1/incidents/{odd}/timeline", f"/v1/incidents/{odd}/explain"):
        refused(await office.get(path))
    refused(await office.get(f"/v1/deliveries/{odd}"))
    refused(await office.act(odd, "acknowledge"))


@pytest.mark.parametrize(
    "at", ["", "now", "2026-13-01T00:00:00Z", "2026-01-07T12:00:00", "9999-12-31T23:59:59Z", "1e400", "%00"]
)
async def test_a_time_that_is_none_is_refused(office: Office, at: str) -> None:
    assert (
        problem(await office.get(f"/v1/oncall?at={at}"), 422, "invalid-request")["errors"][0]["field"]
        == "query:at"
    )


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"", {422}),
        (b"{", {422}),
        (b'{"action": "\xff"}', {400}),
        (b"null", {422}),
        (b"[" * 100_000, {400}),
        (b'{"action": ' + b"9" * 6000 + b"}", {400}),
        (b'{"action": "note", "text": "\\ud800"}', {422}),
        (b'{"action": "note", "text": "\\u0000"}', {422}),
        (b'{"action": "note", "text": "' + b"x" * 20_000 + b'"}', {422}),
        (b'{"action": "\\u0000"}', {422}),
        (b'{"action": "note", "text": "x", "text": 7}', {422}),
        (b'{"action": "acknowledge", "assignee": "\\ud83d\\ude00"}', {422}),
    ],
)
async def test_a_body_that_is_no_action_is_refused(office: Office, body: bytes, statuses: set[int]) -> None:
    found = await office.opened("hostile-body")
    path = f"/v1/incidents/{found['id']}/actions"
    answer = await office.ask("POST", path, "ana", content=body, headers=_JSON)
    refused(answer)
    assert answer.status_code in statuses
    problem(
        await office.ask("POST", path, "ana", content=b"action=note", headers={"Content-Type": "text/plain"}),
        422,
        "invalid-request",
    )


async def test_json_that_ends_too_soon_says_where(office: Office) -> None:
    answer = await office.ask(
        "POST", f"/v1/incidents/{_AN_ID}/actions", "ana", content=b'{"action": ', headers=_JSON
    )
    (error,) = problem(answer, 422, "invalid-request")["errors"]
    assert error["field"] == "/"
    assert "at character 11" in error["reason"]


@pytest.mark.parametrize("key", ["x" * 256, ""])
async def test_an_idempotency_key_has_a_length(office: Office, key: str) -> None:
    found = await office.opened("long-key")
    answer = await office.ask(
        "POST",
        f"/v1/incidents/{found['id']}/actions",
        "ana",
        json={"action": "note", "text": "x"},
        headers={"Idempotency-Key": key},
    )
    assert answer.status_code == (422 if key else 200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"\x00",
        b"[]",
        b"null",
        b"{" * 500,
        b"a: &a [*a]",
        b"version: 0x" + b"f" * 6000,
        b'x: "\\UFFFFFFFF"',
        b'{"version": 1, "last_resort": ["user:\\ud800"]}',
        b'{"version": 1, "last_resort": ["user:\\u0000"]}',
        b"users: ~",
        b"a: !!python/object/apply:os.system [id]",
        b"version: 1\nlast_resort: [" + b"9" * 6000 + b"]",
    ],
)
async def test_a_bundle_that_is_none_is_refused_with_at_least_one_reason(office: Office, body: bytes) -> None:
    answer = await office.ask("PUT", "/v1/policy", content=body, headers={"Content-Type": "application/yaml"})
    assert problem(answer, 422, "policy-refused")["errors"]


@pytest.mark.parametrize("path", ["/v1/policy", f"/v1/incidents/{_AN_ID}/actions"])
async def test_a_body_beyond_all_measure_is_refused_by_its_length_however_it_comes(
    office: Office, path: str
) -> None:
    method = "PUT" if path == "/v1/policy" else "POST"

    async def chunks() -> Any:
        for _ in range(9):
            yield b" " * 1024 * 1024

    problem(await office.ask(method, path, content=chunks(), headers=_JSON), 413, "too-large")
    answer = await office.announce(method, path, 9 * 1024 * 1024)
    assert answer.startswith("HTTP/1.1 413 ")
    assert "content-type: application/problem+json" in answer
    assert '"type": "urn:ladder:problem:too-large"' in answer


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/incidents/",
        "/v1//incidents",
        "/nowhere",
        "/V1/incidents",
        "/v1/incidents/%2e%2e/policy",
    ],
)
async def test_a_path_that_is_none_is_not_found_and_never_redirected(office: Office, path: str) -> None:
    answer = await office.get(path)
    refused(answer)
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/v1/incidents", "/v1/policy", "/v1/events", "/healthz", "/v1/inbox/ana"])
async def test_a_method_that_is_none_says_which_there_are(office: Office, path: str) -> None:
    answer = await office.ask("PATCH", path)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"]


async def test_what_is_odd_in_an_event_is_kept_as_something_that_can_be_read_again(office: Office) -> None:
    """NUL and half a surrogate pair cannot be stored: they are replaced before anything is accepted."""
    body = (
        b'{"dedup_key": "odd-one", "title": "a\\u0000b\\ud800c", "labels": {"\\u0000": "\\udfff"},'
        b' "attributes": {"big": 1' + b"0" * 400 + b', "deep": ' + b"[" * 50 + b"]" * 50 + b"}}"
    )
    answer = await office.ask("POST", "/v1/events", "scripts", content=body, headers=_JSON)
    if answer.status_code != 202:
        refused(answer)
        return
    found = await office.opened("odd-one")
    assert "\0" not in found["title"]
    for path in ("", "/timeline", "/explain"):
        assert (await office.get(f"/v1/incidents/{found['id']}{path}")).status_code == 200
    assert (await office.get(f"/v1/incidents?q={quote('odd-one')}")).json()["items"]


def packed(raw: bytes) -> str:
    """As tokens, cursors and request ids are written."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


_DEEP: Final = packed(b"[" * 100_000)
_HOSTILE: Final = (
    b"[" * 30_000,
    b'{"a":' * 20_000,
    b'{"exp":1e999,"action":"acknowledge","incident":"x"}',
    b'{"exp":' + b"9" * 5_000 + b"}",
    b"\xff\xfe",
    b"null",
    b"",
)
_TAKE_A_TOKEN: Final = {
    "a link": ("GET", "/v1/replies/link/{}"),
    "a link that acts": ("POST", "/v1/replies/link/{}"),
    "a calendar": ("GET", "/v1/schedules/desk/shifts.ics?token={}"),
    "a request of Opsgenie": ("GET", "/v2/alerts/requests/{}"),
    "a cursor of incidents": ("GET", "/v1/incidents?cursor={}"),
    "a cursor of customers": ("GET", "/v1/customers?cursor={}"),
    "a cursor of deliveries": ("GET", "/v1/deliveries?cursor={}"),
    "an id": ("GET", "/v1/incidents/{}"),
}


async def test_a_link_that_nobody_signed_is_a_broken_link_however_deep_it_is(office: Office) -> None:
    """What a stranger packs into a token reaches no parser: not ours comes before not JSON."""
    for token in (
        f"{packed(b'[' * 1_500)}.{packed(b'x' * 32)}",
        f"{_DEEP[:40_000]}.AAAA",
        f"{_DEEP[:40_000]}",
    ):
        answer = await office.get(f"/v1/replies/link/{token}", key="")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(("method", "path"), _TAKE_A_TOKEN.values(), ids=_TAKE_A_TOKEN)
async def test_whatever_is_packed_into_a_token_is_refused(office: Office, method: str, path: str) -> None:
    """Depth, numbers without end, bytes that are no text: no place turns them into a 500."""
    for raw in _HOSTILE:
        for rest in ("", ".\u00e9", "." + packed(b"x" * 32)):
            said = ("ladder-r-" if "alerts" in path else "") + packed(raw)[:50_000] + rest
            answer = await office.ask(
                method, path.format(quote(said)), "genie" if "alerts" in path else "admin"
            )
            assert answer.status_code in {200, 404, 405, 422}, (raw[:40], answer.text)
            assert answer.status_code != 200 or raw in {b"", b"null"}, answer.text


_TAKE_A_BODY: Final = (
    ("scripts", "/v1/events"),
    ("scripts", "/v1/integrations/scripts"),
    ("prometheus", "/v1/integrations/prometheus"),
    ("boards", "/v1/integrations/boards"),
    (PAGER, "/v2/enqueue"),
    ("genie", "/v2/alerts"),
    ("genie", "/v2/alerts/x/close"),
    ("scripts", "/v1/heartbeats/backup"),
    ("lead", f"/v1/incidents/{_AN_ID}/actions"),
    ("admin", "/v1/policy"),
    ("lead", "/v1/policy/check"),
)


@pytest.mark.parametrize(("key", "path"), _TAKE_A_BODY, ids=[path for _, path in _TAKE_A_BODY])
async def test_a_body_without_end_or_bottom_is_refused_at_every_door(
    office: Office, key: str, path: str
) -> None:
    bodies = (
        b"[" * 200_000,
        b"- " * 20_000,
        b'{"a":' * 100_000,
        b'{"title": ' + b"9" * 20_000 + b', "dedup_key": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 110)),
        b"\xff\xfe" * 100,
    )
    for body in bodies:
        for kind in ("application/json", "application/yaml"):
            method = "PUT" if path == "/v1/policy" else "POST"
            answer = await office.ask(method, path, key, content=body, headers={"Content-Type": kind})
            assert answer.status_code < 500, (kind, body[:40], answer.text)


@pytest.mark.parametrize(
    "credentials",
    [
        b"Basic \xff",
        b"Basic " + b"A" * 6_000,
        b"Basic ====",
        b"Bearer \xff\xfe",
        b"Bearer " + b"[" * 4_000,
        b"\x80",
    ],
)
async def test_odd_credentials_are_no_key_and_no_surprise(credentials: bytes) -> None:
    """Where the demo key is refused they are looked at twice."""
    outside = Edge(APP.app, (), {}, loopback=False)
    transport = httpx2.ASGITransport(outside, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://ladder") as client:
        answer = await client.get("/v1/nowhere", headers={b"authorization": credentials})
    assert answer.status_code == 404, answer.text
