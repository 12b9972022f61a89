"""`ladder try-map`: from a body to who is paged, without a running Ladder and with one."""

import json
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.client.conftest import Terminal

POLICY = """
version: 1
last_resort: ["user:ana"]
users:
  ana: {name: Ana Nováková, timezone: Europe/Prague, contacts: {box: {inbox: ana}}}
  bob: {name: Bob, timezone: Europe/Prague, contacts: {box: {inbox: bob}}}
policies:
  main: {levels: [{name: desk, notify: ["user:ana"], acknowledge_within: 5m}], finally: {notify: ["user:bob"], every: 1h}}
  billing: {levels: [{name: money, notify: ["user:bob"], acknowledge_within: 5m}], finally: {notify: ["user:bob"], every: 1h}}
routes: [{when: "service == 'billing'", policy: billing}, {policy: main}]
integrations:
  cluster:
    kind: json
    keys: [{sha256: "0000000000000000000000000000000000000000000000000000000000000000"}]
    each: body.alerts
    ignore: "item.state == 'unknown'"
    map:
      - {when: "item.state == 'ok'", map: {action: "'resolve'", dedup_key: item.id}}
      - map:
          dedup_key: item.id
          title: item.name.trim()
          service: headers['x-service']
          severity: "'critical'"
          attributes: json(item.details)
          links: "{'source': item.url}"
"""
BODY = {
    "alerts": [
        {
            "id": "a",
            "name": " Disk full ",
            "state": "bad",
            "url": "https://c.example/a",
            "details": '{"used": 97}',
        },
        {"id": "b", "state": "unknown"},
        {"id": "a", "state": "ok"},
    ]
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    policy, body = tmp_path / "policy.yaml", tmp_path / "body.json"
    policy.write_text(POLICY)
    body.write_text(json.dumps(BODY))
    return str(policy), str(body)


def test_try_map_says_what_event_comes_out_which_route_and_who_would_be_paged(ladder: Terminal, files):
    """Without a running Ladder: the files of a policy are enough."""
    policy, body = files
    printed = ladder("try-map", "cluster", "--policy", policy, "-f", body, "-H", "X-Service: billing")
    assert printed.exit_code == 0, printed.err
    told = printed.out.splitlines()
    assert told[0] == "2 events from cluster, 1 ignored"
    assert "1. trigger: Disk full" in told
    assert "  attribute    used = 97" in told
    assert "  link         https://c.example/a (source)" in told
    assert "  route        routes[0] (service == 'billing'): policy billing" in told
    assert "  paged        Bob, at once: level money, round 1" not in told
    assert [line for line in told if line.startswith("  paged        Bob, at once: ")]
    assert "2. resolve: a" in told
    assert "  resolved by its sender" in told
    assert told[-1] == "Nothing was stored or sent."

    other = ladder("try-map", "cluster", "--policy", policy, "-f", body, "-H", "X-Service: shop", "--json")
    found = json.loads(other.out)
    assert found["ignored"] == 1
    first = found["events"][0]
    assert (first["policy"], first["route"]["rule"], first["route"]["not_these"]) == (
        "main",
        "routes[1]",
        ["routes[0]: did not match"],
    )
    assert first["first_paged"][0]["name"] == "Ana Nováková"


def test_what_would_be_refused_is_told_as_intake_tells_it(ladder: Terminal, files, tmp_path: Path):
    policy, _ = files
    (tmp_path / "other.json").write_text("{}")
    printed = ladder("try-map", "cluster", "--policy", policy, "-f", str(tmp_path / "other.json"))
    assert printed.exit_code == 1
    assert (
        printed.err
        == 'The event cannot be accepted\n  body: each (body.alerts): no field "alerts" was sent\n'
    )
    printed = ladder("try-map", "clusters", "--policy", policy, "-f", str(tmp_path / "other.json"))
    assert "'clusters' is not among its integrations; did you mean 'cluster'?" in printed.err
    printed = ladder("try-map", "cluster", "--policy", policy, "-f", str(tmp_path / "other.json"), "-H", "x")
    assert "--header 'x': expected 'Name: value'." in printed.err


def test_a_running_ladder_is_asked_with_the_body_as_it_stands(server: HTTPServer, ladder: Terminal, files):
    policy, body = files
    offline = json.loads(ladder("try-map", "cluster", "--policy", policy, "-f", body, "--json").out)
    post = {"integration": "cluster", "text": json.dumps(BODY), "headers": {"x-service": "billing"}}
    server.expect_request("/v1/policy/try", method="POST", json=post).respond_with_json(offline)
    printed = ladder("try-map", "cluster", "-f", body, "--header", "X-Service: billing")
    assert printed.exit_code == 0, printed.err
    assert printed.out.startswith("2 events from cluster, 1 ignored\n")
