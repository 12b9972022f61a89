"""`ladder channels`: by which channels people can be reached here, and what is missing for the others."""

import json

from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

LISTED = [
    {"channel": "email", "sends": "nothing", "missing": "LADDER_SMTP_URL is not set"},
    {"channel": "inbox", "sends": "all", "missing": ""},
    {"channel": "ntfy", "sends": "urls", "missing": "LADDER_NTFY_URL is not set"},
]


def test_each_channel_is_told_with_what_is_missing(ladder: Terminal, server: HTTPServer) -> None:
    server.expect_request("/v1/channels").respond_with_json({"items": LISTED, "next": None})
    said = [line.split(maxsplit=1) for line in ladder("channels", COLUMNS="200").out.splitlines()]
    assert dict(said[1:]).keys() >= {"email", "inbox", "ntfy"}
    assert "only to addresses that are URLs" in dict(said)["ntfy"]
    assert "LADDER_SMTP_URL is not set" in dict(said)["email"]
    assert json.loads(ladder("channels", "--json").out) == LISTED
