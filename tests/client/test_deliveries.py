"""`ladder deliveries`: what a person reads, and what is asked of the API."""

import json

from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

FAILED = {
    "id": "5b8b8c5e-4f0e-4e0c-9f5e-4b8e4f8f0a11",
    "incident_id": "i1",
    "event": "page",
    "recipient": "ana",
    "channel": "email",
    "contact": "mail",
    "state": "failed",
    "attempts": 3,
    "reason": "Ana is on call",
    "last_error": "SMTP 550 no such mailbox",
    "created_at": "2026-03-02T09:00:00Z",
}
PATH = f"/v1/deliveries/{FAILED['id']}"


def test_those_that_failed_are_a_table_with_what_the_provider_said(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/deliveries").respond_with_json({"items": [FAILED], "next": None})
    said = ladder("deliveries", "list", "--state", "failed", "--state", "cancelled", "--to", "ana").out
    heading, row = said.splitlines()
    assert heading.split()[0] == "id"
    assert row.startswith("5b8b8c5e")
    assert "SMTP 550 no such mailbox" in row
    (asked, _) = server.log[0]
    assert asked.args.getlist("state") == ["failed", "cancelled"]
    assert asked.args["recipient"] == "ana"


def test_one_is_sent_once_more_by_the_beginning_of_its_id(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/deliveries").respond_with_json({"items": [FAILED], "next": None})
    server.expect_request(f"{PATH}/retry", method="POST").respond_with_json(
        FAILED | {"state": "pending"}, 202
    )
    assert ladder("deliveries", "retry", "5b8b").out == (
        f"on its way to ana by email (mail) again: {FAILED['id']}\n"
    )


def test_one_that_nobody_needs_is_refused_with_the_reason(server: HTTPServer, ladder: Terminal):
    problem = {"title": "It is not sent again", "status": 409, "detail": "nobody needs it any more: taken"}
    server.expect_request(f"{PATH}/retry", method="POST").respond_with_json(problem, 409)
    refused = ladder("deliveries", "retry", FAILED["id"])
    assert (refused.exit_code, "nobody needs it any more: taken" in refused.err) == (1, True)


def test_endpoints_that_rest_are_shown_and_enabled_by_a_delivery(server: HTTPServer, ladder: Terminal):
    gone = {"endpoint": "https://hooks.example/…", "state": "disabled", "since": "2026-03-02T09:00:00Z"}
    gone |= {"until": None, "reason": "HTTP 410: the endpoint is gone"}
    server.expect_request("/v1/deliveries/endpoints", method="GET").respond_with_json(
        {"items": [gone], "next": None}
    )
    server.expect_request("/v1/deliveries/endpoints", method="DELETE").respond_with_data(status=204)
    assert "410" in ladder("deliveries", "endpoints").out
    assert json.loads(ladder("deliveries", "endpoints", "--json").out) == [gone]
    assert "ladder deliveries retry 5b8b8c5e" in ladder("deliveries", "enable", FAILED["id"]).out
    assert server.log[-1][0].args["delivery"] == FAILED["id"]
