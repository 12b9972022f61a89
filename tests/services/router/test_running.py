"""The whole router on a real event log: from a record to a record, through outages."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from services.router.app import build
from services.router.batch.engine import Engine
from services.router.loops.consumer import EVENTS, REPORTS, Consuming
from services.router.loops.retention import delete_expired_once
from services.router.loops.timers import Timers
from services.router.settings import RouterSettings
from services.router.tables import metadata
from shared import migrations
from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog import Consumer, EventLog, Record, codec
from shared.eventlog.commits import Commits
from shared.eventlog.kafka.connection import KafkaConnection
from shared.eventlog.kafka.log import KafkaEventLog
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.topics import ladder_topics
from shared.events import ESCALATIONS, INCIDENTS, DeliveryReport, IncidentChanged, PolicyPublished
from shared.policy import dump_json
from shared.service import Service
from tests.domain.tale import bundle, ladder
from tests.servers.broker import Broker
from tests.servers.postgres import PostgresServer
from tests.services.router.conftest import VERSIONS
from tests.services.router.desk import Desk, event
from tests.waiting import until

QUICK = ladder(levels=[{"name": "desk", "notify": ["user:ana"], "acknowledge_within": "1s"}])


@pytest.fixture(params=["postgres", "kafka"])
async def log(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[EventLog]:
    """An event log with Ladder's topics, running. On Kafka the topics are shared with other tests."""
    made: EventLog
    if request.param == "kafka":
        broker: Broker = request.getfixturevalue("kafka")
        made = KafkaEventLog(
            KafkaConnection(broker.bootstrap_servers), topics=ladder_topics(4), session_seconds=6
        )
    else:
        made = PostgresEventLog(database, topics=ladder_topics(4), session_seconds=2)
    async with made.running():
        await made.create_topics()
        yield made


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_bytes(dump_json(bundle(policies={"main": QUICK})))
    return file


def router(log: EventLog, database: Database, policy: Path | None) -> Service:
    return build(RouterSettings(policy=policy), log=log, database=database)


@asynccontextmanager
async def ready(service: Service) -> AsyncIterator[Service]:
    async with service.running():
        await until(lambda: not service.unready(), 30)
        yield service


async def test_a_record_in_the_log_becomes_a_page_in_the_log(
    log: EventLog, database: Database, policy_file: Path
) -> None:
    """And when nobody acts, the next step comes by itself."""
    desk = Desk(database, Engine(database))
    key = f"running-{uuid.uuid4()}"
    told: list[IncidentChanged] = []

    async def follow() -> None:
        async for records in log.follow(ESCALATIONS):
            read = [codec.decode(IncidentChanged, each.value, each.headers) for each in records]
            told.extend(each for each in read if each.incident.dedup_key == key)

    async with ready(router(log, database, policy_file)):
        following = asyncio.create_task(follow())
        await log.publish([codec.encode(event(key))])
        await until(lambda: len(told) >= 2, 15)
        following.cancel()
    pages = [page.recipient.name for message in told for page in message.pages]
    assert pages[:2] == ["ana", "karel"]
    assert [message.incident.version for message in told] == sorted({m.incident.version for m in told})
    assert await desk.count("outbox") == 0


async def test_what_the_router_sets_aside_comes_back_whole_by_the_log(
    log: EventLog, database: Database, policy_file: Path
) -> None:
    """So that it can be looked at and sent again, whichever service it was that could not use it."""
    desk = Desk(database, Engine(database))
    garbage = f"no JSON {uuid.uuid4()}".encode()
    async with ready(router(log, database, policy_file)):
        await log.publish([Record(INCIDENTS, b"k", garbage)])
        await until(lambda: desk.sql("SELECT 1 FROM router.dead_letter WHERE value = :v", v=garbage), 20)
    (row,) = await desk.sql("SELECT * FROM router.dead_letter WHERE value = :v", v=garbage)
    assert (row.service, row.from_topic, row.state, row.size) == (
        "router",
        INCIDENTS,
        "waiting",
        len(garbage),
    )


async def test_two_replicas_share_the_work_and_do_none_of_it_twice(
    log: EventLog, database: Database, policy_file: Path
) -> None:
    desk = Desk(database, Engine(database))
    keys = {f"shared-{uuid.uuid4()}" for _ in range(60)}
    other = Database(database.url)
    async with ready(router(log, database, policy_file)):
        async with ready(router(log, other, None)):
            await log.publish([codec.encode(event(key)) for key in keys])
            await until(lambda: _has_all(desk, keys), 20)
        await log.publish([codec.encode(event(key, action="resolve")) for key in keys])
        await until(lambda: _all_resolved(desk, keys), 20)
    await other.close()
    found = [each for each in await desk.incidents() if each.dedup_key in keys]
    assert {each.events for each in found} == {2}
    assert len(found) == 60


