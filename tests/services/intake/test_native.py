"""The native format: limits at their edges, repaired text, and every fault named with its place."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.services.intake.posts import NOW, POST, faults, nested, read, read_one, recorded


def test_a_batch_keeps_its_order_and_says_only_what_was_said():
    opened, updated, resolved = read("native", recorded("native_batch.json"))
    assert opened.attributes == {"order": 4711, "worth": 1250.5}
    assert opened.links[0].href == "https://crm.example/4711"
    assert opened.occurred_at == datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
    assert opened.received_at == NOW
    assert (updated.action, updated.waiting_for, updated.title) == ("update", "customer", None)
    assert (resolved.action, resolved.dedup_key) == ("resolve", "crm-4711")
    assert {event.key for event in (opened, updated, resolved)} == {"scripts:crm-4711"}


def test_newline_delimited_events_are_a_batch_and_blank_lines_are_nothing():
    lines = replace(POST, lines=True)
    titles = [event.title for event in read("native", b'{"title":"a"}\n\n{"title":"b\\u0000"}\r\n', lines)]
    assert titles == ["a", "b\ufffd"]
    assert list(faults("native", b'{"title":"a"}\n{"title":', lines)) == ["/1"]


def test_the_faults_of_a_batch_stand_in_the_order_of_its_members():
    batch = [{"titel": "a"}, {"title": 7}, {"title": "fine"}, {"action": "resolve"}, 5, {"title": ["x"]}]
    assert list(faults("native", batch)) == ["/0/title", "/1/title", "/3/dedup_key", "/4", "/5/title"]


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"titel": "Disk"}, "/title", "needed for a trigger; did you mean title instead of titel?"),
        ([{"title": "a"}, {"Title": "b"}], "/1/title", "did you mean title instead of Title?"),
        ({"action": "resolve", "dedupkey": "k"}, "/dedup_key", "did you mean dedup_key instead of dedupkey?"),
        ({"colour": "red"}, "/title", "needed for a trigger"),  # nothing near: no guess
    ],
)
def test_a_name_that_is_nearly_the_one_needed_is_pointed_out(body, field, reason):
    assert faults("native", body)[field].endswith(reason)


def test_a_near_name_is_pointed_out_line_by_line():
    lines = replace(POST, lines=True)
    assert faults("native", b'{"title":"a"}\n\n{"titel":"b"}', lines)["/1/title"].endswith("titel?")


@pytest.mark.parametrize(
    "member",
    [
        {"title": "x" * 1024},
        {"title": "ž" * 1024},  # characters, not bytes
        {"title": "x", "dedup_key": "k" * 255},
        {"title": "x", "description": "d" * 16384},
        {"title": "x", "attributes": nested(8)},
        {"title": "x", "attributes": {"a": "x" * (65536 - 8)}},  # {"a":"…"} is 8 bytes more
        {"title": "x", "labels": {str(n): "" for n in range(64)}},
        {"title": "x", "impact": 3, "urgency": 1.0},
        {"title": "x", "attributes": {"n": 10**300, "big": 123456789012345678901234567890}},
        {"title": "x", "severity": None, "labels": None, "attributes": None, "links": None},
        {"title": "x", "occurred_at": "2026-01-05T08:00:00.123456789+0100", "unknown": {"field": 1}},
        {"title": "x", "occurred_at": "0001-01-01T00:00:00Z"},
    ],
)
def test_what_is_within_its_limits_is_accepted(member):
    read("native", member)


@pytest.mark.parametrize(
    ("member", "field"),
    [
        ({}, "/title"),
        ({"title": "  "}, "/title"),
        ({"title": "x" * 1025}, "/title"),
        ({"title": 7}, "/title"),
        ({"title": "x", "dedup_key": "k" * 256}, "/dedup_key"),
        ({"title": "x", "description": "d" * 16385}, "/description"),
        ({"title": "x", "action": "explode"}, "/action"),
        ({"action": "resolve"}, "/dedup_key"),
        ({"action": "note", "dedup_key": ""}, "/dedup_key"),
        ({"title": "x", "impact": 0}, "/impact"),
        ({"title": "x", "urgency": 1.5}, "/urgency"),
        ({"title": "x", "attributes": nested(9)}, "/attributes/a/a/a/a/a/a/a/a"),
        ({"title": "x", "attributes": {"a": "x" * (65536 - 7)}}, "/attributes"),
        ({"title": "x", "attributes": []}, "/attributes"),
        ({"title": "x", "attributes": {"n": 10**309}}, "/attributes/n"),
        ({"title": "x", "labels": {str(n): "" for n in range(65)}}, "/labels"),
        ({"title": "x", "labels": {"build": 42}}, "/labels"),
        ({"title": "x", "links": [{"href": "x"}, {"text": "no address"}]}, "/links/1"),
        ({"title": "x", "links": ["javascript:alert(1)"]}, "/links/0"),
        ({"title": "x", "occurred_at": "yesterday"}, "/occurred_at"),
        ({"title": "x", "customer": 42}, "/customer"),
        (b'{"title":"x","attributes":{"a":NaN}}', "/attributes/a"),
        (b'{"title":"x","attributes":{"a/b":[1,-Infinity]}}', "/attributes/a~1b/1"),
        (b'{"title":"x","attributes":{"a":1e999}}', "/attributes/a"),
        (b'{"title":"x"', "body"),
        (b"", "body"),
        (b"[" * 100_000, "body"),
        (b"17", "body"),
    ],
)
def test_what_is_over_a_limit_is_refused_with_its_place(member, field):
    assert list(faults("native", member)) == [field]


def test_every_bad_member_of_a_batch_is_named_by_index_and_field():
    batch = [{"title": "good"}, {"title": 4, "impact": 9}, "text", {"action": "resolve"}, {"title": "good"}]
    assert sorted(faults("native", batch)) == ["/1/impact", "/1/title", "/2", "/3/dedup_key"]


def test_a_batch_holds_a_thousand_events_and_no_more():
    assert len(read("native", [{"title": "x"}] * 1000)) == 1000
    assert list(faults("native", [{"title": "x"}] * 1001)) == ["body"]
    assert read("native", []) == []


@pytest.mark.parametrize(
    ("body", "title"),
    [
        (b'{"title":"a\\u0000b"}', "a\ufffdb"),
        (b'{"title":"a\\ud800b"}', "a\ufffdb"),
        (b'{"title":"\\ud83d\\ude00"}', "\U0001f600"),
        (b'{"title":"a\xed\xa0\x80b"}', "a\ufffd\ufffd\ufffdb"),  # a surrogate in UTF-8's clothes
        (b'{"title":"caf\xe9"}', "caf\ufffd"),  # Latin-1
        (b'\xef\xbb\xbf{"title":"after a byte order mark"}', "after a byte order mark"),
        (b'{"title":"two\nlines"}', "two\nlines"),
    ],
)
def test_text_that_no_database_takes_is_replaced(body, title):
    assert read_one("native", body).title == title


def test_an_odd_severity_pages_as_an_error_and_is_noted():
    event = read_one("native", {"title": "x", "severity": "catastrophic"})
    assert event.severity == "error"
    assert event.notes == ("severity 'catastrophic' was read as error",)
    assert read_one("native", {"title": "x", "severity": " Critical "}).severity == "critical"


def test_the_senders_own_id_makes_the_events_ids():
    first = replace(POST, idempotency_key="abc")
    assert read_one("native", {"title": "x"}, first) == read_one("native", {"title": "x"}, first)
    one, two = read("native", [{"title": "x"}, {"title": "x"}], first)
    assert len({one.event_id, two.event_id, read_one("native", {"title": "x"}, first).event_id}) == 3
    other = replace(first, integration="crm")
    assert (
        read_one("native", {"title": "x"}, other).event_id
        != read_one("native", {"title": "x"}, first).event_id
    )


def test_without_an_id_of_the_sender_the_same_body_is_a_new_event():
    body = {"title": "x", "dedup_key": "k"}
    assert read_one("native", body).event_id != read_one("native", body).event_id


def test_a_trigger_without_a_key_gets_one():
    event = read_one("native", {"title": "x"})
    assert event.dedup_key == event.event_id
