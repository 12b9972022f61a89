"""`integrations.*.rate`: how many events are accepted, and what is answered beyond that."""

from datetime import timedelta

import pytest

from services.intake.admission.rate_limit import Bucket
from shared.policy.model.durations import Rate
from tests.services.intake.fakes import CRM, GRAFANA, PAGER, PROMETHEUS, FakeLog, bearer, intake
from tests.services.intake.posts import NOW, recorded


def after(**span):
    return NOW + timedelta(**span)


def test_a_bucket_holds_the_rate_and_fills_evenly():
    bucket = Bucket(Rate(10, 1))
    assert [bucket.admit(1, NOW) for _ in range(10)] == [None] * 10
    assert bucket.admit(1, NOW) == timedelta(milliseconds=100)
    assert bucket.admit(1, after(milliseconds=100)) is None
    assert bucket.admit(1, after(milliseconds=100)) is not None
    assert [bucket.admit(1, after(hours=1)) for _ in range(11)].count(None) == 10


def test_a_batch_larger_than_the_rate_is_taken_and_has_to_be_waited_for_afterwards():
    bucket = Bucket(Rate(10, 1))
    assert bucket.admit(50, NOW) is None
    assert bucket.admit(1, after(seconds=4)) == timedelta(milliseconds=100)
    assert bucket.admit(1, after(seconds=4.1)) is None


def test_time_that_runs_backwards_fills_nothing():
    bucket = Bucket(Rate(1, 60))
    assert bucket.admit(1, NOW) is None
    assert bucket.admit(1, after(hours=-1)) == timedelta(minutes=1)
    assert bucket.admit(1, after(seconds=59)) is not None


def test_what_was_not_accepted_after_all_is_given_back():
    bucket = Bucket(Rate(1, 3600))
    assert bucket.admit(1, NOW) is None
    bucket.give_back(1)
    assert bucket.admit(1, NOW) is None


ENQUEUED = {
    "routing_key": PAGER,
    "event_action": "trigger",
    "payload": {"summary": "s", "source": "x", "severity": "error"},
}


def limited(*names: str) -> FakeLog:
    log = FakeLog()
    changed = {
        name: log.policy.integrations[name].model_copy(update={"rate": Rate(1, 3600)}) for name in names
    }
    integrations = {**log.policy.integrations, **changed}
    return FakeLog(policy=log.policy.model_copy(update={"integrations": integrations}))


@pytest.mark.parametrize(
    ("name", "key", "body", "status"),
    [
        ("crm", CRM, {"title": "x"}, 429),
        ("pager", PAGER, ENQUEUED, 429),
        ("prometheus", PROMETHEUS, recorded("alertmanager_firing.json"), 503),  # 429 would lose it
        ("boards", GRAFANA, recorded("grafana_test.json"), 503),
    ],
)
async def test_beyond_the_rate_each_format_says_come_again_later(name, key, body, status):
    log = limited(name)
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    async with intake(log) as client:
        path = f"/v1/integrations/{name}"
        assert (await client.post(path, headers=bearer(key), **sent)).status_code == 202
        accepted = len(log.records)
        refused = await client.post(path, headers=bearer(key), **sent)
        assert refused.status_code == status, refused.text
        assert int(refused.headers["retry-after"]) > 1000
        assert len(log.records) == accepted


async def test_an_invalid_event_is_told_so_and_counts_for_nothing():
    log = limited("crm")
    async with intake(log) as client:
        for _ in range(3):
            assert (await client.post("/v1/events", json={}, headers=bearer(CRM))).status_code == 422
        assert (await client.post("/v1/events", json={"title": "x"}, headers=bearer(CRM))).status_code == 202
        assert (await client.post("/v1/events", json={}, headers=bearer(CRM))).status_code == 422


async def test_what_the_log_did_not_take_does_not_count():
    log = limited("crm")
    log.down = True
    async with intake(log) as client:
        assert (await client.post("/v1/events", json={"title": "x"}, headers=bearer(CRM))).status_code == 503
        log.down = False
        assert (await client.post("/v1/events", json={"title": "x"}, headers=bearer(CRM))).status_code == 202