async def _has_all(desk: Desk, keys: set[str]) -> bool:
    return keys <= {each.dedup_key for each in await desk.incidents()}


async def _all_resolved(desk: Desk, keys: set[str]) -> bool:
    return keys <= {each.dedup_key for each in await desk.incidents() if each.status == "resolved"}


async def test_records_delivered_again_after_a_crash_change_nothing(log: EventLog, desk: Desk) -> None:
    """Committed in the database, not in the log: what a kill in between leaves behind."""
    key = f"again-{uuid.uuid4()}"
    said = codec.encode(event(key))
    for _ in range(2):
        await log.publish([said])
    consuming = Consuming(log, desk.engine, replace(EVENTS, wait_seconds=0.2))
    async with log.consumer(f"router-{uuid.uuid4()}", [INCIDENTS]) as consumer:
        await until(lambda: _consumed(consuming, consumer, desk, key), 20)
        await consuming.consume_once(consumer, Commits(consumer))
    (incident,) = [each for each in await desk.incidents() if each.dedup_key == key]
    assert incident.events == 1


async def _consumed(consuming: Consuming, consumer: Consumer, desk: Desk, key: str) -> bool:
    await consuming.consume_once(consumer, Commits(consumer))
    return key in {each.dedup_key for each in await desk.incidents()}


async def test_a_page_that_reached_nobody_moves_on(desk: Desk) -> None:
    log = PostgresEventLog(desk.database, topics=ladder_topics(1))
    async with log.running():
        await log.create_topics()
        await desk.accept(event())
        (page,) = await desk.pages()
        report = DeliveryReport(
            report_id=str(uuid.uuid4()),
            incident_id=(await desk.only()).id,
            page_id=page.page_id,
            recipient="ana",
            outcome="failed",
            page="unreachable",
            at=utcnow(),
        )
        stray = DeliveryReport(
            report_id="x", incident_id="no uuid", recipient="ana", outcome="sent", at=utcnow()
        )
        await log.publish([codec.encode(stray), codec.encode(report)])
        async with log.consumer("g", ["ladder.deliveries"]) as consumer:
            consuming = Consuming(log, desk.engine, replace(REPORTS, wait_seconds=0.2))
            await until(lambda: consuming.consume_once(consumer, Commits(consumer)), 10)
    told = [message for message in await desk.messages() if message.incident.dedup_key == "checkout"]
    assert [page.recipient.name for message in told for page in message.pages] == ["ana", "petra"]
    assert "dead-letter:ladder.deliveries" in {each.dedup_key for each in await desk.incidents()}


async def test_the_database_going_away_loses_nothing(
    kafka: Broker, server_folder: Path, tmp_path: Path, policy_file: Path
) -> None:
    """Records wait in the log, timers catch up, and the router comes back by itself."""
    folder = server_folder / f"away-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    server = PostgresServer(folder)
    server.start()
    database = Database(server.url())
    fresh = Database(server.url())  # the test's own look, on connections that saw no outage
    log = KafkaEventLog(KafkaConnection(kafka.bootstrap_servers), topics=ladder_topics(4), session_seconds=6)
    keys = {f"away-{uuid.uuid4()}" for _ in range(20)}
    try:
        await migrations.upgrade(database, "router", VERSIONS)
        async with log.running():
            await log.create_topics()
            async with ready(router(log, database, policy_file)) as service:
                server.stop()
                await log.publish([codec.encode(event(key)) for key in keys])
                assert service.unready() == []
                server.start()
                desk = Desk(fresh, Engine(fresh))
                await until(lambda: _has_all(desk, keys), 30)
                assert await desk.count("dead_letter") == 0
    finally:
        await database.close()
        await fresh.close()
        server.stop()


