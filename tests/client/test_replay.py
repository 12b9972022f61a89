"""A recorded log becomes events, is posted in order, and is compared with what Ladder made of it."""

import gzip
import json
import threading
from collections import Counter
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ladder.replay.comparison import compare
from ladder.replay.events import Event, Translator
from ladder.replay.row_mapping import Map, MapError, Time, load_map, read_map
from ladder.replay.rows import rows_of
from tests.client.conftest import Terminal

SAMPLE = Path(str(files("ladder.samples").joinpath("volvo_it_incidents_sample.csv")))


def volvo(*changes: tuple[str, str], sub: str = "In Progress", at: str = "") -> list[dict[str, str]]:
    """Rows of one incident: (status, minute) pairs."""
    return [
        {
            "SR Number": "1-1", "Change Date+Time": at or f"2012-05-01T10:{minute}:00+01:00", "Status": status,
            "Sub Status": sub, "ST Level": "L1", "SR Latest Impact": "Medium", "Product": "PROD1",
            "Country": "se", "Involved ST": "S1", "Involved Org line 3": "C",
        }
        for status, minute in changes
    ]  # fmt: skip


def translated(rows: list[dict[str, str]], rules: Map | None = None) -> list[Event]:
    return list(Translator(rules or load_map("volvo")).translate(rows))


def actions(events: list[Event]) -> list[str]:
    return [event["action"] for event in events]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["Accepted", "Queued", "Completed"], ["trigger", "update", "resolve"]),
        (["Completed"], ["trigger", "resolve"]),  # first row is already the end
        (["Accepted", "Completed", "Completed"], ["trigger", "resolve", "resolve"]),  # resolved, then closed
        (["Queued", "Completed", "Accepted", "Completed"], ["trigger", "resolve", "trigger", "resolve"]),
        (["Accepted", "Unmatched"], ["trigger", "update"]),
    ],
)
def test_a_row_triggers_updates_or_resolves(statuses: list[str], expected: list[str]):
    rows = volvo(*((status, f"{minute:02}") for minute, status in enumerate(statuses)))
    assert actions(translated(rows)) == expected


def test_a_trigger_says_what_the_row_says():
    (event,) = translated(volvo(("Accepted", "00")))
    assert event["title"] == "PROD1: incident 1-1"
    assert (event["severity"], event["impact"], event["urgency"]) == ("warning", 2, 2)
    assert event["occurred_at"] == "2012-05-01T09:00:00+00:00"
    assert event["attributes"]["support_level"] == "L1"
    assert "waiting_for" not in event


def test_a_stamp_that_the_clocks_skip_is_the_moment_at_which_they_are_changed():
    rules = msgspec.structs.replace(
        load_map("volvo"), time=Time("Change Date+Time", timezone="Europe/Prague")
    )
    skipped, twice = (
        volvo(("Accepted", "00"), at="2026-03-29T02:30"),
        volvo(("Accepted", "00"), at="2026-10-25T02:30"),
    )
    assert translated(skipped, rules)[0]["occurred_at"] == "2026-03-29T01:00:00+00:00"
    assert translated(twice, rules)[0]["occurred_at"] == "2026-10-25T00:30:00+00:00"


def test_an_update_says_for_whom_it_waits_and_that_it_waits_no_more():
    rows = [
        *volvo(("Accepted", "00")),
        *volvo(("Accepted", "01"), sub="Wait - Vendor"),
        *volvo(("Accepted", "02")),
    ]
    assert [event.get("waiting_for") for event in translated(rows)] == [None, "vendor", ""]


def test_a_trigger_in_the_minute_of_its_resolve_leaves_its_time_out_so_that_the_order_counts():
    rows = volvo(("Accepted", "00"), ("Completed", "01"), ("Accepted", "01"), ("Accepted", "02"))
    times = [event.get("occurred_at") for event in translated(rows)]
    assert [time is None for time in times] == [False, False, True, False]


def test_the_sample_holds_every_quirk():
    translator = Translator(load_map("volvo"))
    counted = Counter(actions(list(translator.translate(rows_of(SAMPLE, translator.rules)))))
    assert translator.rows == sum(counted.values()) - 1  # one incident is complete in its first row
    assert sum(course.is_open for course in translator.courses.values()) == 5
    assert counted["trigger"] > len(translator.courses)  # some came back


