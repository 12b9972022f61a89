"""`/v1/heartbeats/{name}…`: what a job says of itself is one small record; whoever may post anything may send it."""

import pytest

from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.eventlog.codec import decode
from shared.events import HeartbeatReceived, HeartbeatSignalled
from tests.services.intake.fakes import (
    API,
    EXPIRED,
    OPSGENIE,
    PAGER,
    SCRIPTS,
    bearer,
    serving,
)
from tests.services.intake.test_posting import assert_problem


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


def only(log):
    """The signal that was published, whichever type it has."""
    (record,) = log.records
    log.records.clear()
    kinds = {kind.type.encode(): kind for kind in (HeartbeatReceived, HeartbeatSignalled)}
    return decode(kinds[record.headers["ce_type"]], record.value, record.headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("path", "signal", "status"),
    [
        ("", "beat", None),
        ("/start", "start", None),
        ("/fail", "fail", None),
        ("/log", "log", None),
        ("/0", "beat", 0),
        ("/3", "fail", 3),
        ("/-9", "fail", -9),  # ended by a signal, as Python says it
        ("/3221225786", "fail", 3221225786),  # Windows
    ],
)
async def test_a_job_signals_as_to_healthchecks_io(client, log, method, path, signal, status):
    answer = await client.request(method, f"/v1/heartbeats/backup{path}", headers=bearer(SCRIPTS))
    heard = only(log)
    assert answer.status_code == 202
    assert (getattr(heard, "signal", "beat"), heard.exit_status) == (signal, status)


@pytest.mark.parametrize(
    ("path", "signal"), [(f"/{SCRIPTS}", "beat"), (f"/{SCRIPTS}/start", "start"), (f"/{SCRIPTS}/1", "fail")]
)
async def test_the_key_may_stand_in_the_path_for_senders_that_cannot_set_a_header(client, log, path, signal):
    assert (await client.get(f"/v1/heartbeats/backup{path}")).status_code == 202
    assert getattr(only(log), "signal", "beat") == signal


@pytest.mark.parametrize(
    ("path", "headers", "status", "kind"),
    [
        ("/wrong-key", {}, 401, "unauthorized"),
        ("/wrong-key/start", {}, 401, "unauthorized"),
        ("/fail", {}, 401, "unauthorized"),
        ("/strat", bearer(SCRIPTS), 404, "no-such-signal"),  # misspelt is no beat
        (f"/{SCRIPTS}/strat", {}, 404, "no-such-signal"),
        ("/99999999999", bearer(SCRIPTS), 404, "no-such-signal"),
        (f"/{API}", {}, 403, "forbidden"),
    ],
)
async def test_what_is_no_signal_and_no_key_is_refused(client, log, path, headers, status, kind):
    answer = await client.post(f"/v1/heartbeats/backup{path}", headers=headers)
    assert_problem(answer, status, kind)
    assert log.records == []
    assert SCRIPTS not in answer.text


async def test_the_beginning_of_the_body_is_kept_however_long_it_is(client, log):
    await client.post(
        "/v1/heartbeats/backup/fail", content=b"disk full\0\xff\n" + b"x" * 300_000, headers=bearer(SCRIPTS)
    )
    text = only(log).text
    assert text.startswith("disk full\ufffd\ufffd")
    assert len(text) == 16 * 1024


async def test_a_run_may_have_a_name(client, log):
    await client.get("/v1/heartbeats/backup/start?rid=night-1", headers=bearer(SCRIPTS))
    assert only(log).run == "night-1"


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


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
async def test_opsgenies_heartbeat_ping_is_a_beat_and_is_answered_as_there(client, log, method):
    headers = {"authorization": f"GenieKey {OPSGENIE}"}
    answer = await client.request(method, "/v2/heartbeats/backup/ping", headers=headers)
    beat = only(log)
    assert answer.status_code == 202
    assert answer.json() == {"result": "PONG - Heartbeat received", "took": 0.0, "requestId": beat.beat_id}
    assert (type(beat), beat.name, beat.by) == (HeartbeatReceived, "backup", "genie")
    assert (await client.request(method, f"/v2/heartbeats/backup/ping?apiKey={OPSGENIE}")).status_code == 202


@pytest.mark.parametrize(
    ("name", "key", "status", "words"),
    [
        ("nobody", OPSGENIE, 404, "The policy in force has no heartbeat of this name"),
        ("backup", "wrong", 401, "A key is needed that may post here"),
        ("backup", API, 403, "This key may not post here"),
    ],
)
async def test_a_ping_that_cannot_be_taken_is_refused_in_opsgenies_words(
    client, log, name, key, status, words
):
    headers = {"authorization": f"GenieKey {key}"}
    answer = await client.get(f"/v2/heartbeats/{name}/ping", headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (status, words)
    assert answer.json()["requestId"]
    assert log.records == []
