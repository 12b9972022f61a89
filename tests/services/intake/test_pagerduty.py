"""PagerDuty Events v2, as its clients really send it."""

import json
from datetime import UTC, datetime

import pytest

from services.intake.formats import CHANGES, FORMATS, Reading
from shared.http.problems import Fault, Problem
from tests.services.intake.posts import POST, faults, nested, read_one, recorded


def trigger(**payload):
    return {
        "routing_key": "k" * 32,
        "event_action": "trigger",
        "payload": {"summary": "s", "source": "db-3", "severity": "error"} | payload,
    }


def test_alertmanagers_own_sender_with_its_blank_severity_is_a_page():
    event = read_one("pagerduty", recorded("pagerduty_from_alertmanager.json"))
    assert (event.action, event.severity) == ("trigger", "error")
    assert event.notes == ("no severity: read as error",)
    assert event.title == "[FIRING:2] HighErrorRate (prod checkout)"
    assert event.labels == {
        "component": "checkout",
        "group": "prod",
        "class": "HighErrorRate",
        "client": "Alertmanager",
    }
    assert event.attributes["num_firing"] == "2"
    assert [link.text for link in event.links] == ["Alertmanager", "runbook"]


def test_its_resolve_meets_the_same_key():
    opened = read_one("pagerduty", recorded("pagerduty_from_alertmanager.json"))
    resolved = read_one("pagerduty", recorded("pagerduty_resolve_from_alertmanager.json"))
    assert (resolved.action, resolved.key) == ("resolve", opened.key)


def test_details_as_a_string_and_times_without_a_colon_are_kept():
    event = read_one("pagerduty", recorded("pagerduty_from_python_client.json"))
    assert event.attributes == {"details": "no space left on device"}
    assert event.occurred_at == datetime(2026, 1, 5, 8, 0, 12, tzinfo=UTC)
    assert [(link.href, link.image) for link in event.links] == [
        ("https://backup.example", False),
        ("https://charts.example/db-3.png", True),
        ("https://charts.example/db-3", False),
    ]


def test_a_change_is_recorded_as_a_change():
    found = CHANGES.read(recorded("pagerduty_change.json"), POST)
    assert isinstance(found, Reading)
    (event,) = found.events
    assert (event.action, event.title) == ("change", "Build success - #42 on main")
    assert event.attributes == {"build_state": "passed", "build_number": "42"}


@pytest.mark.parametrize("severity", ["Critical", "CRITICAL", " critical"])
def test_the_case_of_a_severity_does_not_matter(severity):
    assert read_one("pagerduty", trigger(severity=severity)).severity == "critical"


@pytest.mark.parametrize("severity", ["high", "", 5, "P1", ["critical"], "page\u0000"])
def test_an_odd_severity_is_an_error_and_the_original_is_kept(severity):
    event = read_one("pagerduty", trigger(severity=severity))
    assert event.severity == "error"
    assert event.notes
    if severity != "":
        assert "severity" in event.labels


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"routing_key": "k"}, "/event_action"),
        (trigger() | {"event_action": "explode"}, "/event_action"),
        ({"event_action": "trigger"}, "/payload"),
        ({"event_action": "trigger", "payload": "text"}, "/payload"),
        ({"event_action": "trigger", "payload": {"source": "s", "severity": "info"}}, "/payload/summary"),
        ({"event_action": "trigger", "payload": {"summary": "s", "severity": "info"}}, "/payload/source"),
        ({"event_action": "trigger", "payload": {"summary": "s", "source": "s"}}, "/payload/severity"),
        ({"event_action": "resolve"}, "/dedup_key"),
        ({"event_action": "acknowledge", "dedup_key": ""}, "/dedup_key"),
        (b"{", "body"),
        (b"[]", "body"),
    ],
)
def test_what_pagerduty_refuses_for_good_is_refused(body, field):
    assert list(faults("pagerduty", body)) == [field]


def test_too_much_is_cut_not_refused():
    event = read_one(
        "pagerduty",
        trigger(
            summary="s" * 2000,
            timestamp="soon",
            custom_details={"log": "x" * 100_000, "deep": nested(20), "rate": 0.5},
        )
        | {"links": [{"href": "javascript:alert(1)"}, "https://x.example", 5]},
    )
    assert len(event.title) == 1024
    assert event.occurred_at is None
    assert event.attributes["rate"] == 0.5
    assert len(json.dumps(event.attributes, separators=(",", ":"))) <= 64 * 1024
    assert [link.href for link in event.links] == ["https://x.example"]
    assert len(event.notes) == 4


def test_two_long_keys_with_one_beginning_stay_two():
    body = trigger() | {"dedup_key": "k" * 300 + "a"}
    other = trigger() | {"dedup_key": "k" * 300 + "b"}
    keys = {read_one("pagerduty", sent).dedup_key for sent in (body, other, body)}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {255}


def test_a_blank_summary_is_still_a_page():
    assert read_one("pagerduty", trigger(summary=" ")).title == "Event from db-3"


def test_answers_are_objects_as_the_clients_expect_them():
    form = FORMATS["pagerduty"]
    event = read_one("pagerduty", trigger() | {"dedup_key": "k"})
    assert json.loads(form.accepted([event]).body) == {
        "status": "success",
        "message": "Event processed",
        "dedup_key": "k",
    }
    status, answer = form.refused(Problem(422, "invalid-event", "x", faults=[Fault("/event_action", "no")]))
    assert (status, answer.media_type) == (400, b"application/json")
    assert json.loads(answer.body) == {
        "status": "invalid event",
        "message": "Event object is invalid",
        "errors": ["/event_action: no"],
    }
    assert form.refused(Problem(401, "unauthorized", "x"))[0] == 400
    assert form.refused(Problem(503, "log-unavailable", "x"))[0] == 503


def test_a_trigger_says_whether_its_details_are_all_there_is_to_say():
    assert read_one("pagerduty", trigger(custom_details={"host": "db-1"})).details_whole
    assert read_one("pagerduty", trigger(custom_details={})).details_whole
    assert not read_one("pagerduty", trigger()).details_whole  # nothing is said of them
    resolved = trigger(custom_details={"host": "db-1"}) | {"event_action": "resolve", "dedup_key": "k"}
    assert not read_one("pagerduty", resolved).details_whole
