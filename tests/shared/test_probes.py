"""A look that cannot be taken goes stale visibly, and after a minute without any answer liveness fails."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from prometheus_client import REGISTRY

from shared.database.pool import Database
from shared.health.probes import SILENT_AFTER_SECONDS, DatabaseProbe, Probe
from tests.servers.postgres import PostgresServer
from tests.shared.test_progress import Seconds

PATIENCE = 0.5


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, size=2)
    yield made
    await made.close()


def looking(database: Database, clock: Seconds) -> DatabaseProbe:
    return DatabaseProbe(database, "test", patience_seconds=PATIENCE, clock=clock)


def age() -> float:
    return REGISTRY.get_sample_value("ladder_look_age_seconds", {"look": "test database"}) or 0.0


async def test_a_blocked_pool_is_named_after_a_minute(database: Database) -> None:
    """All connections are taken by something that does not come back: a new start would help."""
    clock = Seconds()
    probe = looking(database, clock)
    await probe.probe_once()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(database.transaction())
        clock.now += SILENT_AFTER_SECONDS
        await probe.probe_once()
        said = probe.probe.silent()
    assert said == (
        "test database could not be looked at for 60 s: "
        "all 2 connections of the pool are taken, and none came back in time"
    )
    assert age() == SILENT_AFTER_SECONDS
    await probe.probe_once()
    assert probe.probe.silent() is None
    assert age() == 0


async def test_a_silent_server_is_named_after_a_minute(database: Database, postgres: PostgresServer) -> None:
    """It took the connection and says nothing: nothing of what was seen before is true any more."""
    clock = Seconds()
    probe = looking(database, clock)
    await probe.probe_once()
    postgres.freeze()
    try:
        clock.now += SILENT_AFTER_SECONDS
        async with asyncio.timeout(5):
            await probe.probe_once()
        said = probe.probe.silent()
    finally:
        postgres.thaw()
    assert said == "test database could not be looked at for 60 s: PostgreSQL did not answer within 0.5 s"
    assert probe.probe.stale


async def test_a_server_that_refuses_connections_is_waited_for_however_long_it_takes(
    database: Database, postgres: PostgresServer
) -> None:
    """Starting every pod again and again would not bring PostgreSQL back; the look is stale all the same."""
    clock = Seconds()
    probe = looking(database, clock)
    await probe.probe_once()
    postgres.stop()
    try:
        for _ in range(20):
            clock.now += SILENT_AFTER_SECONDS / 4
            await probe.probe_once()
            assert probe.probe.silent() is None
    finally:
        await asyncio.to_thread(postgres.start)
    assert probe.probe.stale
    assert age() == SILENT_AFTER_SECONDS * 5


def test_a_look_that_was_never_taken_is_stale_and_no_reason_to_start_anew() -> None:
    clock = Seconds()
    probe = Probe("test", clock=clock)
    assert probe.stale
    clock.now += 10 * SILENT_AFTER_SECONDS
    probe.failed(TimeoutError())
    assert probe.silent() is None
    assert math.isclose(probe.age, 10 * SILENT_AFTER_SECONDS)
