"""Grafana's alerting webhook: Alertmanager's shape, and what it says beyond it."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from services.intake.admission.signatures import Signing
from tests.services.intake.fakes import GRAFANA, FakeLog, bearer, intake
from tests.services.intake.posts import NOW, read, read_one, recorded
from tests.services.intake.test_posting import assert_problem

SECRET = "of-the-boards"


def signature(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Grafana-Alerting-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def test_each_alert_is_an_event_keyed_by_its_fingerprint_with_its_values_and_places():
    firing, resolved = read("grafana", recorded("grafana_firing.json"))
    assert (firing.action, firing.dedup_key) == ("trigger", "c6eadffa33fcdf37")
    assert (firing.title, firing.severity) == ("This alert was triggered for zone us-1", "critical")
    assert firing.service == "checkout"
    assert firing.attributes["values"] == {"B": 44.23943737541908, "C": 1}
    assert firing.attributes["valueString"].startswith("[ metric=")
    assert (firing.attributes["ruleUID"], firing.attributes["orgId"]) == ("1afz29v7z", 1)
    assert firing.occurred_at == datetime(2021, 10, 12, 7, 51, 3, 157076, tzinfo=UTC)
    named = [(link.text, link.image) for link in firing.links]
    assert named == [
        ("source", False),
        ("dashboard", False),
        ("silence", False),
        ("panel", True),
        ("runbook_url", False),
        ("Grafana", False),
    ]
    assert (resolved.action, resolved.dedup_key) == ("resolve", "bc97ff14869b13e3")
    assert resolved.occurred_at == datetime(2021, 10, 12, 8, 1, 3, 157076, tzinfo=UTC)


def test_the_test_of_a_contact_point_is_an_event():
    event = read_one("grafana", recorded("grafana_test.json"))
    assert (event.title, event.severity) == ("Notification test", "error")


async def test_a_signed_integration_takes_only_what_its_secret_signed():
    log, body = FakeLog(), recorded("grafana_firing.json")
    async with intake(log) as client:
        path, headers = "/v1/integrations/signed", bearer(GRAFANA) | {"content-type": "application/json"}
        for wrong in ({}, signature(body, "another"), signature(body + b" ")):
            refused = await client.post(path, content=body, headers=headers | wrong)
            assert_problem(refused, 401, "wrong-signature")
        assert log.records == []
        taken = await client.put(path, content=body, headers=headers | signature(body))
    assert (taken.status_code, taken.json()["accepted"]) == (202, 2)


async def test_a_signing_secret_comes_from_the_secret_folder(tmp_path):
    (tmp_path / "boards").write_text("of-the-boards\n")
    log, body = FakeLog(), recorded("grafana_test.json")
    signed = log.policy.integrations["signed"].model_copy(update={"signing_secret": "secret:boards"})
    log.policy = log.policy.model_copy(update={"integrations": {"signed": signed}})
    headers = bearer(GRAFANA) | signature(body)
    async with intake(log, secrets_dir=str(tmp_path)) as client:
        taken = await client.post("/v1/integrations/signed", content=body, headers=headers)
        assert taken.status_code == 202
        (tmp_path / "boards").unlink()
        later = await client.post("/v1/integrations/signed", content=body, headers=headers)
    assert_problem(later, 503, "no-secret")


@pytest.mark.parametrize(("seconds", "genuine"), [(0, True), (-299, True), (-301, False), (301, False)])
def test_a_signed_time_must_be_near(seconds, genuine):
    signing = Signing.of(FakeLog().policy.integrations["signed"])
    stamp = str(int(NOW.timestamp()) + seconds).encode()
    signed = hmac.new(SECRET.encode(), stamp + b":body", hashlib.sha256).hexdigest().encode()
    headers = {b"x-grafana-alerting-signature": signed, b"x-grafana-alerting-timestamp": stamp}
    assert (signing.fault(headers, b"body", [SECRET], NOW) == "") is genuine
    assert signing.fault({**headers, b"x-grafana-alerting-timestamp": b"soon"}, b"body", [SECRET], NOW)
    assert signing.fault({b"x-grafana-alerting-signature": signed}, b"body", [SECRET], NOW)
