from collections.abc import AsyncIterator, Iterator

import pytest

from services.notifier.app import REVISIONS
from shared import migrations
from shared.database.pool import Database
from shared.eventlog.postgres.log import PostgresEventLog
from tests.channels.receiver import Receiver, receiving
from tests.servers.postgres import PostgresServer


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.fixture(scope="session")
async def notifier_template(postgres: PostgresServer) -> str:
    """The name of a database with the notifier's schema and every topic."""
    url = postgres.create_database()
    database = Database(url)
    await PostgresEventLog(database).create_topics()
    await migrations.upgrade(database, "notifier", REVISIONS)
    await database.close()
    return url.rpartition("/")[2]


@pytest.fixture
def database_url(postgres: PostgresServer, notifier_template: str) -> Iterator[str]:
    """A database for one test, migrated already."""
    url = postgres.create_database(notifier_template)
    yield url
    postgres.drop_database(url)
