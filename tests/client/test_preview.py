"""`ladder preview`: the message itself, decided, worded and formed as ever, and nothing is sent."""

import json
from pathlib import Path

import pytest

from ladder.preview.course import WHATS
from services.notifier.channels import CHANNELS
from services.notifier.dry_run import channels
from tests.client.conftest import Terminal
from tests.policy.bundles import EXAMPLE

NO_PROMISE = """
version: 1
last_resort: ["user:ana"]
users:
  ana: {name: Ana, contacts: {box: {inbox: ana}}}
  bob: {name: Bob, contacts: {box: {inbox: bob}}}
policies:
  main: {levels: [{name: desk, notify: ["user:ana"], acknowledge_within: 5m}], finally: {notify: ["user:ana"], every: 1h}}
routes: [{policy: main}]
integrations:
  scripts: {kind: native, keys: [{sha256: "0000000000000000000000000000000000000000000000000000000000000000"}]}
"""


def test_a_page_is_shown_as_the_mail_that_would_be_sent(ladder: Terminal) -> None:
    printed = ladder("preview")
    assert printed.exit_code == 0, printed.err
    assert "Subject: Checkout is down: payments time out\n\n[P1] Checkout is down" in printed.out
    for said in ("For: Acme (gold)", "Act by: ", "Why you: ", "If nobody acts: level experts is paged"):
        assert said in printed.out
    assert "Acknowledge: https://ladder.example.com/v1/replies/link/" in printed.out


@pytest.mark.parametrize("what", WHATS)
def test_every_message_about_an_incident_can_be_seen_by_every_channel(ladder: Terminal, what: str) -> None:
    printed = ladder("preview", "--as", what, "--channel", "all", "--json")
    assert printed.exit_code == 0, printed.err
    found = json.loads(printed.out)
    assert [each["channel"] for each in found] == list(channels())
    assert {each["event"] for each in found} == {what}
    for each in found:
        assert each["payload"]
        assert "Checkout is down" in each["text"] or each["channel"] == "webhook", each["channel"]


def test_every_channel_that_reaches_people_can_be_seen() -> None:
    assert set(channels()) == CHANNELS.keys() - {"canary"}


def test_a_text_message_says_how_many_segments_it_takes_and_a_call_is_what_is_said(ladder: Terminal) -> None:
    texted = ladder("preview", "-c", "sms")
    assert "segment" in texted.err
    assert "Text 1 take it" in texted.out
    called = ladder("preview", "-c", "voice")
    assert called.out.startswith("Ladder calls. Priority 1.")
    assert "<" not in called.out


def test_slack_is_shown_as_text_and_its_blocks_as_json(ladder: Terminal) -> None:
    printed = ladder("preview", "-c", "slack")
    assert "[Take it]  [Hand it up]  [It is solved]" in printed.out
    payload = json.loads(ladder("preview", "-c", "slack", "--json").out)["payload"]
    assert payload["blocks"][0]["type"] == "header"


def test_the_html_of_a_mail_goes_into_a_file(ladder: Terminal, tmp_path: Path) -> None:
    printed = ladder("preview", "--html", str(tmp_path / "mail.html"))
    assert printed.exit_code == 0, printed.err
    page = (tmp_path / "mail.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Checkout is down" in page
    refused = ladder("preview", "--html", str(tmp_path / "no" / "mail.html"))
    assert (refused.exit_code, "cannot be written" in refused.err) == (2, True)


def test_a_customer_reads_nothing_internal(ladder: Terminal) -> None:
    for what in ("opened", "update", "resolved", "taken"):
        shown = ladder("preview", "--as", what, "--to", "customer", "--text", "We found it.").out
        assert ("We found it." in shown) == (what == "update")
        for internal in ("Ana", "Priority", "region", "service desk"):
            assert internal not in shown, (what, internal)


def test_the_policy_of_ones_own_counts_and_who_hears_nothing_of_it_is_said(
    ladder: Terminal, tmp_path: Path
) -> None:
    event, policy = tmp_path / "event.json", tmp_path / "policy.yaml"
    event.write_text('{"title": "Disk is full", "severity": "warning"}')
    policy.write_text(NO_PROMISE)
    asked = ("preview", "--event", str(event), "--policy", str(policy))
    assert "[P3] Disk is full" in ladder(*asked).out
    told = ladder(*asked, "--as", "resolved", "--to", "bob")
    assert "Ana resolved it." in told.out
    assert told.err == "The policy tells bob nothing of this: so it would read if it did.\n"
    assert "[P3] Disk is full" in ladder("preview", "-e", str(event), LADDER_POLICY=str(policy)).out
    assert ladder("preview", "--policy", str(EXAMPLE)).exit_code == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--as", "handoff", "--to", "customer"), "A handoff is told to people of the policy only."),
        (("--channel", "fax"), "--channel 'fax': there are "),
        (("--as", "solved"), "--as 'solved': there are page, opened, "),
        (("--to", "bob"), "bob is not paged for this event by this policy; ana would be."),
        (("--to", "eve", "--as", "taken"), "eve is neither a user nor a team nor a customer"),
        (("--as", "breached"), "This policy promises nothing of which that could be said: see `slas`."),
        (("--integration", "script"), "did you mean 'scripts'?"),
        (("--event", "nowhere.json"), "nowhere.json cannot be read: No such file or directory."),
        (("--policy", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_shown_is_told_with_the_reason(
    ladder: Terminal, tmp_path: Path, asked: tuple[str, ...], says: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(NO_PROMISE)
    printed = ladder("preview", *asked, LADDER_POLICY=str(policy))
    assert printed.exit_code in (1, 2)
    assert says in printed.err
    assert printed.out == ""


def test_an_event_that_opens_nothing_says_why(ladder: Terminal, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"action": "resolve", "dedup_key": "x"}')
    assert (
        "The event opens no incident: resolve: no incident has this key."
        in ladder("preview", "-e", str(event)).err
    )
    event.write_text('{"titel": "Disk is full"}')
    assert "title" in ladder("preview", "-e", str(event)).err
