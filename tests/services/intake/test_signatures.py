"""Signatures of senders: GitHub's, Sentry's, Grafana's, and any HMAC whose header the policy names."""

import base64
import hmac
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.intake.admission.signatures import Signing
from shared.policy.model.integrations import Integration
from shared.security.keys import digest
from tests.services.intake.fakes import CRM, FakeLog, bearer, intake
from tests.services.intake.posts import NOW
from tests.services.intake.test_posting import assert_problem

SECRET = "It's a Secret to Everybody"  # GitHub's own example, with its body and its signature
HELLO = b"Hello, World!"
OF_HELLO = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
ISSUE = json.dumps({"issue": {"title": "Checkout fails", "number": 7}}).encode()
MAP = {"title": "issue.title", "dedup_key": "string(issue.number)"}


def signing(**said: Any) -> Signing:
    found = Signing.of(Integration(kind="json", signature={"secret": SECRET} | said))
    assert found is not None
    return found


def fault(of: Signing, headers: dict[str, str], body: bytes = HELLO, *secrets: str) -> str:
    sent = {name.lower().encode(): value.encode() for name, value in headers.items()}
    return of.fault(sent, body, secrets or (SECRET,), NOW)


def mac(body: bytes, secret: str = SECRET, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), body, algorithm).digest()


def test_a_post_of_githubs_is_its_own_by_the_example_of_its_documentation():
    github = signing(like="github")
    assert fault(github, {"X-Hub-Signature-256": f"sha256={OF_HELLO}"}) == ""
    assert fault(github, {"X-Hub-Signature-256": f"sha256={OF_HELLO.upper()}"}) == ""
    for wrong in (OF_HELLO, f"sha1={OF_HELLO}", "sha256=", f"sha256={OF_HELLO[:-1]}", "sha256=ü"):
        assert "holds no signature in hex after 'sha256='" in fault(github, {"X-Hub-Signature-256": wrong})
    altered = f"sha256={OF_HELLO[:-1]}8"
    assert "not this body's signature" in fault(github, {"X-Hub-Signature-256": altered})
    assert "not this body's" in fault(github, {"X-Hub-Signature-256": f"sha256={OF_HELLO}"}, HELLO + b"\n")
    assert fault(github, {}) == "there is no X-Hub-Signature-256 header"


def test_a_post_of_sentrys_is_its_own():
    body = b'{"action":"created","data":{"issue":{"id":"1"}}}'
    sent = {"Sentry-Hook-Signature": mac(body).hex(), "Sentry-Hook-Timestamp": "1"}  # which is not signed
    assert fault(signing(like="sentry"), sent, body) == ""
    assert fault(signing(like="sentry"), sent, body + b" ")


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({"header": "X-Sig"}, mac(HELLO).hex()),
        ({"header": "X-Sig", "encoding": "base64"}, base64.b64encode(mac(HELLO)).decode()),
        (
            {"header": "X-Sig", "algorithm": "sha1", "prefix": "sha1="},
            "sha1=" + mac(HELLO, SECRET, "sha1").hex(),
        ),
        ({"header": "X-Sig", "algorithm": "sha512"}, mac(HELLO, SECRET, "sha512").hex()),
        ({"header": "X-Sig", "signed": "<{body}>"}, mac(b"<Hello, World!>").hex()),
        ({"header": "X-Sig", "prefix": "v1="}, f"v0=abcd, v1={mac(HELLO).hex()}"),  # while a sender rotates
    ],
)
def test_anybodys_hmac_is_checked_as_the_policy_describes_it(said, sent):
    assert fault(signing(**said), {"x-sig": sent}) == ""
    assert fault(signing(**said), {"x-sig": sent}, HELLO + b"!")
    assert fault(signing(**said), {"x-sig": sent}, HELLO, "another secret")


@pytest.mark.parametrize(("late", "genuine"), [(0, True), (-59, True), (61, False), (-61, False)])
def test_grafanas_signature_may_stand_in_any_header_and_its_time_in_any_other(late, genuine):
    grafana = signing(header="X-Ours", timestamp="X-Our-Time", within="1m")
    stamp = str(int(NOW.timestamp()) + late)
    sent = {"X-Ours": mac(f"{stamp}:".encode() + HELLO).hex(), "X-Our-Time": stamp}
    assert (fault(grafana, sent) == "") is genuine
    assert fault(grafana, {"X-Ours": mac(HELLO).hex()}) == "there is no X-Our-Time header"
    slack = signing(header="X-S", timestamp="X-T", signed="v0:{timestamp}:{body}", prefix="v0=", within="1m")
    sent = {"X-S": "v0=" + mac(f"v0:{stamp}:".encode() + HELLO).hex(), "X-T": stamp}
    assert (fault(slack, sent) == "") is genuine


