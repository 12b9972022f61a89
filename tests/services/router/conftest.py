from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import services.router.migrations
from services.router.batch.engine import Engine
from shared import migrations
from shared.database.pool import Database
from tests.domain.tale import bundle
from tests.servers.postgres import PostgresServer
from tests.services.router.desk import Desk

VERSIONS = Path(services.router.migrations.__file__ or "").parent


@pytest.fixture(scope="session")
async def router_template(postgres: PostgresServer) -> str:
    """The name of a database that holds the router's schema and nothing else."""
    url = postgres.create_database()
    database = Database(url)
    await migrations.upgrade(database, "router", VERSIONS)
    await database.close()
    return url.rpartition("/")[2]


@pytest.fixture
def router_url(postgres: PostgresServer, router_template: str) -> Iterator[str]:
    url = postgres.create_database(router_template)
    yield url
    postgres.drop_database(url)


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
