"""`POST /v1/heartbeats/{name}`: a beat is one small record; whoever may post anything may send it."""

import pytest

from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.codec import decode
from shared.events import HeartbeatReceived
from tests.services.intake.fakes import API, EXPIRED, PAGER, SCRIPTS, FakeLog, bearer, intake, serving
from tests.services.intake.test_posting import assert_problem


@pytest.fixture
def log():
    return FakeLog()


@pytest.fixture
async def client(log):
    async with intake(log) as client:
        yield client


@pytest.mark.parametrize(
    ("given", "headers"),
    [
        ({}, bearer(SCRIPTS)),
        ({}, bearer(PAGER)),
        ({"params": {"key": SCRIPTS}}, {}),
        ({"content": b"done in 5 s\n"}, bearer(SCRIPTS) | {"content-type": "text/plain"}),
        ({"json": {"exit": 0}}, bearer(SCRIPTS)),
    ],
)
async def test_a_beat_is_on_the_log_when_202_is_answered(client, log, given, headers):
    answer = await client.post("/v1/heartbeats/backup", headers=headers, **given)
    (record,) = log.records
    beat = decode(HeartbeatReceived, record.value, record.headers)
    assert answer.status_code == 202
    assert answer.json()["heartbeat"] == "backup"
    assert (beat.name, record.key) == ("backup", b"heartbeat:backup")
    assert beat.by in {"scripts", "pager"}
    assert len(record.value) < 200


@pytest.mark.parametrize(
    ("name", "headers", "status", "kind"),
    [
        ("backup", {}, 401, "unauthorized"),
        ("backup", bearer("wrong"), 401, "unauthorized"),
        ("backup", bearer(EXPIRED), 401, "unauthorized"),
        ("backup", bearer(API), 403, "forbidden"),
        ("nobody", bearer("wrong"), 401, "unauthorized"),
        ("nobody", bearer(SCRIPTS), 404, "no-such-heartbeat"),
    ],
)
async def test_who_may_beat_what(client, log, name, headers, status, kind):
    assert_problem(await client.post(f"/v1/heartbeats/{name}", headers=headers), status, kind)
    assert log.records == []


async def test_a_beat_that_the_log_does_not_take_is_to_be_sent_again(client, log):
    log.down = True
    answer = await client.post("/v1/heartbeats/backup", headers=bearer(SCRIPTS))
    assert_problem(answer, 503, "log-unavailable")
    assert answer.headers["retry-after"]


async def test_without_a_policy_nothing_can_beat(log):
    log.policy = None
    async with serving(build(IntakeSettings(), log=log)) as client:
        assert_problem(await client.post("/v1/heartbeats/backup"), 503, "no-policy")
