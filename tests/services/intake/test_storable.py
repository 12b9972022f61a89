"""Whatever JSON comes in: the formats never raise, and what they accept, any database can store."""

import json
import math
from datetime import UTC

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from services.intake.admission.integrations import Integration
from services.intake.admission.unknown_names import with_unknown_names
from services.intake.formats import CHANGES, FORMATS, Reading
from services.intake.formats.native import NativeEvent
from services.intake.formats.opsgenie import VERBS, Opsgenie
from services.intake.formats.sanitize import DEPTH, read_json
from services.intake.mapping.transform import Transform
from shared.eventlog.codec import decode, encode
from shared.events import IncidentEvent
from tests.services.intake.posts import POST

TEXT = st.text(st.characters(codec=None, categories=None), max_size=20)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**18, 2**63, 10**308, 10**309, -(10**320)])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
TIMES = st.sampled_from(
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-01-05T08:00:00+0000", 1e300]
)
NATIVE = st.fixed_dictionaries(
    {"title": TEXT | JSON},
    optional={name: JSON | TIMES for name in NativeEvent.__struct_fields__ if name != "title"},
)
ENQUEUED = st.fixed_dictionaries(
    {"event_action": st.sampled_from(["trigger", "resolve", "acknowledge"]) | JSON},
    optional={
        "dedup_key": JSON,
        "payload": JSON
        | st.fixed_dictionaries(
            {"summary": JSON, "source": JSON, "severity": JSON},
            optional={"timestamp": JSON | TIMES, "custom_details": JSON, "class": JSON, "group": JSON},
        ),
        "links": JSON | st.lists(st.dictionaries(st.sampled_from(["href", "text", "src"]), JSON), max_size=3),
        "images": JSON | st.lists(st.dictionaries(st.sampled_from(["href", "alt", "src"]), JSON), max_size=3),
        "client": JSON,
        "client_url": JSON,
    },
)
ALERT = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["firing", "resolved"]) | JSON,
        "labels": st.dictionaries(TEXT, JSON, max_size=4) | JSON,
        "annotations": st.dictionaries(TEXT, JSON, max_size=4) | JSON,
        "startsAt": JSON | TIMES,
        "endsAt": JSON | TIMES,
        "generatorURL": JSON,
        "fingerprint": JSON,
        "values": JSON,
    },
)
ALERTS = st.fixed_dictionaries(
    {"alerts": st.lists(ALERT, max_size=3) | JSON},
    optional={"status": JSON, "truncatedAlerts": JSON, "externalURL": JSON},
)
MAPPED = Integration(
    name="mapped",
    kind="alertmanager",
    keys=(),
    transform=Transform.made(
        {"source": "here", "labels.team": "desk", "attributes.n": float("nan")},
        [
            (
                "true",
                {
                    "dedup_key": "fingerprint",
                    "severity": "labels.severity",
                    "title": "annotations",
                    "impact": "values",
                    "labels": "body.labels",
                    "attributes": "body",
                    "links": "labels",
                },
            )
        ],
    ),
)


def assert_storable(value, depth=DEPTH + 2):
    assert depth
    if isinstance(value, str):
        assert "\0" not in value
        value.encode()
    elif isinstance(value, float | int):
        assert math.isfinite(float(value))
    elif isinstance(value, dict | list):
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            assert_storable(item, depth - 1)


def assert_event_storable(event):
    record = encode(event)
    assert len(record.value) < 3_000_000
    assert decode(IncidentEvent, record.value, record.headers) == event
    assert_storable(json.loads(record.value))
    assert len(event.dedup_key) <= 255
    assert len(event.title or "") <= 1024
    assert len(json.dumps(event.attributes, ensure_ascii=False, separators=(",", ":")).encode()) <= 70_000
    assert event.occurred_at is None or event.occurred_at.tzinfo is UTC


def assert_harmless(form, sent):
    found = form.read(json.dumps(sent).encode(), POST)
    if isinstance(found, Reading):
        for event in (*found.events, *MAPPED.transform.apply(found, POST, loose=False).events):
            assert_event_storable(event)
            assert_event_storable(with_unknown_names(event, {"x": {"a": "number"}}, frozenset()))
    else:
        assert found.faults
        json.dumps([[fault.field, fault.reason] for fault in found.faults], ensure_ascii=False).encode()


@settings(max_examples=150, deadline=None)
@given(NATIVE | st.lists(NATIVE, max_size=3) | JSON)
def test_native_bodies(sent):
    assert_harmless(FORMATS["native"], sent)


@settings(max_examples=150, deadline=None)
@given(ENQUEUED | JSON)
def test_pagerduty_bodies(sent):
    assert_harmless(FORMATS["pagerduty"], sent)
    assert_harmless(CHANGES, sent)


@settings(max_examples=150, deadline=None)
@given(ALERTS | JSON)
def test_alertmanager_bodies(sent):
    assert_harmless(FORMATS["alertmanager"], sent)


CLOUDEVENTS = st.fixed_dictionaries(
    dict.fromkeys(("id", "source", "type"), JSON | TEXT) | {"specversion": st.just("1.0")},
    optional={
        "data": JSON | NATIVE,
        "data_base64": JSON | TEXT,
        "datacontenttype": JSON,
        "subject": JSON,
        "time": JSON | TIMES,
        "extension": JSON,
    },
)


@settings(max_examples=150, deadline=None)
@given(CLOUDEVENTS | st.lists(CLOUDEVENTS, max_size=3) | JSON)
def test_cloudevents_bodies(sent):
    assert_harmless(FORMATS["cloudevents"], sent)


ALERT_REQUESTS = st.fixed_dictionaries(
    {"message": JSON | TEXT},
    optional=dict.fromkeys(("alias", "description", "details", "tags", "priority", "source", "user", "note", "entity", "owner", "escalation", "responder", "responders"), JSON | TEXT)
    | {"endTime": JSON | TIMES},
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(VERBS)), ALERT_REQUESTS | JSON)
def test_opsgenie_bodies(verb, sent):
    assert_harmless(Opsgenie(verb, "alias"), sent)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_at_all(body):
    for form in (*FORMATS.values(), CHANGES):
        form.read(body, POST)
        form.credential(body)


@pytest.mark.parametrize("levels", [100, 300, 700, 990, 5000])
@pytest.mark.parametrize("kind", FORMATS)
def test_any_depth(levels, kind):
    deep = b"[" * levels + b'"\\ud800"' + b"]" * levels
    bodies = {
        "native": b'{"title":"x","attributes":{"a":%s}}',
        "pagerduty": b'{"event_action":"trigger","payload":{"summary":%s,"source":"s","severity":"x"}}',
        "alertmanager": b'{"alerts":[{"labels":{"a":%s},"annotations":{"b":1},"values":1}]}',
        "grafana": b'{"alerts":[{"labels":{"a":%s},"values":{"B":1}}]}',
        "json": b'{"a":%s}',
        "opsgenie": b'{"message":"x","details":{"a":%s}}',
        "cloudevents": b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":%s}}',
    }
    found = FORMATS[kind].read(bodies[kind] % deep, POST)
    if isinstance(found, Reading):
        assert_event_storable(found.events[0])


def test_a_parsed_tree_is_clean_down_to_its_keys():
    parsed = read_json(b'{"a\\u0000": ["b\\ud800", {"c\\udfff": 1}]}')
    assert parsed.value == {"a\ufffd": ["b\ufffd", {"c\ufffd": 1}]}