async def test_before_the_migration_the_router_says_once_what_to_do(
    postgres: PostgresServer, policy_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    database = Database(postgres.create_database())
    log = PostgresEventLog(database, topics=ladder_topics(4), session_seconds=2)
    try:
        async with log.running():
            await log.create_topics()
            service = router(log, database, policy_file)
            with capture_logs() as lines:
                async with service.running():
                    await until(lambda: any("ladder migrate" in reason for reason in service.unready()), 10)
                    seen = service.unready()
                    await migrations.upgrade(database, "router", VERSIONS)
                    await until(lambda: not service.unready(), 30)
    finally:
        await database.close()
    assert any("run `ladder migrate`" in reason for reason in seen)
    actions = [line["action"] for line in lines]
    assert actions.count("schema_awaited") == 1
    assert actions.count("relay_active") == 1
    assert not {"database_away", "relay_failed", "timers_paused"} & set(actions)


async def test_an_outage_of_the_database_is_a_few_lines(
    server_folder: Path, policy_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of all loops together, however long it lasts."""
    caplog.set_level("INFO")
    folder = server_folder / f"lines-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    server = PostgresServer(folder)
    server.start()
    database = Database(server.url())
    log = PostgresEventLog(database, topics=ladder_topics(4), session_seconds=2)
    try:
        await log.create_topics()
        await migrations.upgrade(database, "router", VERSIONS)
        with capture_logs() as lines:
            async with log.running(), ready(router(log, database, policy_file)):
                server.stop()
                await until(lambda: len(_about(lines, "database_away")) > 0, 10)
                began = asyncio.get_running_loop().time()
                await until(lambda: asyncio.get_running_loop().time() - began > 3, 10)
                outage = [line for line in lines if line["log_level"] in {"warning", "error"}]
                server.start()
                await until(lambda: "PostgreSQL is back" in [line["event"] for line in lines], 30)
    finally:
        await database.close()
        server.stop()
    assert len(outage) <= 3, outage


def _about(lines: Sequence[MutableMapping[str, Any]], action: str) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line.get("action") == action]


async def test_timers_sleep_until_the_next_due_time_and_no_longer_than_a_second(desk: Desk) -> None:
    timers = Timers(desk.engine)
    now = utcnow()
    assert (await timers.fire_once(now) - now).total_seconds() == 1
    await desk.accept(event())
    await desk.make_due()
    await timers.fire_once(utcnow())
    names = [page.recipient.name for page in await desk.pages()]
    assert names == ["ana"]  # the row was due, the record was not: nothing is paged before its time


async def test_an_earlier_due_time_wakes_the_timers(desk: Desk) -> None:
    await desk.put_in_force(bundle(policies={"main": QUICK}))
    running = asyncio.create_task(Timers(desk.engine).run())
    try:
        await desk.accept(event())
        await until(lambda: _paged(desk, "karel"), 5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    late = await desk.sql(
        "SELECT max(at - opened_at) AS took FROM router.timeline JOIN router.incident ON true"
    )
    assert late[0].took.total_seconds() < 2


async def _paged(desk: Desk, name: str) -> bool:
    return name in {page.recipient.name for page in await desk.pages()}


async def test_what_is_old_is_forgotten_and_what_is_young_is_kept(desk: Desk) -> None:
    await desk.accept(event("unknown", action="resolve"), event())
    now = utcnow()
    assert await delete_expired_once(desk.database, now) == 0
    await desk.sql("UPDATE router.orphan SET at = at - interval '8 days'")
    await desk.sql("UPDATE router.inbox SET at = at - interval '9 days'")
    assert await delete_expired_once(desk.database, now) == 3
    assert await desk.count("incident") == 1


async def test_the_tables_are_as_the_queries_know_them(desk: Desk) -> None:
    for table in metadata.tables.values():
        rows = await desk.sql(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'router' AND table_name = :t",
            t=table.name,
        )
        assert {row.column_name for row in rows} == set(table.columns.keys())


def test_a_published_policy_reads_back() -> None:
    message = PolicyPublished(hash="h", revision=2, at=utcnow(), bundle=msgspec.Raw(dump_json(bundle())))
    record = codec.encode(message)
    assert codec.decode(PolicyPublished, record.value, record.headers).bundle == message.bundle


async def test_an_old_router_stops_on_a_schema_that_needs_newer_code_and_says_so(
    database: Database, policy_file: Path
) -> None:
    """While it runs: nothing is decided by it any more, and it goes on by itself should that be undone."""
    log = PostgresEventLog(database, topics=ladder_topics(1), session_seconds=2)
    desk = Desk(database, Engine(database))
    async with log.running():
        await log.create_topics()
        async with ready(router(log, database, policy_file)) as service:
            await desk.sql("UPDATE router.alembic_version SET version_num = '9999'")
            await desk.sql("UPDATE router.oldest_code SET revision = '9999'")
            (why,) = await until(service.unready, 15)
            assert "needs code of revision 9999 or newer" in why
            await log.publish([codec.encode(event("later"))])
            assert not await until_or_not(lambda: _has_all(desk, {"later"}), 1)
            await desk.sql("UPDATE router.oldest_code SET revision = ''")
            await until(lambda: _has_all(desk, {"later"}), 20)
            await until(lambda: not service.unready(), 10)


async def until_or_not(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Whether it came true in this time."""
    try:
        return await until(condition, seconds)
    except AssertionError:
        return False
