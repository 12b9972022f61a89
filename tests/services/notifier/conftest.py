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

    async def fill(database: Database) -> None:
        await PostgresEventLog(database).create_topics()
        await migrations.upgrade(database, "notifier", REVISIONS)

    return await postgres.template(fill)


@pytest.fixture
def database_url(postgres: PostgresServer, notifier_template: str) -> Iterator[str]:
    """A database for one test, migrated already."""
    with postgres.database(notifier_template) as url:
        yield url
