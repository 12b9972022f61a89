"""What holds for every format."""

from datetime import timedelta

import pytest

from services.intake.formats import FORMATS
from services.intake.formats.sanitize import ATTRIBUTE_BYTES, compact_size
from services.intake.mapping.transform import Transform
from services.router.domain.heartbeats import HeartbeatState, missed
from shared.events import IncidentEvent
from shared.policy import Heartbeat
from tests.services.intake.posts import NOW, POST, as_body, read_one


def mapped(body: dict, **fields: str) -> IncidentEvent:
    """A body of kind json, as the integration's map reads it."""
    read = FORMATS["json"].read(as_body(body), POST)
    transform = Transform.made({}, [("true", {"title": "title"} | fields)])
    made = transform.apply(read, POST, loose=True)
    assert not made.faults
    return made.events[0]


def alert(**parts) -> dict:
    return {"version": "4", "alerts": [{"status": "firing", "fingerprint": "f", "labels": {}} | parts]}


def cloud(**parts) -> dict:
    return {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"} | parts


def saying(kind: str, word: str) -> IncidentEvent:
    """A trigger of this format whose sender says this for a severity or priority."""
    match kind:
        case "native":
            return read_one("native", {"title": "x", "severity": word})
        case "pagerduty":
            payload = {"summary": "s", "source": "x", "severity": word}
            return read_one("pagerduty", {"event_action": "trigger", "payload": payload})
        case "alertmanager" | "grafana":
            return read_one(kind, alert(labels={"alertname": "A", "severity": word}))
        case "opsgenie":
            return read_one("opsgenie", {"message": "m", "priority": word})
        case "cloudevents":
            return read_one("cloudevents", cloud(severity=word))
        case "cloudevents with an event of Ladder's":
            return read_one("cloudevents", cloud(data={"title": "x", "severity": word}))
        case "json":
            return mapped({"title": "x", "level": word}, severity="level")
        case _:
            return beat(word)


def beat(word: str) -> IncidentEvent:
    day, hour = timedelta(days=1), timedelta(hours=1)
    heartbeat = Heartbeat(every=day, late_after=hour, event={"title": "late", "severity": word})
    watched = HeartbeatState(name="backup", every=day, late_after=hour, since=NOW, due_at=NOW + day)
    return missed(watched, heartbeat, NOW + 2 * day)[1]


KINDS = ["native", "pagerduty", "alertmanager", "grafana", "opsgenie", "cloudevents", "json", "heartbeat"]
KINDS.append("cloudevents with an event of Ladder's")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("word", ["P9", "fatal", "none", "{{ .Labels.level }}"])
def test_an_unknown_severity_or_priority_is_an_error_and_said_in_every_format_alike(kind, word):
    event = saying(kind, word)
    assert event.severity == "error"
    called = "priority" if kind == "opsgenie" else "severity"
    assert f"{called} {word!r} was read as error" in event.notes


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "heartbeat"])
@pytest.mark.parametrize("word", ["", " "])
def test_a_blank_one_is_an_error_too(kind, word):
    event = saying(kind, word)
    assert event.severity == "error"
    assert any(note.startswith("no ") and note.endswith(": read as error") for note in event.notes)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "opsgenie"])
def test_the_case_of_a_known_one_does_not_matter(kind):
    assert saying(kind, " Critical ").severity == "critical"


def test_an_opsgenie_alert_that_names_no_priority_has_its_default():
    for sent in ({"message": "m"}, {"message": "m", "priority": None}):
        event = read_one("opsgenie", sent)
        assert (event.severity, event.labels, event.notes) == ("warning", {}, ())


# --- texts ------------------------------------------------------------------------------------------------


def describing(kind: str, text: str) -> IncidentEvent:
    """A trigger of this format that carries this description."""
    match kind:
        case "native":
            return read_one("native", {"title": "x", "description": text})
        case "alertmanager" | "grafana":
            return read_one(kind, alert(annotations={"summary": "s", "description": text}))
        case "opsgenie":
            return read_one("opsgenie", {"message": "m", "description": text})
        case "cloudevents":
            return read_one("cloudevents", cloud(data={"title": "x", "description": text}))
        case _:
            return mapped({"title": "x", "body": text}, description="body")


DESCRIBING = ["native", "alertmanager", "grafana", "opsgenie", "cloudevents", "json"]


@pytest.mark.parametrize("kind", DESCRIBING)
def test_a_description_of_ten_thousand_characters_loses_none_of_them(kind):
    event = describing(kind, "d" * 10_000)
    assert event.description == "d" * 10_000
    assert not any("cut" in note for note in event.notes)


@pytest.mark.parametrize("kind", [kind for kind in DESCRIBING if kind != "native"])
def test_a_longer_one_than_is_allowed_is_cut_once_at_its_own_limit(kind):
    event = describing(kind, "d" * 20_000)
    assert event.description == "d" * (16 * 1024 - 1) + "…"
    assert [note for note in event.notes if "cut" in note] == [
        "description was cut from 20000 to 16384 characters"
    ]


def test_an_annotation_is_kept_whole_and_of_several_only_the_longest_is_cut_to_fit():
    short = {"runbook": "r" * 10_000, "summary": "s"}
    assert read_one("alertmanager", alert(annotations=short)).attributes["annotations"] == short
    event = read_one("alertmanager", alert(annotations=short | {"log": "x" * 500_000}))
    kept = event.attributes["annotations"]
    assert {name: kept[name] for name in short} == short
    assert 50_000 < len(kept["log"]) < 56_000
    assert ATTRIBUTE_BYTES - 200 < compact_size(event.attributes) <= ATTRIBUTE_BYTES


def test_a_detail_that_is_too_large_loses_no_more_than_it_must():
    payload = {"summary": "s", "source": "x", "severity": "error", "custom_details": {"log": "x" * 70_000}}
    event = read_one("pagerduty", {"event_action": "trigger", "payload": payload})
    assert ATTRIBUTE_BYTES - 200 < compact_size(event.attributes) <= ATTRIBUTE_BYTES


@pytest.mark.parametrize("kind", ["alertmanager", "pagerduty", "opsgenie", "cloudevents", "json"])
def test_a_label_is_as_long_in_every_format(kind):
    text = "l" * 5_000
    payload = {"summary": "s", "source": "x", "severity": "error", "component": text}
    event = {
        "alertmanager": lambda: read_one("alertmanager", alert(labels={"job": text})),
        "pagerduty": lambda: read_one("pagerduty", {"event_action": "trigger", "payload": payload}),
        "opsgenie": lambda: read_one("opsgenie", {"message": "m", "entity": text}),
        "cloudevents": lambda: read_one("cloudevents", cloud(job=text)),
        "json": lambda: mapped({"title": "x", "job": text}, **{"labels.job": "job"}),
    }[kind]()
    assert max(map(len, event.labels.values())) == 4096
    assert sum("was cut from 5000 to 4096 characters" in note for note in event.notes) == 1
