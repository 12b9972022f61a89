"""`ladder dead-letters`: what a person reads, and what is asked of the API."""

import json

from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

LETTER = {
    "id": "5b8b8c5e-4f0e-4e0c-9f5e-4b8e4f8f0a11",
    "at": "2026-03-02T09:00:00Z",
    "service": "notifier",
    "reason": "cannot be read: no JSON",
    "from_topic": "ladder.escalations",
    "partition": 3,
    "offset": 41,
    "key": "inc-1",
    "size": 1234,
    "complete": True,
    "state": "waiting",
    "decided_at": None,
    "decided_by": "",
    "note": "",
}
WHOLE = {
    **LETTER,
    "headers": {"ce_id": "m1"},
    "sha256": "ab12",
    "encoding": "text",
    "body": "{not json",
    "cut": False,
}
PATH = f"/v1/dead-letters/{LETTER['id']}"


def listing(server: HTTPServer, *letters: object) -> None:
    server.expect_request("/v1/dead-letters").respond_with_json({"items": list(letters), "next": None})


def test_those_that_wait_are_a_table(server: HTTPServer, ladder: Terminal):
    listing(server, LETTER)
    heading, row = ladder("dead-letters", "list", "--topic", "ladder.escalations").out.splitlines()
    assert heading.split()[:3] == ["id", "at", "topic"]
    assert row.startswith("5b8b8c5e")
    assert "ladder.escalations:3:41" in row
    assert "1,234" in row
    (asked, _) = server.log[0]
    assert dict(asked.args) == {"state": "waiting", "topic": "ladder.escalations", "limit": "50"}


def test_none_that_waits_is_said_so(server: HTTPServer, ladder: Terminal):
    listing(server)
    assert ladder("dead-letters", "list").out == "No dead letter waits.\n"
    assert ladder("dead-letters", "list", "--all", "--json").out == "[]\n"


def test_one_is_shown_by_the_beginning_of_its_id_with_what_it_holds(server: HTTPServer, ladder: Terminal):
    listing(server, LETTER)
    server.expect_request(PATH).respond_with_json(WHOLE)
    out = ladder("dead-letters", "show", "5b8b").out
    assert out.splitlines()[0] == "cannot be read: no JSON"
    assert "from: ladder.escalations, partition 3, offset 41" in out
    assert "1,234 bytes, sha256 ab12" in out
    assert "header ce_id: m1" in out
    assert out.endswith("  holds, as text:\n    {not json\n")
    assert json.loads(ladder("dead-letters", "show", LETTER["id"], "--json").out) == WHOLE


def test_one_is_sent_again_or_dismissed(server: HTTPServer, ladder: Terminal):
    server.expect_request(f"{PATH}/replay", method="POST").respond_with_json(LETTER | {"state": "replayed"})
    server.expect_request(f"{PATH}/dismiss", method="POST").respond_with_json(LETTER | {"state": "dismissed"})
    sent = ladder("dead-letters", "replay", LETTER["id"])
    assert sent.out == "on its way to ladder.escalations again: inc-1\n"
    gone = ladder("dead-letters", "dismiss", LETTER["id"], "--note", "by hand")
    assert gone.out == "dismissed: cannot be read: no JSON\n"
    assert json.loads(server.log[-1][0].data) == {"note": "by hand"}


def test_a_beginning_that_fits_several_is_refused(server: HTTPServer, ladder: Terminal):
    listing(server, LETTER, LETTER | {"id": "5b8b0000-4f0e-4e0c-9f5e-4b8e4f8f0a11"})
    refused = ladder("dead-letters", "replay", "5b8b")
    assert refused.exit_code == 2
    assert "2 dead letters begin with 5b8b" in refused.err
