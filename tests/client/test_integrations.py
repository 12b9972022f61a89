"""`ladder integrations`: who may post, when each was last accepted or refused, and why."""

import json

from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

AT = "2026-01-05T09:00:00Z"
WHY = "The event cannot be accepted: /3/title: needed for a trigger"
FAULTY = {"kind": "invalid-event", "count": 3, "at": AT, "reason": WHY, "event": 3}
NO_KEY = {"kind": "unauthorized", "count": 40, "at": AT, "reason": "A key is needed", "event": None}
CLOUDWATCH = {
    "name": "cloudwatch",
    "kind": "json",
    "accepted": 7,
    "refused": 43,
    "ignored": 2,
    "last_accepted_at": AT,
    "last_refused_at": AT,
    "last_ignored_at": AT,
    "last_refused": FAULTY,
    "refusals": [FAULTY, NO_KEY],
}
QUIET = {
    "name": "quiet",
    "kind": "native",
    "accepted": 0,
    "refused": 0,
    "ignored": 0,
    **dict.fromkeys(("last_accepted_at", "last_refused_at", "last_ignored_at", "last_refused")),
    "refusals": [],
}


def test_somebody_whose_sender_shows_nothing_reads_why_it_is_refused(server: HTTPServer, ladder: Terminal):
    listed = {"items": [CLOUDWATCH, QUIET]}
    server.expect_request("/v1/integrations", query_string="").respond_with_json(listed)
    one = {"items": [CLOUDWATCH]}
    server.expect_request("/v1/integrations", query_string="name=cloudwatch").respond_with_json(one)
    out = ladder("integrations", COLUMNS="200").out
    assert f"event 3: {WHY}" in out
    assert "43" in out
    assert "never" in out
    assert "unauthorized" not in out
    alone = ladder("integrations", "cloudwatch", COLUMNS="200").out
    assert "unauthorized" in alone
    assert "A key is needed" in alone
    assert json.loads(ladder("integrations", "--json").out) == listed["items"]


def test_a_name_that_the_policy_does_not_have_is_said(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/integrations").respond_with_json({"items": []})
    assert ladder("integrations", "nobody").out == "The policy in force has no integration 'nobody'.\n"