def test_servicenow_rows_are_read_by_their_own_map(tmp_path: Path):
    rules = load_map("servicenow")
    row = dict.fromkeys(rules.columns(), "?") | {
        "number": "INC1", "incident_state": "Awaiting Vendor", "sys_updated_at": "29-02-2016 01:23",
        "category": "Category 55", "subcategory": "?", "priority": "2 - High", "impact": "1 - High",
    }  # fmt: skip
    (event,) = translated([row], rules)
    assert event["occurred_at"] == "2016-02-29T01:23:00+00:00"
    assert (event["severity"], event["impact"], event["waiting_for"]) == ("error", 1, "vendor")
    assert "urgency" not in event  # '?' says nothing
    assert "group" not in event["attributes"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("key: '{a}'", "missing required field `title`"),
        ("key: '{a}'\ntitle: x\ntime: {column: t}\ndone: {column: s, values: [x]}\nfieldz: {}", "fieldz"),
        (
            "key: '{a}'\ntitle: x\ntime: {column: t}\ndone: {column: s, values: [x]}\nfields: {prio: x}",
            "'prio' is no field of an event",
        ),
        ("key: [", "is not YAML"),
        (
            "key: '{a}'\ntitle: x\ntime: {column: t, timezone: Mars/One}\ndone: {column: s, values: [x]}",
            "'Mars/One' is no time zone",
        ),
    ],
)
def test_a_map_that_cannot_be_used_says_why(text: str, complaint: str):
    with pytest.raises(MapError, match=complaint):
        read_map(text, "mine")


def test_a_column_that_the_file_does_not_have_is_named_with_the_nearest_one():
    with pytest.raises(MapError, match=r"'Status', which the file does not have\. Did you mean 'status'"):
        load_map("volvo").check(
            [column.replace("Status", "status") for column in load_map("volvo").columns()]
        )


class Intake:
    """Accepts native batches, remembers them, and drops what it has seen by key and place in the batch."""

    def __init__(self, server: HTTPServer, busy: int = 0) -> None:
        self.lock = threading.Lock()
        self.busy = busy
        self.applied: list[Event] = []
        self.seen: set[str] = set()
        server.expect_request("/v1/events", method="POST").respond_with_handler(self.accept)

    def accept(self, request: Request) -> Response:
        with self.lock:
            if self.busy:
                self.busy -= 1
                return Response("{}", 503, headers={"retry-after": "0"}, content_type="application/json")
            batch = json.loads(request.get_data())
            name = request.headers["idempotency-key"]
            if name not in self.seen:
                self.seen.add(name)
                self.applied += batch
            return Response(json.dumps({"accepted": len(batch), "events": []}), 202)


def replay(ladder: Terminal, *arguments: str, file: Path = SAMPLE) -> str:
    printed = ladder("replay", str(file), "--map", "volvo", *arguments)
    assert printed.exit_code == 0, printed.err
    return printed.out


def test_replay_posts_every_event_in_order_per_incident(server: HTTPServer, ladder: Terminal):
    intake = Intake(server)
    out = replay(ladder, "--batch", "7", "--concurrency", "5")
    translator = Translator(load_map("volvo"))
    expected: dict[str, list[Event]] = {}
    for event in translator.translate(rows_of(SAMPLE, translator.rules)):
        expected.setdefault(event["dedup_key"], []).append(event)
    arrived: dict[str, list[Event]] = {}
    for event in intake.applied:
        arrived.setdefault(event["dedup_key"], []).append(event)
    assert arrived == expected
    assert "390 rows of 61 incidents became 391 accepted events" in out


def test_replay_waits_as_asked_and_tries_again_with_the_same_key(server: HTTPServer, ladder: Terminal):
    intake = Intake(server, busy=3)
    assert "3 tried again" in replay(ladder)
    assert len(intake.applied) == 391


def test_a_replay_started_again_doubles_nothing(server: HTTPServer, ladder: Terminal):
    intake = Intake(server)
    replay(ladder, "--limit", "100", "--concurrency", "2", "--batch", "1")
    replay(ladder, "--concurrency", "3", "--batch", "1")
    assert len(intake.applied) == 391


