"""Alertmanager's webhook v4: one incident per alert, everything kept, nothing refused that can be mapped."""

import json
from datetime import UTC, datetime

import pytest

from services.intake.formats import FORMATS
from services.intake.formats.alertmanager import fingerprint
from shared.http.problems import Problem
from tests.services.intake.posts import faults, nested, read, read_one, recorded


def group(**alert):
    return {
        "version": "4",
        "status": "firing",
        "alerts": [{"status": "firing", "labels": {"alertname": "A"}} | alert],
    }


def test_each_alert_is_an_event_keyed_by_its_fingerprint():
    firing, resolved = read("alertmanager", recorded("alertmanager_firing.json"))
    assert (firing.action, firing.dedup_key) == ("trigger", "a32935fed4809bed")
    assert firing.title == "Checkout answers 5xx"
    assert firing.description == "21% of requests fail on lb-1:9100."
    assert (firing.severity, firing.service) == ("critical", "checkout")
    assert firing.labels["job"] == "checkout"
    assert firing.attributes["annotations"]["runbook_url"] == "https://runbooks.example/checkout/5xx"
    assert firing.occurred_at == datetime(2026, 1, 5, 8, 0, 12, 339000, tzinfo=UTC)
    assert [link.text for link in firing.links] == ["source", "runbook_url", "Alertmanager"]
    assert firing.notes == ()
    assert (resolved.action, resolved.dedup_key) == ("resolve", "0b52e0c8abd5ae30")
    assert resolved.occurred_at == datetime(2026, 1, 5, 7, 3, 42, 339123, tzinfo=UTC)


def test_an_alert_without_a_summary_is_called_by_its_name_and_a_severity_of_none_is_an_error():
    event = read_one("alertmanager", recorded("alertmanager_watchdog.json"))
    assert (event.title, event.severity) == ("Watchdog", "error")
    assert event.labels["severity"] == "none"
    assert "severity 'none' was read as error" in event.notes
    assert "Alertmanager left 3 more alerts of this group out (its max_alerts)" in event.notes


@pytest.mark.parametrize(
    ("labels", "number"),  # the figures of prometheus/common's own tests
    [
        ({}, 14695981039346656037),
        ({"name": "garland, briggs", "fear": "love is not enough"}, 5799056148416392346),
        (
            {"first_name": "electro", "occupation": "robot", "manufacturer": "westinghouse"},
            5911716720268894962,
        ),
    ],
)
def test_a_missing_fingerprint_is_computed_as_prometheus_does(labels, number):
    assert int(fingerprint(labels), 16) == number
    assert read_one("alertmanager", group(labels=labels)).dedup_key == f"{number:016x}"


def test_one_label_set_is_one_incident_whether_firing_or_resolved():
    labels = {"alertname": "A", "instance": "ž"}
    opened = read_one("alertmanager", group(labels=labels))
    resolved = read_one("alertmanager", group(labels=labels, status="resolved"))
    assert (opened.key, resolved.action) == (resolved.key, "resolve")


@pytest.mark.parametrize(
    "alert",
    [
        {"labels": None, "annotations": "text", "startsAt": 5, "fingerprint": 7},
        {"labels": {"alertname": "A", "n": 4, "deep": nested(400)}},
        {"status": "unknown"},
        {"labels": {f"label{n}": "v" * 10_000 for n in range(100)}},
        {
            "annotations": {
                "summary": "s" * 5000,
                "description": "d" * 50_000,
                "x_url": "http://x/" + "y" * 3000,
            }
        },
        {"startsAt": "0001-01-01T00:00:00Z", "endsAt": "9999-12-31T23:59:59-12:00", "generatorURL": None},
        {"labels": {"severity": "critical\u0000", "a\u0000": "\ud800"}},
    ],
)
def test_odd_alerts_are_taken(alert):
    event = read_one("alertmanager", group(**alert))
    assert event.action == "trigger"
    assert event.title
    assert len(event.labels) <= 64
    json.dumps(event.attributes).encode()


def test_labels_beyond_an_events_limit_are_kept_as_attributes():
    event = read_one("alertmanager", group(labels={f"label{n:03}": "v" for n in range(70)}))
    assert len(event.labels) == 64
    assert len(event.attributes["more_labels"]) == 6


GROUP = {"groupKey": '{}:{alertname="A"}', "version": "4"}


def posted(status, *statuses, **said):
    alerts = [{"status": each, "labels": {"alertname": "A", "n": str(n)}} for n, each in enumerate(statuses)]
    return read("alertmanager", GROUP | {"status": status, "alerts": alerts} | said)


def test_each_event_knows_its_group_and_how_many_of_it_were_left_out():
    events = posted("firing", "firing", "resolved", truncatedAlerts=3)
    assert [(each.alert_group, each.left_out) for each in events] == [('{}:{alertname="A"}', 3)] * 2
    assert not any(each.alert_group_over for each in events)


def test_a_wholly_resolved_group_says_so_once():
    events = posted("resolved", "resolved", "resolved", truncatedAlerts=1)
    assert [each.alert_group_over for each in events] == [False, True]
    assert [each.alert_group_over for each in posted("resolved", "resolved")] == [True]


@pytest.mark.parametrize("cut", [None, -1, "many", True, 0])
def test_a_count_of_truncated_alerts_that_is_none_leaves_nothing_out(cut):
    (event,) = posted("firing", "firing", truncatedAlerts=cut)
    assert event.left_out == 0


def test_no_alerts_are_an_empty_list():
    assert read("alertmanager", {"status": "resolved", "alerts": None}) == []
    assert read("grafana", {"status": "resolved", "alerts": None}) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        ({}, "/alerts"),
        ([], "/alerts"),
        ({"alerts": {}}, "/alerts"),
        ({"alerts": [{"labels": {}}, "text"]}, "/alerts/1"),
    ],
)
def test_what_is_no_group_of_alerts_is_refused(body, field):
    assert list(faults("alertmanager", body)) == [field]


def test_a_throttle_is_answered_503_because_429_would_lose_the_alert():
    assert FORMATS["alertmanager"].refused(Problem(429, "rate", "x"))[0] == 503
