"""The command line against an API that answers in the shapes of the design."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from pytest_httpserver import HTTPServer

from ladder.client.connection import Connection, Remote
from ladder.client.watch import Seen, watch_once
from shared.clock import utcnow
from tests.client.conftest import Terminal

FIRST = "0b7b2f7e-7d7c-4e0e-9d39-0f6f1d1f0001"
SECOND = "0b7b2f7e-7d7c-4e0e-9d39-0f6f1d1f0002"
OTHER = "c3f1a8aa-0000-4000-8000-000000000003"


def incident(incident_id: str = FIRST, **changed: object) -> dict[str, object]:
    return {
        "id": incident_id, "integration": "demo", "dedup_key": "checkout", "title": "Checkout is down",
        "description": "No order goes through.", "kind": "incident", "source": "probe",
        "severity": "critical", "labels": {"zone": "eu"}, "attributes": {"orders": 0}, "links": [],
        "status": "triggered", "priority": 1, "tier": "gold", "customer": "acme", "service": "checkout",
        "policy": "quick", "level": "service desk", "round": 1, "assignee": "", "waiting_for": "",
        "reopened": 0, "opened_at": "2026-03-01T12:00:00Z", "acknowledged_at": None, "resolved_at": None,
        "closed_at": None, "next_due_at": "2026-03-01T12:00:15Z", "events": 1, "version": 1,
        "clocks": [
            {"target": "acknowledge", "state": "running", "goal_seconds": 300.0, "elapsed_seconds": 3.0,
             "due_at": "2026-03-01T12:05:00Z", "breached": False}
        ],
    } | changed  # fmt: skip


def listed(*incidents: dict[str, object]) -> dict[str, object]:
    return {"items": list(incidents), "next": None}


def test_incidents_lists_what_is_open_with_the_key_that_was_given(server: HTTPServer, ladder: Terminal):
    server.expect_request(
        "/v1/incidents",
        query_string="status=triggered&status=acknowledged&limit=50",
        headers={"authorization": "Bearer my-key"},
    ).respond_with_json(listed(incident()))
    printed = ladder("incidents", key="my-key")
    assert printed.exit_code == 0
    assert "0b7b2f7e" in printed.out
    assert "Checkout is down" in printed.out


@pytest.mark.parametrize("width", [100, 80, 60])
def test_a_list_keeps_its_ids_and_what_counts_on_a_narrow_terminal(
    server: HTTPServer, ladder: Terminal, width: int
):
    long = {"title": "Checkout is down and nobody knows why, in three countries at once", "customer": ""}
    found = [incident(**long), incident(OTHER, **long, status="acknowledged", assignee="petra")]
    server.expect_request("/v1/incidents").respond_with_json(listed(*found))
    heading, first, second, *said = ladder("incidents", COLUMNS=str(width)).out.splitlines()
    assert max(map(len, (heading, first, second))) <= width
    assert (first[:8], second[:8]) == (FIRST[:8], OTHER[:8])
    for word in ("P1", "acknowledged", "petra", "Checkout is down"):
        assert word in second
    assert "customer" not in "".join([heading, *said])  # nothing stands there
    assert bool(said) == ("level" not in heading.split())


def test_incidents_follows_the_cursor_up_to_the_limit(server: HTTPServer, ladder: Terminal):
    first = {"items": [incident()], "next": "more"}
    server.expect_ordered_request("/v1/incidents").respond_with_json(first)
    server.expect_ordered_request("/v1/incidents").respond_with_json(listed(incident(OTHER)))
    printed = ladder("incidents", "--json")
    assert [one["id"] for one in json.loads(printed.out)] == [FIRST, OTHER]
    assert ("cursor", "more") in list(server.log[1][0].args.items(multi=True))


def test_nothing_open_is_said_in_words(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/incidents").respond_with_json(listed())
    assert ladder("incidents").out == "Nothing is open.\n"


def test_show_takes_the_beginning_of_an_id(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/incidents").respond_with_json(listed(incident(OTHER), incident()))
    server.expect_request(f"/v1/incidents/{OTHER}").respond_with_json(incident(OTHER))
    entry = {
        "at": "2026-03-01T12:00:00Z", "kind": "opened", "actor": "", "text": "opened by demo", "reason": {}
    }  # fmt: skip
    server.expect_request(f"/v1/incidents/{OTHER}/timeline").respond_with_json({"items": [entry]})
    printed = ladder("show", "c3f1")
    assert printed.exit_code == 0
    assert "  customer  acme\n  tier      gold\n" in printed.out
    assert "acknowledge within 5m: 3s used, due 2026-03-01 12:05:00" in printed.out
    assert "opened by demo" in printed.out


def test_a_clock_says_whose_act_it_waits_for_and_that_it_was_broken_before(
    server: HTTPServer, ladder: Terminal
):
    [clock] = incident()["clocks"]
    clocks = [
        clock | {"by": "person", "breached": True, "broken_before": True, "breaches": 1},
        clock | {"target": "resolve", "state": "fulfilled", "breached": True, "breaches": 1, "due_at": None},
    ]
    server.expect_request(f"/v1/incidents/{FIRST}").respond_with_json(incident(clocks=clocks))
    server.expect_request(f"/v1/incidents/{FIRST}/timeline").respond_with_json(listed())
    printed = ladder("show", FIRST).out
    assert "acknowledge by a person within 5m: 3s used" in printed
    assert "running, broken before" in printed
    assert "resolve within 5m: 3s used, fulfilled, promise broken" in printed


def test_a_beginning_that_fits_several_incidents_names_them(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/incidents").respond_with_json(listed(incident(), incident(SECOND)))
    printed = ladder("ack", "0b7b")
    assert printed.exit_code == 2
    assert FIRST in printed.err
    assert SECOND in printed.err


def test_latest_is_the_newest_incident(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/incidents", query_string={"limit": "1"}).respond_with_json(listed(incident()))
    taken = incident(status="acknowledged", assignee="ana")
    server.expect_request(
        f"/v1/incidents/{FIRST}/actions", method="POST", json={"action": "acknowledge"}
    ).respond_with_json(taken)
    printed = ladder("ack", "latest")
    assert printed.out == "taken 0b7b2f7e: Checkout is down is acknowledged, taken by ana\n"


def test_a_dedup_key_names_its_newest_incident(server: HTTPServer, ladder: Terminal):
    server.expect_request(
        "/v1/incidents", query_string={"dedup_key": "zz-checkout", "limit": "1"}
    ).respond_with_json(listed(incident()))
    server.expect_request(f"/v1/incidents/{FIRST}/actions").respond_with_json(incident(status="resolved"))
    assert "is resolved" in ladder("resolve", "zz-checkout").out


def test_a_refusal_says_what_is_possible_and_ends_with_1(server: HTTPServer, ladder: Terminal):
    problem = {
        "type": "urn:ladder:problem:conflict", "title": "Impossible now", "status": 409,
        "detail": "It is closed.", "possible": ["reopen", "note"],
    }  # fmt: skip
    server.expect_request(f"/v1/incidents/{FIRST}/actions").respond_with_json(problem, status=409)
    printed = ladder("resolve", FIRST)
    assert printed.exit_code == 1
    assert printed.err == "Impossible now: It is closed.\n  possible: reopen, note\n"


def test_nobody_at_the_address_is_one_sentence_and_ends_with_3():
    printed = Terminal("http://127.0.0.1:9")("incidents")
    assert printed.exit_code == 3
    assert printed.err.startswith("Nobody answers at http://127.0.0.1:9")
    assert len(printed.err.splitlines()) == 1


def test_something_else_at_the_address_is_one_sentence(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/incidents").respond_with_data("<html>", content_type="text/html")
    printed = ladder("incidents")
    assert printed.exit_code == 3
    assert "is LADDER_URL right?" in printed.err


def test_another_machine_needs_a_key():
    printed = Terminal("http://ladder.example")("incidents", key="")
    assert printed.exit_code == 2
    assert "LADDER_API_KEY" in printed.err


def test_this_machine_is_tried_with_the_demo_key(server: HTTPServer, ladder: Terminal):
    server.expect_request(
        "/v1/incidents", headers={"authorization": "Bearer ladder-demo-key"}
    ).respond_with_json(listed())
    assert ladder("incidents", key="").exit_code == 0


def test_the_key_may_stand_in_a_file(server: HTTPServer, ladder: Terminal, tmp_path):
    (tmp_path / "key").write_text("from-a-file\n")
    server.expect_request("/v1/incidents", headers={"authorization": "Bearer from-a-file"}).respond_with_json(
        listed()
    )
    assert ladder("incidents", key="", LADDER_API_KEY_FILE=str(tmp_path / "key")).exit_code == 0


def test_send_posts_what_was_said_and_nothing_else(server: HTTPServer, ladder: Terminal):
    event = {
        "title": "Checkout is down", "dedup_key": "checkout", "impact": 1, "attributes": {"orders": 0, "b": "x"},
        "labels": {"zone": "eu"}, "links": [{"href": "https://graphs.example/1"}],
    }  # fmt: skip
    server.expect_request(
        "/v1/events", method="POST", json=event,
        headers={"authorization": "Bearer its-key", "idempotency-key": "once"},
    ).respond_with_json({"accepted": 1, "events": [{"event_id": "e1", "dedup_key": "checkout"}]}, status=202)  # fmt: skip
    printed = ladder(
        "send", "Checkout is down", "--dedup-key", "checkout", "--impact", "1", "-a", "orders=0", "-a", "b=x",
        "-l", "zone=eu", "--link", "https://graphs.example/1", "--key", "its-key", "--idempotency-key", "once",
    )  # fmt: skip
    assert printed.out == "accepted: checkout (event e1)\n"


def test_send_can_end_the_waiting_with_an_empty_text(server: HTTPServer, ladder: Terminal):
    event = {"action": "update", "dedup_key": "checkout", "waiting_for": ""}
    server.expect_request("/v1/events", json=event).respond_with_json({"accepted": 1, "events": []})
    printed = ladder("send", "--action", "update", "--dedup-key", "checkout", "--waiting-for", "")
    assert printed.exit_code == 0


def test_send_passes_a_file_on_as_it_stands(server: HTTPServer, ladder: Terminal, tmp_path):
    lines = b'{"title": "one"}\n{"title": "two"}\n'
    (tmp_path / "events.ndjson").write_bytes(lines)
    server.expect_request(
        "/v1/events", data=lines, headers={"content-type": "application/x-ndjson"}
    ).respond_with_json({"accepted": 2, "events": []})
    assert ladder("send", "-f", str(tmp_path / "events.ndjson")).exit_code == 0


def test_send_without_a_title_says_how_it_is_done(ladder: Terminal):
    printed = ladder("send")
    assert printed.exit_code == 2
    assert "ladder send 'Checkout is down'" in printed.err


def test_a_refused_event_names_its_field_and_the_reason(server: HTTPServer, ladder: Terminal):
    problem = {
        "title": "Not accepted", "status": 422, "errors": [{"field": "/severity", "reason": "one of critical, …"}]
    }  # fmt: skip
    server.expect_request("/v1/events").respond_with_json(problem, status=422)
    printed = ladder("send", "x", "--severity", "bad")
    assert printed.exit_code == 1
    assert printed.err == "Not accepted\n  /severity: one of critical, …\n"


def test_explain_tells_the_reasons_and_what_comes_next(server: HTTPServer, ladder: Terminal):
    explained = {
        "past": [
            {
                "at": "2026-03-01T12:00:00Z",
                "what": "policy quick",
                "because": {
                    "rule": "routes[2]", "expression": "tier == 'gold'", "values": {"tier": "gold"},
                    "instead_of": ["routes[0]: kind == 'crisis' was false"],
                },
            }
        ],
        "next": [
            {"at": "2026-03-01T12:00:15Z", "what": "page petra (experts)", "unless": "somebody takes it"}
        ],
        "policy": {"name": "quick", "hash": "3fa91c7d5e" * 6},
    }  # fmt: skip
    server.expect_request(f"/v1/incidents/{FIRST}").respond_with_json(incident())
    server.expect_request(f"/v1/incidents/{FIRST}/explain").respond_with_json(explained)
    out = ladder("explain", FIRST).out
    assert "because routes[2]: tier == 'gold'" in out
    assert "where tier = 'gold'" in out
    assert "not routes[0]: kind == 'crisis' was false" in out
    assert "page petra (experts), unless somebody takes it" in out


def test_oncall_says_who_until_when_and_who_is_next(server: HTTPServer, ladder: Terminal):
    row = {
        "schedule": "desk", "user": "ana", "until": "2026-03-08T07:00:00Z", "layer": "weekly",
        "next": {"user": "petra", "from": "2026-03-08T07:00:00Z"},
    }  # fmt: skip
    server.expect_request("/v1/oncall").respond_with_json({"items": [row]})
    out = ladder("oncall").out
    assert out.splitlines()[0].rstrip().endswith("from (UTC)")
    assert out.splitlines()[1].split() == [
        "desk", "ana", "2026-03-08", "07:00:00", "weekly", "petra", "2026-03-08", "07:00:00"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("2026-03-08T07:00", "2026-03-08T07:00:00+01:00"),  # Prague's winter
        ("2026-07-08 07:00", "2026-07-08T07:00:00+02:00"),  # and its summer
        ("2026-03-08T07:00Z", "2026-03-08T08:00:00+01:00"),
        ("2026-03-29T02:30", "2026-03-29T03:00:00+02:00"),  # the clocks skip it: when they are changed
        ("2026-10-25T02:30", "2026-10-25T02:30:00+02:00"),  # they show it twice: the first of the two
    ],
)
def test_oncall_takes_a_time_without_a_zone_as_one_here(
    server: HTTPServer, one_server: HTTPServer, typed: str, asked: str
):
    server.expect_request("/v1/oncall", query_string={"at": asked}).respond_with_json({"items": []})
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "ladder",
            "oncall",
            "--at",
            typed,
            "--url",
            one_server.url_for("").rstrip("/"),
        ],
        env={**os.environ, "TZ": "Europe/Prague", "LADDER_API_KEY": "a-key"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "There is no schedule.\n", ran.stderr


def test_oncall_says_what_a_time_looks_like(ladder: Terminal):
    printed = ladder("oncall", "--at", "tomorrow")
    assert printed.exit_code == 2
    assert printed.err == "'tomorrow' is not a time such as 2026-03-08T07:00 or 2026-03-08T06:00Z.\n"


def test_an_empty_shift_is_said_to_be_nobodys(server: HTTPServer, ladder: Terminal):
    row = {"schedule": "desk", "user": None, "until": None, "layer": None, "next": None}
    server.expect_request("/v1/oncall").respond_with_json({"items": [row]})
    assert "nobody" in ladder("oncall").out


def test_apply_checks_first_and_sends_the_whole_bundle(server: HTTPServer, ladder: Terminal, tmp_path):
    (tmp_path / "bad.yaml").write_text("version: 1\nusers: {ana: {name: Ana, contakts: {}}}\n")
    printed = ladder("apply", str(tmp_path / "bad.yaml"))
    assert printed.exit_code == 1
    assert "bad.yaml:2:" in printed.err
    assert not server.log


def test_apply_says_what_is_in_force(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/policy", method="PUT").respond_with_json(
        {
            "hash": "ab" * 32,
            "revision": 7,
            "changes": ["team desk: eva added"],
            "not_in_force": ["grouping: comes later"],
            "warnings": ["override 5b8b: eva is no user of the policy in force"],
        }
    )
    printed = ladder("apply", str(files("ladder.samples").joinpath("policy.yaml")))
    assert printed.out == (
        "in force: bundle abababababab, revision 7\n"
        "  team desk: eva added\n"
        "  grouping: comes later\n"
        "  warning: override 5b8b: eva is no user of the policy in force\n"
    )


def test_apply_answers_as_json_and_insists_when_asked_to(server: HTTPServer, ladder: Terminal):
    answer = {"hash": "ab" * 32, "revision": 7, "warnings": [], "changes": ["API key demo removed"]}
    server.expect_request("/v1/policy", method="PUT", query_string="force=true").respond_with_json(answer)
    printed = ladder("apply", "--force", "--json", str(files("ladder.samples").joinpath("policy.yaml")))
    assert json.loads(printed.out) == answer


def test_watch_tells_each_new_entry_once_and_ends_when_the_incident_is_over(
    server: HTTPServer, ladder: Terminal
):
    def entry(text: str) -> dict[str, object]:
        return {"at": "2026-03-01T12:00:00Z", "kind": "x", "actor": "", "text": text, "reason": {}}

    path = f"/v1/incidents/{FIRST}"
    server.expect_ordered_request(path).respond_with_json(incident())
    server.expect_ordered_request(f"{path}/timeline").respond_with_json({"items": [entry("page → ana")]})
    server.expect_ordered_request(path).respond_with_json(incident())
    server.expect_ordered_request(path).respond_with_json(incident(version=2, status="resolved"))
    server.expect_ordered_request(f"{path}/timeline").respond_with_json(
        {"items": [entry("page → ana"), entry("resolved by ana")]}
    )
    printed = ladder("watch", FIRST, "--every", "0.1")
    told = [line.partition("Checkout is down: ")[2] for line in printed.out.splitlines()]
    assert told == ["page → ana", "resolved by ana"]


def test_watch_tells_of_what_was_there_before_only_what_is_new(server: HTTPServer, ladder: Terminal):
    def entry(at: str, text: str) -> dict[str, object]:
        return {"at": f"2026-03-01T{at}Z", "kind": "x", "actor": "ladder", "text": text, "reason": {}}

    unchanged, changed = listed(incident()), listed(incident(version=2))
    for answer in (unchanged, unchanged, changed, changed):  # open ones and newest ones, twice
        server.expect_ordered_request("/v1/incidents").respond_with_json(answer)
    old, new = entry("12:00:00", "opened"), [entry("12:00:15", "passed"), entry("12:00:15", "page → petra")]
    server.expect_ordered_request(f"/v1/incidents/{FIRST}/timeline").respond_with_json({"items": [old, *new]})
    now = datetime(2026, 3, 1, 12, 0, 20, tzinfo=UTC)
    with Connection(Remote.of(ladder.url, "a-key")) as connection:
        first = watch_once(connection, Seen(), now)
        second = watch_once(connection, first.seen, now)
    assert first.told == ()
    assert [each.line(now).partition("Checkout is down: ")[2] for each in second.told] == [
        "passed",
        "page → petra",
    ]


def test_watch_tells_every_decision_since_it_began(server: HTTPServer, ladder: Terminal):
    """Two of them between two looks, of an incident that was there before."""

    began = utcnow()  # which the answers' Date says, too

    def entry(seconds: float, text: str) -> dict[str, object]:
        at = (began + timedelta(seconds=seconds)).isoformat()
        return {"at": at, "kind": "x", "actor": "ladder", "text": text, "reason": {}}

    for answer in (listed(incident()), listed(incident(version=3))):
        for _ in range(2):  # open ones and newest ones
            server.expect_ordered_request("/v1/incidents").respond_with_json(answer)
    items = [entry(-60, "opened"), entry(15, "page → petra"), entry(16, "taken")]
    server.expect_ordered_request(f"/v1/incidents/{FIRST}/timeline").respond_with_json({"items": items})
    wrong = began + timedelta(minutes=7)  # this machine's clock, not Ladder's
    with Connection(Remote.of(ladder.url, "a-key")) as connection:
        second = watch_once(connection, watch_once(connection, Seen(), wrong).seen, wrong)
    assert [each.line(wrong).partition("Checkout is down: ")[2] for each in second.told] == [
        "page → petra",
        "taken",
    ]


def _long_timeline(server: HTTPServer) -> None:
    entries = [
        {"at": "2026-03-01T12:00:00Z", "kind": "x", "actor": "ladder", "text": f"step {number}", "reason": {}}
        for number in range(700)
    ]
    server.expect_request(f"/v1/incidents/{FIRST}").respond_with_json(incident())
    path = f"/v1/incidents/{FIRST}/timeline"
    server.expect_oneshot_request(path).respond_with_json({"items": entries[:500], "next": "500"})
    server.expect_oneshot_request(path, query_string={"limit": "500", "cursor": "500"}).respond_with_json(
        {"items": entries[500:], "next": None}
    )


def test_show_ends_with_the_newest_entries_and_says_how_to_see_the_rest(server: HTTPServer, ladder: Terminal):
    _long_timeline(server)
    lines = ladder("show", FIRST).out.splitlines()
    assert lines[-1].endswith("step 699")
    assert "  … 500 earlier entries: --last 0 tells all" in lines
    assert sum("step " in line for line in lines) == 200


def test_show_tells_all_entries_when_asked(server: HTTPServer, ladder: Terminal):
    _long_timeline(server)
    assert sum("step " in line for line in ladder("show", FIRST, "--last", "0").out.splitlines()) == 700
