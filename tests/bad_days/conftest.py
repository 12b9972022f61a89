"""The world that bad days happen to: one for the folder, whole again before each test."""

from collections.abc import AsyncIterator, Generator

import pytest
import pytest_asyncio

from tests.servers.postgres import PostgresServer
from tests.world.stage import TRIO, World, logs_of, separate_processes


@pytest_asyncio.fixture(scope="package")
async def lasting_world(postgres: PostgresServer) -> AsyncIterator[World]:
    async with separate_processes(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def world(lasting_world: World) -> AsyncIterator[World]:
    """Three processes on Kafka and PostgreSQL, all up and ready."""
    await lasting_world.cluster.up(*TRIO)
    yield lasting_world
    lasting_world.sink.hanging.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    logs_of(report, item)
    return report
