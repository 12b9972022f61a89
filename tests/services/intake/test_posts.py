"""What became of posts: counted by integration, told to the router, and a line in the log for what was refused."""

from datetime import timedelta

from structlog.testing import capture_logs

from services.intake.post_reports import LINES, PostReports
from shared.auth.failed_attempts import WrongKey
from shared.eventlog import LogUnavailableError
from shared.eventlog.codec import decode
from shared.events import IncidentEvent
from shared.events.post_counts import Counted, counts_in, is_post_counts
from shared.http.problems import Fault, Problem
from tests.services.intake.fakes import CRM, PROMETHEUS, SCRIPTS, TICKETS, FakeLog, bearer, intake
from tests.services.intake.posts import NOW
from tests.waiting import until

INVALID = Problem(422, "invalid-event", "The event cannot be accepted", faults=[Fault("/3/title", "needed")])
WRONG = WrongKey(401, "unauthorized", "A key is needed that may post here")


def counted(log: FakeLog) -> dict[tuple[str, str], Counted]:
    """Everything that was told, added up."""
    found: dict[tuple[str, str], Counted] = {}
    for record in log.told:
        event = decode(IncidentEvent, record.value, record.headers)
        for each in counts_in(event) if is_post_counts(event) else ():
            before = found.get((each.integration, each.outcome))
            count = each.count + (before.count if before else 0)
            found[each.integration, each.outcome] = Counted(
                integration=each.integration,
                outcome=each.outcome,
                count=count,
                at=each.at,
                reason=each.reason,
                event=each.event,
            )
    return found


async def test_every_refused_post_leaves_a_line_with_integration_reason_and_event():
    log = FakeLog()
    batch = [{"title": "x"}, {"title": ""}]
    with capture_logs() as lines:
        async with intake(log) as client:
            await client.post("/v1/integrations/scripts", json=batch, headers=bearer(SCRIPTS))
            await client.post("/v1/events", json={"action": "resolve"}, headers=bearer(CRM))
            await client.post("/v1/integrations/tickets", json={"ticket": 1}, headers=bearer(TICKETS))
            await client.post("/v1/integrations/prometheus", json={"alerts": [1]}, headers=bearer(PROMETHEUS))
            await client.post("/v1/integrations/crm", json={}, headers=bearer("guessed"))
            await client.post("/v1/integrations/nobody", json={}, headers=bearer("guessed"))
            await client.post("/v1/heartbeats/nobody", headers=bearer(SCRIPTS))
            await client.post("/v1/integrations/crm/leaked-key", json={})
            told = await until(lambda: counted(log))
    refused = [line for line in lines if line.get("action") == "refused"]
    assert [(line["integration"], line["kind"], line.get("event_index")) for line in refused] == [
        ("scripts", "invalid-event", 1),
        ("crm", "invalid-event", None),
        ("tickets", "invalid-event", None),
        ("prometheus", "invalid-event", 0),
        ("crm", "unauthorized", None),
        ("", "unauthorized", None),
        ("scripts", "no-such-heartbeat", None),
        ("crm", "unauthorized", None),
    ]
    assert refused[0]["reason"] == "The event cannot be accepted: /1/title: needed for a trigger"
    assert all(line["reason"] and "leaked-key" not in str(line) for line in refused)
    assert told["scripts", "invalid-event"].reason == refused[0]["reason"]
    assert {name for name, _ in told} == {
        "scripts",
        "crm",
        "tickets",
        "prometheus",
    }  # names of the policy only


async def test_what_is_accepted_and_ignored_is_counted_too():
    log = FakeLog()
    async with intake(log) as client:
        await client.post("/v1/events", json=[{"title": "x"}, {"title": "y"}], headers=bearer(SCRIPTS))
        told = await until(lambda: counted(log))
    assert told["scripts", "accepted"].count == 2


def test_strangers_flood_neither_the_log_nor_hide_what_a_sender_with_a_key_did_wrong():
    posts = PostReports()
    with capture_logs() as lines:
        for _ in range(1_000):
            posts.refused("crm", "native", WRONG, NOW)
        posts.refused("crm", "native", INVALID, NOW)
        assert len(lines) == LINES + 1
        assert (lines[-1]["kind"], lines[-1]["event_index"]) == ("invalid-event", 3)
        posts.close_lines(NOW + timedelta(seconds=9))
        assert len(lines) == LINES + 1
        posts.close_lines(NOW + timedelta(seconds=10))
        posts.close_lines(NOW + timedelta(seconds=20))
        (left,) = [line for line in lines if line["action"] == "refused_more"]
        assert (left["left_out"], left["with_a_good_key"]) == (1_000 - LINES, False)
        posts.refused("crm", "native", WRONG, NOW + timedelta(seconds=21))
    assert lines[-1]["action"] == "refused"


async def test_what_the_log_did_not_acknowledge_is_told_again_as_the_same_and_never_often():
    log = FakeLog(down=True)
    posts = PostReports(log)
    posts.refused("crm", "native", INVALID, NOW)
    for _ in range(2):
        try:
            await posts.publish_once(NOW)
        except LogUnavailableError:
            posts.accepted("crm", 3, NOW)
    log.down = False
    assert await posts.publish_once(NOW)
    assert not await posts.publish_once(NOW + timedelta(seconds=4))  # what came meanwhile has to wait
    assert await posts.publish_once(NOW + timedelta(seconds=5))
    assert not await posts.publish_once(NOW + timedelta(seconds=50))
    assert len(log.told) == 2
    assert {key: each.count for key, each in counted(log).items()} == {
        ("crm", "invalid-event"): 1,
        ("crm", "accepted"): 6,
    }


async def test_a_message_stays_small_however_many_integrations_there_are_and_long_the_reasons():
    log = FakeLog()
    posts = PostReports(log)
    endless = Problem(
        422, "invalid-event", "x" * 9_000, faults=[Fault(f"/{n}", "y" * 900) for n in range(99)]
    )
    for number in range(700):
        posts.refused(f"i{number}", "native", endless, NOW)
    assert await posts.publish_once(NOW)
    assert await posts.publish_once(NOW, at_once=True)
    assert len(counted(log)) == 700
    assert max(len(record.value) for record in log.told) < 300_000