def with_github(log: FakeLog, **said: Any) -> None:
    given = {"kind": "json", "map": MAP, "signature": {"like": "github", "secret": SECRET}} | said
    assert log.policy is not None
    known = {**log.policy.integrations, "github": Integration.model_validate(given)}
    log.policy = log.policy.model_copy(update={"integrations": known})


def hub(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={mac(body, secret).hex()}", "content-type": "application/json"}


async def test_github_posts_with_its_signature_alone_where_the_policy_has_no_key_for_it():
    log = FakeLog()
    with_github(log)
    async with intake(log) as client:
        for wrong in (hub(ISSUE, "guessed"), hub(b"{}"), bearer(CRM), {}):
            refused = await client.post("/v1/integrations/github", content=ISSUE, headers=wrong)
            assert_problem(refused, 401, "wrong-signature")
        assert log.records == []
        taken = await client.post("/v1/integrations/github", content=ISSUE, headers=hub(ISSUE))
        in_path = await client.post("/v1/integrations/github/any", content=ISSUE, headers=hub(ISSUE))
        assert (await client.post("/v1/heartbeats/backup", headers=hub(b""))).status_code == 401
    assert (taken.status_code, in_path.status_code) == (202, 202)
    assert [(event.title, event.dedup_key) for event in log.events] == [("Checkout fails", "7")] * 2


async def test_where_there_are_keys_too_both_are_needed():
    log = FakeLog()
    with_github(log, keys=[{"sha256": digest("hook")}])
    async with intake(log) as client:
        path, wanted = "/v1/integrations/github", bearer("hook") | hub(ISSUE)
        refused = await client.post(path, content=ISSUE, headers=hub(ISSUE))
        assert_problem(refused, 401, "unauthorized")
        refused = await client.post(path, content=ISSUE, headers=bearer("hook"))
        assert_problem(refused, 401, "wrong-signature")
        assert (await client.post(path, content=ISSUE, headers=wanted)).status_code == 202


async def test_a_secret_is_rotated_with_both_in_the_policy_and_without_a_refused_post(tmp_path):
    (tmp_path / "old").write_text("before\n")
    log = FakeLog()
    with_github(log, signature={"like": "github", "secret": ["secret:old", "secret:new"]})
    async with intake(log, secrets_dir=str(tmp_path)) as client:

        async def status(secret: str) -> int:
            answer = await client.post("/v1/integrations/github", content=ISSUE, headers=hub(ISSUE, secret))
            return answer.status_code

        assert (await status("before"), await status("after")) == (202, 401)  # the new one is not there yet
        (tmp_path / "new").write_text("after\n")
        assert (await status("before"), await status("after")) == (202, 202)
        (tmp_path / "old").unlink()
        assert (await status("before"), await status("after")) == (401, 202)
        (tmp_path / "new").write_text("\n")
        assert await status("") == 503  # an empty file signs nothing


async def test_a_secret_whose_file_is_empty_is_named_in_the_log(tmp_path):
    (tmp_path / "hook").write_text("\n")
    log = FakeLog()
    with_github(log, signature={"like": "github", "secret": "secret:hook"})
    async with intake(log, secrets_dir=str(tmp_path)) as client:
        with capture_logs() as lines:
            refused = await client.post("/v1/integrations/github", content=ISSUE, headers=hub(ISSUE, ""))
    assert_problem(refused, 503, "no-secret")
    assert [line["error"] for line in lines if line.get("action") == "intake.secret"] == [
        "SecretMissingError: secret:hook is empty"
    ]


def test_what_the_policy_says_of_github_is_what_stands_in_its_json():
    given = {"kind": "json", "signature": {"like": "github", "secret": "secret:hook"}}
    integration = Integration.model_validate(given)
    assert integration.model_dump(mode="json", exclude_defaults=True) == given
