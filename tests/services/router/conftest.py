from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import services.router.migrations
from services.router.batch.engine import Engine
from shared import migrations
from shared.database.pool import Database
from tests.domain.tale import bundle
from tests.servers.postgres import PostgresServer
from tests.services.router.api import Api, api_of, keys
from tests.services.router.desk import Desk

VERSIONS = Path(services.router.migrations.__file__ or "").parent


@pytest.fixture(scope="session")
async def router_template(postgres: PostgresServer) -> str:
    """The name of a database that holds the router's schema and nothing else."""
    return await postgres.template(lambda database: migrations.upgrade(database, "router", VERSIONS))


@pytest.fixture
def router_url(postgres: PostgresServer, router_template: str) -> Iterator[str]:
    with postgres.database(router_template) as url:
        yield url


@pytest.fixture
async def database(router_url: str) -> AsyncIterator[Database]:
    found = Database(router_url)
    yield found
    await found.close()


@pytest.fixture
async def desk(database: Database) -> Desk:
    """An engine with a policy in force."""
    made = Desk(database, Engine(database))
    await made.put_in_force(bundle())
    return made


@pytest.fixture
async def served(desk: Desk) -> AsyncIterator[Api]:
    """Its API over HTTP. A file whose tests need another policy has a `served` of its own on top of this one."""
    async with api_of(desk, keys()) as made:
        yield made
