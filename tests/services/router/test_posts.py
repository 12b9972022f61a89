"""What became of posts, by `GET /v1/integrations`: of all replicas of intake, each message once."""

from datetime import timedelta

from services.router import post_counts
from services.router.batch.inbound import InboundSignal
from services.router.domain.model.signals import EventReceived
from shared.events import IncidentEvent
from shared.events.post_counts import Counted, as_event
from tests.domain.tale import bundle
from tests.services.router.api import Api
from tests.services.router.desk import NOON, Desk


def counted(outcome: str, count: int, minutes: int, **more: object) -> Counted:
    at = NOON + timedelta(minutes=minutes)
    return Counted(integration="test", outcome=outcome, count=count, at=at, **more)  # type: ignore[arg-type]


async def accept(desk: Desk, *events: IncidentEvent) -> None:
    signals = [InboundSignal(EventReceived(event), (event.integration, event.dedup_key)) for event in events]
    assert all(post_counts.is_post_counts(each) for each in signals)
    await post_counts.accept(desk.engine, signals)


async def test_whoever_asks_sees_what_was_accepted_and_refused_and_why_of_all_replicas(
    served: Api, desk: Desk
) -> None:
    assert "test" in bundle().integrations
    fault = "The event cannot be accepted: /3/title: needed for a trigger"
    one = as_event([counted("accepted", 5, 1), counted("invalid-event", 1, 2, reason=fault, event=3)], NOON)
    other = as_event(
        [
            counted("accepted", 2, 0),
            counted("unauthorized", 40, 1, reason="A key is needed"),
            counted("ignored", 7, 3),
        ],
        NOON,
    )
    older = as_event([counted("invalid-event", 2, 0, reason="an earlier one")], NOON)
    await accept(desk, one, other)
    await accept(desk, one, older)  # the first one comes again
    answer = await served.get("/v1/integrations/test")
    assert answer.status_code == 200, answer.text
    item = answer.json()
    assert (item["name"], item["kind"]) == ("test", "native")
    assert (item["accepted"], item["refused"], item["ignored"]) == (7, 43, 7)
    assert item["last_accepted_at"] == "2026-01-07T12:01:00Z" or item["last_accepted_at"].endswith("01:00Z")
    assert item["last_refused"]["reason"] == fault
    assert (item["last_refused"]["event"], item["last_refused"]["count"]) == (3, 3)
    assert [(each["kind"], each["count"]) for each in item["refusals"]] == [
        ("invalid-event", 3),
        ("unauthorized", 40),
    ]
    listed = (await served.get("/v1/integrations")).json()["items"]
    assert listed == [item]
    assert (await served.get("/v1/integrations", name="test")).json()["items"] == [item]
    assert (await served.get("/v1/integrations", name="nobody")).json()["items"] == []
    assert (await served.get("/v1/integrations/nobody")).status_code == 404
    assert await desk.count("orphan") == 0


async def test_what_another_release_tells_is_passed_over(desk: Desk) -> None:
    event = as_event([counted("accepted", 1, 0)], NOON)
    event.attributes["counts"] += [{"integration": "test"}, "x", {"count": "many"}]
    await accept(desk, event)
    assert [row.count for row in await desk.sql("SELECT count FROM router.post")] == [1]


async def test_nobody_posted_yet(served: Api) -> None:
    item = (await served.get("/v1/integrations/test")).json()
    assert (item["accepted"], item["refused"], item["last_refused"], item["refusals"]) == (0, 0, None, [])
