"""Who stands in and who has which shift, at the terminal."""

import json

from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

OVERRIDE = {
    "id": "5b8b8c5e-0000-4000-8000-000000000000",
    "schedule": "desk",
    "user": "petra",
    "from": "2026-03-08T07:00:00Z",
    "to": "2026-03-08T19:00:00Z",
    "comment": "dentist",
    "by": "user:karel",
    "made_at": "2026-03-01T00:00:00Z",
    "absent": "",
    "broken": "",
}


def test_an_override_is_made_and_told_in_a_line(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/overrides", method="POST").respond_with_json(OVERRIDE, status=201)
    given = ["--from", "2026-03-08T07:00Z", "--to", "2026-03-08T19:00Z", "--comment", "dentist"]
    out = ladder("override", "desk", "petra", *given).out
    assert out == ("petra stands in on desk from 2026-03-08 07:00:00 until 2026-03-08 19:00:00 (5b8b8c5e)\n")
    sent = json.loads(server.log[0][0].data)
    assert (sent["schedule"], sent["user"], sent["comment"]) == ("desk", "petra", "dentist")
    assert (sent["from"], sent["to"]) == ("2026-03-08T07:00:00+00:00", "2026-03-08T19:00:00+00:00")


def test_nobody_is_a_gap_that_is_wanted(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/overrides", method="POST").respond_with_json(OVERRIDE | {"user": ""}, 201)
    out = ladder("override", "desk", "nobody", "--to", "2026-03-08T19:00Z").out
    assert out.startswith("nobody is on call on desk from 2026-03-08 07:00:00 until")
    sent = json.loads(server.log[0][0].data)
    assert (sent["nobody"], "user" in sent) == (True, False)


def test_who_is_away_is_absent_from_every_schedule_in_one_command(server: HTTPServer, ladder: Terminal):
    away = OVERRIDE | {"schedule": "", "absent": "ana"}
    server.expect_request("/v1/overrides", method="POST").respond_with_json(away, 201)
    out = ladder("absent", "ana", "--to", "2026-03-08T19:00Z", "--instead", "petra").out
    assert out.startswith("ana is absent on every schedule, petra stands in from 2026-03-08 07:00:00 until")
    sent = json.loads(server.log[0][0].data)
    assert (sent["absent"], sent["user"], "schedule" in sent) == ("ana", "petra", False)
    items = [away, away | {"user": "", "broken": "ana is no user of the policy in force"}]
    server.expect_request("/v1/overrides").respond_with_json({"items": items, "next": None})
    rows = ladder("overrides").out.splitlines()
    assert "every one  petra for ana" in rows[1]
    assert "whoever is beneath for ana" in rows[2]
    assert rows[2].endswith("dentist; ana is no user of the policy in force")


def test_who_is_passed_over_on_call_is_said_beneath_the_table(server: HTTPServer, ladder: Terminal):
    gone = "an override by user:karel names eva, who is no user of the policy in force"
    then = {"user": "petra", "from": "2026-03-09T07:00:00Z"}
    item = {"schedule": "desk", "user": "ana", "until": then["from"], "layer": "weekly", "next": then}
    server.expect_request("/v1/oncall").respond_with_json({"items": [item | {"passed": [gone]}]})
    assert ladder("oncall").out.splitlines()[-1] == f"desk: {gone}"


def test_overrides_are_a_table_and_end_by_the_beginning_of_their_id(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/overrides").respond_with_json({"items": [OVERRIDE], "next": None})
    rows = ladder("overrides").out.splitlines()
    assert rows[1].split() == [
        *("5b8b8c5e", "desk", "petra", "2026-03-08", "07:00:00", "2026-03-08", "19:00:00"),
        *("user:karel", "dentist"),
    ]
    path = f"/v1/overrides/{OVERRIDE['id']}"
    server.expect_request(path, method="DELETE").respond_with_json(OVERRIDE)
    assert ladder("overrides", "--end", "5b8b").out == "no longer: petra stands in on desk\n"


def test_no_override_is_said_so(server: HTTPServer, ladder: Terminal):
    server.expect_request(
        "/v1/overrides", query_string={"limit": "500", "schedule": "desk"}
    ).respond_with_json({"items": [], "next": None})
    assert ladder("overrides", "--schedule", "desk").out == "Nobody stands in.\n"


def test_shifts_say_who_by_which_layer_and_where_nobody_is(server: HTTPServer, ladder: Terminal):
    times = ["2026-03-08T07:00:00Z", "2026-03-08T19:00:00Z", "2026-03-09T07:00:00Z"]
    items = [
        {"user": "ana", "from": times[0], "to": times[1], "layers": ["weekly"], "overrides": ["x"]},
        {"user": "", "from": times[1], "to": times[2], "layers": [], "overrides": []},
    ]
    server.expect_request("/v1/schedules/desk/shifts").respond_with_json({"items": items})
    rows = [row.split() for row in ladder("shifts", "desk", "--from", "2026-03-08T07:00Z").out.splitlines()]
    assert rows[0][:2] == ["from", "(UTC)"]
    assert rows[1][4:] == ["ana", "weekly,", "override"]
    assert rows[2][4:] == ["nobody"]


def test_a_calendar_address_is_all_that_is_printed(server: HTTPServer, ladder: Terminal):
    answer = {"schedule": "desk", "user": "ana", "url": "https://ladder.example/v1/schedules/desk/shifts.ics"}
    server.expect_request(
        "/v1/schedules/desk/feed", method="POST", query_string={"user": "ana"}
    ).respond_with_json(answer)
    assert ladder("shifts", "desk", "--user", "ana", "--calendar").out == f"{answer['url']}\n"
