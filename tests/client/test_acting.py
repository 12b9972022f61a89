"""The commands by which people act, against an API that answers in the shapes of the design."""

import json

import pytest
from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal
from tests.client.test_commands import FIRST, OTHER, SECOND, incident, listed


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("ack {} --assignee ana", {"action": "acknowledge", "assignee": "ana"}),
        ("unack {}", {"action": "unacknowledge"}),
        ("assign {} petra", {"action": "assign", "to": "petra"}),
        ("escalate {} --level experts", {"action": "escalate", "level": "experts", "because": "expertise"}),
        ("escalate {} --policy f --because authority", {"action": "escalate", "policy": "f", "because": "authority"}),
        ("snooze {} 1h30m", {"action": "snooze", "seconds": 5400.0}),
        ("snooze {} 2026-03-08T07:00Z", {"action": "snooze", "until": "2026-03-08T07:00:00+00:00"}),
        ("wait {} 2d --for vendor", {"action": "wait", "seconds": 172800.0, "for": "vendor"}),
        ("resume {}", {"action": "resume"}),
        ("set {} --priority 1 --service checkout", {"action": "set", "priority": 1, "service": "checkout"}),
        ("set {} -a size=2.5 -a name=x -a on=true", {"action": "set", "attributes": {"size": 2.5, "name": "x", "on": True}}),
        ("set {} --drop size --customer=", {"action": "set", "customer": "", "attributes": {"size": None}}),
        ("note {} seen", {"action": "note", "text": "seen"}),
        ("update {} soon", {"action": "update", "text": "soon"}),
        ("decide {} approve --note fine", {"action": "decide", "decision": "approve", "note": "fine"}),
        ("resolve {} --note restarted", {"action": "resolve", "note": "restarted"}),
        ("confirm {} --rating 4", {"action": "confirm", "rating": 4}),
        ("refuse {} --note no", {"action": "refuse", "note": "no"}),
        ("reopen {}", {"action": "reopen"}),
        ("close {}", {"action": "close"}),
        (f"merge {{}} --into {OTHER}", {"action": "merge", "into": OTHER}),
        ("subscribe {}", {"action": "subscribe"}),
        ("subscribe {} --who a@b.example --via email", {"action": "subscribe", "who": "a@b.example", "via": "email"}),
        ("unsubscribe {} --who ana", {"action": "unsubscribe", "who": "ana"}),
        ("reapply {}", {"action": "reapply"}),
    ],
)  # fmt: skip
def test_each_command_posts_its_action_with_its_arguments(
    server: HTTPServer, ladder: Terminal, command: str, body: dict[str, object]
):
    server.expect_request(f"/v1/incidents/{FIRST}/actions", method="POST", json=body).respond_with_json(
        incident()
    )
    printed = ladder(*command.format(FIRST).split())
    assert (printed.exit_code, printed.err) == (0, "")
    assert "0b7b2f7e: Checkout is down is triggered" in printed.out


def test_the_answer_comes_as_json_when_asked_of_several_as_a_list(server: HTTPServer, ladder: Terminal):
    for one in (FIRST, SECOND):
        server.expect_request(f"/v1/incidents/{one}/actions").respond_with_json(incident(one))
    assert json.loads(ladder("resolve", FIRST, "--json").out)["id"] == FIRST
    assert [each["id"] for each in json.loads(ladder("resolve", FIRST, SECOND, "--json").out)] == [
        FIRST,
        SECOND,
    ]


def test_what_to_merge_into_is_picked_like_everything_else(server: HTTPServer, ladder: Terminal):
    server.expect_request("/v1/incidents").respond_with_json(listed(incident(OTHER)))
    body = {"action": "merge", "into": OTHER}
    server.expect_request(f"/v1/incidents/{FIRST}/actions", json=body).respond_with_json(incident())
    assert ladder("merge", FIRST, "--into", "c3f1").exit_code == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("snooze", FIRST, "soon"), "'soon' is not a time such as"),
        (("set", FIRST, "-a", "nothing"), "'nothing' is not NAME=VALUE"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(ladder: Terminal, command: tuple[str, ...], said: str):
    printed = ladder(*command)
    assert (printed.exit_code, said in printed.err) == (2, True)


def test_a_snooze_and_a_decision_are_shown(server: HTTPServer, ladder: Terminal):
    shown = incident(snoozed_until="2026-03-01T14:00:00Z", decision="approve", decided_by="petra", rating=4)
    server.expect_request(f"/v1/incidents/{FIRST}").respond_with_json(shown)
    printed = ladder("show", FIRST, "--no-timeline").out
    assert "triggered, snoozed until 2026-03-01 14:00:00" in printed
    assert "approved by petra" in printed
    assert "4 of 5" in printed
