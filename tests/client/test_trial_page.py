"""`ladder test-page`: what it asks, what it prints, and when it says that nothing arrives."""

import json

import pytest
from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

STEP = {"channel": "inbox", "at": "2026-03-02T09:00:00Z", "delayed_by": "", "cannot_be_sent": ""}
BEGUN = {
    "id": "trial-1",
    "user": "ana",
    "loudness": "high",
    "steps": [
        STEP | {"delivery_id": "d1", "contact": "chat"},
        STEP | {"delivery_id": "d2", "contact": "phone", "delayed_by": "rule high[1] after 2m"},
        STEP | {"delivery_id": "d3", "contact": "call", "cannot_be_sent": "LADDER_TWILIO_ACCOUNT is not set"},
    ],
    "note": "",
}


def playing(server: HTTPServer, *states: str, user: str = "me", error: str = "") -> None:
    server.expect_request(f"/v1/users/{user}/test-page", method="POST").respond_with_json(BEGUN)
    items = [
        {
            "id": step["delivery_id"],
            "contact": step["contact"],
            "channel": "inbox",
            "state": state,
            "last_error": error,
        }
        for step, state in zip(BEGUN["steps"], states, strict=True)
    ]
    server.expect_request("/v1/deliveries").respond_with_json({"items": items, "next": None})


def test_it_says_what_comes_when_and_what_became_of_it(server: HTTPServer, ladder: Terminal) -> None:
    playing(server, "delivered", "cancelled", "failed")
    printed = ladder("test-page")
    assert printed.exit_code == 0, printed.err
    assert "A test page for ana, by the `high` rules:" in printed.out
    assert "phone (inbox): rule high[1] after 2m" in printed.out
    assert "call (inbox) – cannot be sent here: LADDER_TWILIO_ACCOUNT is not set" in printed.out
    assert "delivered  chat (inbox)" in printed.out


def test_where_nothing_arrives_the_exit_status_says_so(server: HTTPServer, ladder: Terminal) -> None:
    playing(server, "failed", "failed", "failed", error="HTTP 404")
    printed = ladder("test-page")
    assert printed.exit_code == 1
    assert "failed  chat (inbox): HTTP 404" in printed.out
    assert "Nothing arrived." in printed.out


def test_programs_get_the_plan_and_the_deliveries(server: HTTPServer, ladder: Terminal) -> None:
    playing(server, "sent", "sent", "sent", user="petra")
    found = json.loads(ladder("test-page", "petra", "--low", "--json").out)
    assert (found["steps"], len(found["deliveries"])) == (BEGUN["steps"], 3)
    asked = next(request for request, _ in server.log if request.method == "POST")
    assert asked.args.to_dict() == {"loudness": "low"}
    alone = json.loads(ladder("test-page", "petra", "--no-wait", "--json").out)
    assert alone == BEGUN


@pytest.mark.parametrize(
    ("steps", "said"), [(2, "2 steps of ana's test do not come."), (0, "No step of a test of ana")]
)
def test_stopping_it(server: HTTPServer, ladder: Terminal, steps: int, said: str) -> None:
    answer = {"user": "ana", "called_off": steps}
    server.expect_request("/v1/users/ana/test-page", method="DELETE").respond_with_json(answer)
    assert said in ladder("test-page", "ana", "--stop").out
