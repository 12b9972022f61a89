"""What is silenced or planned, at the terminal."""

import json
from datetime import datetime, timedelta

from pytest_httpserver import HTTPServer

from shared.clock import utcnow
from tests.client.conftest import Terminal

SILENCE = {
    "id": "5b8b8c5e-0000-4000-8000-000000000000",
    "when": "service == 'checkout'",
    "from": "2026-03-08T07:00:00Z",
    "until": "2026-03-08T19:00:00Z",
    "comment": "we know",
    "by": "user:petra",
    "made_at": "2026-03-08T07:00:00Z",
    "state": "in_force",
    "broken": "",
}
WORK = {
    "id": "6c8b8c5e-0000-4000-8000-000000000000",
    "name": "upgrade",
    "when": "true",
    "from": "2026-03-08T07:00:00Z",
    "to": "2026-03-08T19:00:00Z",
    "window": None,
    "then": "drop",
    "by": "user:petra",
    "made_at": "2026-03-08T07:00:00Z",
    "state": "in_force",
    "broken": "",
}


def test_a_silence_lasts_as_long_as_was_said(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/silences", method="POST").respond_with_json(SILENCE, status=201)
    out = ladder("silence", "service == 'checkout'", "--for", "2h", "--comment", "we know").out
    assert out == "silent until 2026-03-08 19:00:00: service == 'checkout' (5b8b8c5e)\n"
    sent = json.loads(server.log[0][0].data)
    assert (sent["when"], sent["comment"]) == ("service == 'checkout'", "we know")
    ahead = datetime.fromisoformat(sent["until"]) - utcnow()
    assert timedelta(minutes=118) < ahead <= timedelta(hours=2)


def test_a_silence_needs_an_end(ladder: Terminal):
    printed = ladder("silence", "true")
    assert (printed.exit_code, printed.err) == (
        2,
        "say either --for, such as --for 2h, or --until.\n",
    )
    assert ladder("silence", "true", "--for", "soon").exit_code == 2


def test_silences_are_a_table_that_says_which_never_apply(server: HTTPServer, ladder: Terminal):
    broken = SILENCE | {"broken": "no schedule 'desk'"}
    server.expect_request("/v1/silences").respond_with_json({"items": [SILENCE, broken], "next": None})
    rows = ladder("silences").out.splitlines()
    assert rows[1].split()[0] == "5b8b8c5e"
    assert rows[2].endswith("we know (never applies: no schedule 'desk')")


def test_nothing_silenced_is_said_so(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/silences").respond_with_json({"items": [], "next": None})
    assert ladder("silences").out == "Nothing is silenced.\n"


def test_a_silence_ends_by_the_beginning_of_its_id(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/silences").respond_with_json({"items": [SILENCE], "next": None})
    server.expect_request(f"/v1/silences/{SILENCE['id']}", method="DELETE").respond_with_json(SILENCE)
    assert ladder("unsilence", "5b8").out == "no longer silent: service == 'checkout'\n"


def test_maintenance_is_planned_once_or_for_every_week(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/maintenance", method="POST").respond_with_json(WORK, status=201)
    ladder("maintenance", "upgrade", "--from", "2026-03-08T07:00Z", "--for", "12h", "--then", "drop")
    times = ["--from", "02:00", "--to", "04:00", "--timezone", "Europe/Prague"]
    ladder("maintenance", "nights", "--days", "sun", *times)
    ladder("maintenance", "nights", "--calendar", "nights")
    once, weekly, by_calendar = (json.loads(request.data) for request, _ in server.log)
    assert (once["from"], once["to"]) == ("2026-03-08T07:00:00+00:00", "2026-03-08T19:00:00+00:00")
    window = {"days": "sun", "from": "02:00", "to": "04:00", "timezone": "Europe/Prague"}
    assert weekly == {"name": "nights", "when": "true", "then": "page", "window": window}
    assert by_calendar["window"] == {"calendar": "nights"}
    assert ladder("maintenance", "nights", "--calendar", "nights", "--days", "sun").exit_code == 2


def test_plans_are_listed_and_ended(server: HTTPServer, ladder: Terminal):
    window = {"days": "sun", "from": "02:00", "to": "04:00", "timezone": "UTC"}
    weekly = WORK | {"name": "nights", "window": window, "from": None, "to": None}
    several = weekly | {"window": [window, {"calendar": "nights"}]}
    items = {"items": [WORK, weekly, several], "next": None}
    server.expect_request("/v1/maintenance").respond_with_json(items)
    rows = ladder("maintenance").out.splitlines()
    assert rows[1].split()[1:4] == ["upgrade", "in", "force"]
    assert "sun 02:00–04:00 UTC" in rows[2]
    assert "sun 02:00–04:00 UTC, calendar nights" in rows[3]
    broken = WORK | {"when": "on_call('desk') == ''", "broken": "no schedule 'desk'"}
    server.clear()
    server.expect_request("/v1/maintenance").respond_with_json({"items": [broken], "next": None})
    row = ladder("maintenance").out.splitlines()[1]
    assert "never applies" in row
    assert "in force" not in row
    assert "on_call('desk') == '' (no schedule 'desk')" in row
    path = f"/v1/maintenance/{WORK['id']}"
    server.clear()
    server.expect_request("/v1/maintenance").respond_with_json({"items": [WORK], "next": None})
    server.expect_request(path, method="DELETE").respond_with_json(WORK)
    assert ladder("maintenance", "--end", "6c8").out == "maintenance upgrade is over\n"
