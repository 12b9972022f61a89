"""The canary goes round through all three services, and somebody outside hears when it stays away."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import text
from structlog.testing import capture_logs

from ladder.processes import migrate_all
from ladder.story import tell_once
from services.intake import app as intake
from services.intake.canary import Canary
from services.intake.settings import IntakeSettings
from services.notifier import app as notifier
from services.notifier import retention
from services.notifier.settings import NotifierSettings
from services.router.app import Router
from services.router.canary import OVERDUE_AFTER
from services.router.domain.decide import decide
from services.router.domain.signals import EventReceived
from services.router.domain.surroundings import Surroundings
from services.router.settings import RouterSettings
from shared import canary
from shared.clock import utcnow
from shared.codec import encode
from shared.database import Database
from shared.eventlog.postgres import PostgresEventLog
from shared.eventlog.topics import ladder_topics
from shared.events import ESCALATIONS
from shared.policy import dump_json
from shared.retention import forget_old
from shared.service import Service
from shared.settings import BadSettingError
from tests.domain.tale import bundle, compiled
from tests.servers.postgres import PostgresServer
from tests.services.router.desk import event
from tests.shared.test_progress import Seconds
from tests.waiting import until
from tests.world.sink import Sink, listening

SECRET = SecretStr("a secret that signs links in tests, long enough")
EVERY = 60


@dataclass
class World:
    """Servers, the database and what the services are given; each service is started by the test."""

    database: Database
    log: PostgresEventLog
    policy: Path
    sink: Sink
    clock: Seconds

    def intake(self, every: int = EVERY) -> Service:
        return intake.build(IntakeSettings(canary_seconds=every), log=self.log)

    def router(self) -> Router:
        settings = RouterSettings(policy=self.policy, secret_key=SECRET, canary_seconds=EVERY)
        return Router(settings, self.log, self.database, clock=self.clock)

    def notifier(self) -> Service:
        settings = NotifierSettings(
            secret_key=SECRET, public_url="http://ladder.test", deadman_url=SecretStr(self.sink.url("/alive"))
        )
        return notifier.build(settings, log=self.log, database=self.database)

    def pings(self) -> int:
        return len([hit for hit in self.sink.hits if hit.path == "/alive"])

    async def rows(self, statement: str) -> list[tuple[object, ...]]:
        async with self.database.transaction() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]

    async def arrived(self) -> list[tuple[object, ...]]:
        return await self.rows("SELECT name FROM router.canary WHERE arrived_at IS NOT NULL")


@pytest.fixture(scope="module")
async def migrated(postgres: PostgresServer) -> str:
    """The name of a database with every schema and topic."""
    url = postgres.create_database()
    database = Database(url)
    await migrate_all(database, PostgresEventLog(database, topics=ladder_topics(2)))
    await database.close()
    return url.rpartition("/")[2]


@pytest.fixture
async def world(postgres: PostgresServer, migrated: str, tmp_path: Path) -> AsyncIterator[World]:
    url = postgres.create_database(migrated)
    database = Database(url, size=7)
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(dump_json(bundle()))
    log = PostgresEventLog(database, topics=ladder_topics(2), session_seconds=2)
    try:
        async with log.running(), listening(Sink()) as sink:
            yield World(database, log, policy, sink, Seconds())
    finally:
        await database.close()
        postgres.drop_database(url)


@asynccontextmanager
async def running(*services: Service | Router) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(service.running())
        yield


async def test_the_canary_goes_round_and_only_then_somebody_outside_is_told_that_ladder_lives(
    world: World,
) -> None:
    router = world.router()
    async with running(world.intake(), router, world.notifier()):
        await until(world.arrived, 30)
        await until(world.pings, 10)
        await router.canary.look_once()
    assert world.pings() == 1
    last = REGISTRY.get_sample_value("ladder_canary_last_arrival_timestamp_seconds")
    assert last is not None
    assert abs(last - utcnow().timestamp()) < 60
    assert (REGISTRY.get_sample_value("ladder_canary_seconds_count") or 0) >= 1
    assert REGISTRY.get_sample_value("ladder_canary_overdue") == 0


async def test_with_the_notifier_stopped_nobody_outside_is_pinged_and_the_signal_turns_red(
    world: World,
) -> None:
    """Once it is back, the canary that waited comes through, and the signal is over."""
    router = world.router()
    async with running(world.intake(), router):
        await until(lambda: world.rows("SELECT name FROM router.canary"), 30)
        assert router.canary.overdue() is None
        world.clock.now += OVERDUE_AFTER * EVERY + 1
        await router.canary.look_once()
        said = router.canary.overdue()
        assert said == "no canary has come through all services for 181 s"
        assert REGISTRY.get_sample_value("ladder_canary_overdue") == 1
        assert REGISTRY.get_sample_value("ladder_canary_age_seconds") == 181
        assert world.pings() == 0

        async with running(world.notifier()):
            await until(world.pings, 30)
        await router.canary.look_once()
        assert router.canary.overdue() is None
        assert REGISTRY.get_sample_value("ladder_canary_overdue") == 0


async def test_people_never_see_the_canary(world: World) -> None:
    """Not in lists, timelines, reports, counts or the inbox, and not in the terminal."""
    said: list[str] = []
    async with running(world.intake(), world.router(), world.notifier()):
        await until(world.arrived, 30)
        await until(world.pings, 10)
        async with world.log.consumer(f"g{uuid.uuid4()}", [ESCALATIONS]) as consumer:
            await until(lambda: consumer.held_assignment_once, 10)
            for _ in range(3):
                await tell_once(consumer, said.append, utcnow())
    assert said == []
    for table in ("incident", "timeline", "outcome", "stay", "orphan", "set_aside", "dead_letter"):
        assert await world.rows(f"SELECT * FROM router.{table}") == [], table
    assert await world.rows("SELECT * FROM notifier.inbox_message") == []
    assert await world.rows("SELECT channel, state FROM notifier.delivery") == [("canary", "delivered")]


async def test_the_canarys_deliveries_are_gone_after_an_hour(world: World) -> None:
    async with running(world.intake(), world.router(), world.notifier()):
        await until(world.pings, 30)
    kept = retention.tables(timedelta(days=30))
    assert (await forget_old(world.database, "notifier", kept, utcnow()))["notifier.delivery"] == 0
    later = utcnow() + timedelta(hours=2)
    assert (await forget_old(world.database, "notifier", kept, later))["notifier.delivery"] == 1
    assert await world.rows("SELECT * FROM notifier.delivery") == []


async def test_however_many_processes_let_it_in_one_canary_a_minute_comes_through(world: World) -> None:
    now = utcnow()
    doors = [Canary(world.log, timedelta(seconds=EVERY), lambda: True) for _ in range(3)]
    assert [await door.let_in_once(now) for door in doors] == [True, True, True]
    assert not await doors[0].let_in_once(canary.moment_of(now, timedelta(seconds=EVERY)))
    async with running(world.router(), world.notifier()):
        await until(world.arrived, 30)
        await until(world.pings, 10)
    assert len(await world.rows("SELECT name FROM router.canary")) == 1
    assert await world.rows("SELECT count(*) FROM notifier.delivery") == [(1,)]


async def test_a_canary_that_fails_in_the_router_holds_nobody_up(world: World) -> None:
    """Here its table is not there: the event beside it is decided all the same, and nobody is paged for it."""
    async with world.database.transaction() as connection:
        await connection.execute(text("DROP TABLE router.canary"))
    before = REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0
    now = utcnow()
    router = world.router()
    with capture_logs() as lines:
        await _beside_a_canary(world, router, now)
    assert [line["log_level"] for line in lines if line.get("action") == "canary_lost"] == ["error"]
    assert (REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0) == before + 1
    assert await world.rows("SELECT dedup_key FROM router.incident") == [("beside",)]


async def _beside_a_canary(world: World, router: Router, now: datetime) -> None:
    async with running(router):
        await until(lambda: not router.unready(), 30)
        before = REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0
        door = Canary(world.log, timedelta(seconds=EVERY), lambda: True)
        await door.let_in_once(now)
        await world.log.publish([encode(event("beside"))])
        await until(lambda: world.rows("SELECT dedup_key FROM router.incident"), 30)
        await until(lambda: (REGISTRY.get_sample_value("ladder_canary_failed_total") or 0.0) > before, 10)


async def test_a_router_of_the_last_release_writes_the_canary_down_and_tells_nobody(world: World) -> None:
    """While a release is rolled out an old router may be the one that reads it: it takes it for a change."""
    now = utcnow()
    policy = compiled(bundle())
    decision = decide(None, EventReceived(canary.event(now, now)), Surroundings(live=policy), policy, now)
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