def test_a_replay_under_a_new_name_counts_again_and_happens_now(server: HTTPServer, ladder: Terminal):
    intake = Intake(server)
    replay(ladder)
    replay(ladder, "--run", "second")
    assert len(intake.applied) == 2 * 391
    assert [event for event in intake.applied[391:] if "occurred_at" in event] == []


def test_a_packed_log_is_read_as_it_is(server: HTTPServer, ladder: Terminal, tmp_path: Path):
    intake = Intake(server)
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    replay(ladder, file=packed)
    assert len(intake.applied) == 391


def test_a_refused_key_ends_the_replay_with_the_reason(server: HTTPServer, ladder: Terminal):
    problem = {"title": "Unauthorized", "status": 401}
    server.expect_request("/v1/events").respond_with_json(problem, status=401)
    printed = ladder("replay", str(SAMPLE), "--map", "volvo")
    assert (printed.exit_code, printed.err) == (1, "Unauthorized\n")


def test_a_file_that_is_not_there_is_one_sentence(ladder: Terminal):
    printed = ladder("replay", "nothing.csv", "--map", "volvo")
    assert printed.exit_code == 2
    assert "nothing.csv" in printed.err
    assert len(printed.err.splitlines()) == 1


def applied(key: str, status: str, events: int = 1, integration: str = "recorded") -> dict[str, object]:
    return {"integration": integration, "dedup_key": key, "status": status, "events": events}


def test_the_newest_incident_of_each_key_is_compared_with_the_last_row():
    translator = Translator(load_map("volvo"))
    rows = volvo(("Accepted", "00"), ("Completed", "01"), ("Accepted", "02"))
    sent = list(translator.translate(rows))
    older_and_newer = [applied("1-1", "triggered", 1), applied("1-1", "closed", 2)]
    assert compare(older_and_newer, translator.courses).settled(len(sent))
    assert not compare(older_and_newer[1:], translator.courses).settled(len(sent))
    assert not compare([applied("1-1", "triggered", 2)], translator.courses).settled(len(sent))
    assert not compare([], translator.courses).settled(len(sent))


def test_what_had_been_applied_before_is_no_difference():
    translator = Translator(load_map("volvo"))
    sent = list(translator.translate(volvo(("Accepted", "00"), ("Accepted", "01"))))
    started_again = compare([applied("1-1", "triggered", 2)], translator.courses)
    assert started_again.settled(len(sent), before=1)
    counted_again = compare([applied("1-1", "triggered", 4)], translator.courses)
    assert counted_again.settled(len(sent), before=2)
    assert not counted_again.settled(len(sent), before=1)


def test_a_dead_letter_is_never_in_order():
    translator = Translator(load_map("volvo"))
    sent = list(translator.translate(volvo(("Accepted", "00"))))
    letter = applied("dead-letter:ladder.incidents", "triggered", integration="ladder")
    assert not compare([applied("1-1", "triggered"), letter], translator.courses).settled(len(sent))


def test_verify_prints_what_differs_and_ends_with_1(server: HTTPServer, ladder: Terminal):
    Intake(server)
    server.expect_request("/v1/incidents").respond_with_json({"items": [], "next": None})
    printed = ladder("replay", str(SAMPLE), "--map", "volvo", "--verify", "--patience", "0")
    assert printed.exit_code == 1
    assert "0 of 61 incidents end as the log's last row says" in printed.out
    assert "0 of 391 accepted events applied" in printed.out


def test_the_figures_and_the_comparison_come_as_json(server: HTTPServer, ladder: Terminal):
    Intake(server)
    server.expect_request("/v1/incidents").respond_with_json({"items": [], "next": None})
    only = ("replay", str(SAMPLE), "--map", "volvo", "--limit", "10", "--json")
    figures = json.loads(ladder(*only).out)
    assert (figures["rows"], figures["verified"]) == (10, None)
    compared = ladder(*only, "--run", "again", "--verify", "--patience", "0")
    assert compared.exit_code == 1
    found = json.loads(compared.out)
    assert found["accepted"] >= found["incidents"] > 0
    assert (found["verified"]["agreed"], found["verified"]["events"]) == (False, 0)
