"""The canary goes round through all three services, and somebody outside hears when it stays away."""

import uuid
from datetime import datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import text
from structlog.testing import capture_logs

from ladder.terminal.story import tell_once
from services.intake.canary import Canary
from services.intake.settings import IntakeSettings
from services.notifier.channels import sendable
from services.notifier.settings import NotifierSettings
from services.notifier.storage import retention
from services.router.app import Router
from services.router.domain.decide import decide
from services.router.domain.model.context import Context
from services.router.domain.model.signals import EventReceived
from services.router.loops.canary import OVERDUE_AFTER
from shared.clock import utcnow
from shared.database.retention import delete_expired
from shared.eventlog.codec import encode
from shared.events import ESCALATIONS, canary
from shared.settings import BadSettingError
from tests.domain.tale import bundle, compiled
from tests.services.router.desk import event
from tests.services.trio import EVERY, World, running
from tests.waiting import until


async def test_the_canary_goes_round_and_only_then_somebody_outside_is_told_that_ladder_lives(
    trio: World,
) -> None:
    router = trio.router()
    async with running(trio.intake(), router, trio.notifier()):
        await until(trio.arrived, 30)
        await until(trio.pings, 10)
        await router.canary.look_once()
    assert trio.pings() == 1
    last = REGISTRY.get_sample_value("ladder_canary_last_arrival_timestamp_seconds")
    assert last is not None
    assert abs(last - utcnow().timestamp()) < 60
    assert (REGISTRY.get_sample_value("ladder_canary_seconds_count") or 0) >= 1
    assert REGISTRY.get_sample_value("ladder_canary_overdue") == 0


async def test_the_canary_brings_back_what_the_notifier_can_send(trio: World) -> None:
    """There is no mail server, and the router knows it without having been told by anybody's settings."""
    async with running(trio.intake(), trio.router(), trio.notifier()):
        [row] = await until(lambda: trio.rows("SELECT channels FROM router.sends"), 30)
    assert row == (sorted(sendable(mail=None)),)


async def test_with_the_notifier_stopped_nobody_outside_is_pinged_and_the_signal_turns_red(
    trio: World,
) -> None:
    """Once it is back, the canary that waited comes through, and the signal is over."""
    router = trio.router()
    async with running(trio.intake(), router):
        await until(lambda: trio.rows("SELECT name FROM router.canary"), 30)
        assert router.canary.overdue() is None
        trio.clock.now += OVERDUE_AFTER * EVERY + 1
        await router.canary.look_once()
        said = router.canary.overdue()
        assert said == "no canary has come through all services for 181 s"
        assert REGISTRY.get_sample_value("ladder_canary_overdue") == 1
        assert REGISTRY.get_sample_value("ladder_canary_age_seconds") == 181
        assert trio.pings() == 0

        async with running(trio.notifier()):
            await until(trio.pings, 30)
        await router.canary.look_once()
        assert router.canary.overdue() is None
        assert REGISTRY.get_sample_value("ladder_canary_overdue") == 0


async def test_people_never_see_the_canary(trio: World) -> None:
    """Not in lists, timelines, reports, counts or the inbox, and not in the terminal."""
    said: list[str] = []
    async with running(trio.intake(), trio.router(), trio.notifier()):
        await until(trio.arrived, 30)
        await until(trio.pings, 10)
        async with trio.log.consumer(f"g{uuid.uuid4()}", [ESCALATIONS]) as consumer:
            await until(lambda: consumer.ever_assigned, 10)
            for _ in range(3):
                await tell_once(consumer, said.append, utcnow())
    assert said == []
    for table in ("incident", "timeline", "outcome", "stay", "orphan", "set_aside", "dead_letter"):
        assert await trio.rows(f"SELECT * FROM router.{table}") == [], table
    assert await trio.rows("SELECT * FROM notifier.inbox_message") == []
    assert await trio.rows("SELECT channel, state FROM notifier.delivery") == [("canary", "delivered")]


async def test_the_canarys_deliveries_are_gone_after_an_hour(trio: World) -> None:
    async with running(trio.intake(), trio.router(), trio.notifier()):
        await until(trio.pings, 30)
    kept = retention.tables(timedelta(days=30))
    assert (await delete_expired(trio.database, "notifier", kept, utcnow()))["notifier.delivery"] == 0
    later = utcnow() + timedelta(hours=2)
    assert (await delete_expired(trio.database, "notifier", kept, later))["notifier.delivery"] == 1
    assert await trio.rows("SELECT * FROM notifier.delivery") == []


async def test_however_many_processes_let_it_in_one_canary_a_minute_comes_through(trio: World) -> None:
    now = utcnow()
    doors = [Canary(trio.log, timedelta(seconds=EVERY), lambda: True) for _ in range(3)]
    async with running(trio.router(), trio.notifier()):
        # One that comes before there is a policy is lost, and the next one a minute away.
        await until(lambda: trio.rows("SELECT 1 FROM router.policy_in_force"), 30)
        assert [await door.let_in_once(now) for door in doors] == [True, True, True]
        assert not await doors[0].let_in_once(canary.moment_of(now, timedelta(seconds=EVERY)))
        await until(trio.arrived, 30)
        await until(trio.pings, 10)
    assert len(await trio.rows("SELECT name FROM router.canary")) == 1
    assert await trio.rows("SELECT count(*) FROM notifier.delivery") == [(1,)]


async def test_a_canary_that_fails_in_the_router_holds_nobody_up(trio: World) -> None:
    """Here its table is not there: the event beside it is decided all the same, and nobody is paged for it."""
    async with trio.database.transaction() as connection:
        await connection.execute(text("DROP TABLE router.canary"))
    before = REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0
    now = utcnow()
    router = trio.router()
    with capture_logs() as lines:
        await _beside_a_canary(trio, router, now)
    assert [line["log_level"] for line in lines if line.get("action") == "canary_lost"] == ["error"]
    assert (REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0) == before + 1
    assert await trio.rows("SELECT dedup_key FROM router.incident") == [("beside",)]


async def _beside_a_canary(trio: World, router: Router, now: datetime) -> None:
    async with running(router):
        await until(lambda: not router.unready(), 30)
        before = REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0
        door = Canary(trio.log, timedelta(seconds=EVERY), lambda: True)
        await door.let_in_once(now)
        await trio.log.publish([encode(event("beside"))])
        await until(lambda: trio.rows("SELECT dedup_key FROM router.incident"), 30)
        await until(lambda: (REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0) > before, 10)


async def test_a_router_of_the_last_release_writes_the_canary_down_and_tells_nobody(trio: World) -> None:
    """While a release is rolled out an old router may be the one that reads it: it takes it for a change."""
    now = utcnow()
    policy = compiled(bundle())
    decision = decide(None, EventReceived(canary.event(now, now)), Context(live=policy), policy, now)
    assert decision.incident is None
    assert decision.message is None


@pytest.mark.parametrize("seconds", [1, 4, -60, 100_000])
def test_a_canary_too_often_or_too_seldom_is_refused(seconds: int) -> None:
    with pytest.raises(BadSettingError, match="LADDER_CANARY_SECONDS"):
        IntakeSettings.read(canary_seconds=seconds)


@pytest.mark.parametrize("url", ["example.com/abc", "ftp://example.com/x", "https:///abc"])
def test_an_address_that_cannot_be_pinged_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(BadSettingError, match="LADDER_DEADMAN_URL") as refusal:
        NotifierSettings.read(deadman_url=SecretStr(url))
    assert url not in str(refusal.value)
