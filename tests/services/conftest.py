from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ladder.migrate import migrate_all
from shared.database.pool import Database
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.topics import ladder_topics
from shared.policy import dump_json
from tests.domain.tale import bundle
from tests.servers.postgres import PostgresServer
from tests.services.trio import World
from tests.shared.test_progress import Seconds
from tests.world.sink import Sink, listening


@pytest.fixture(scope="session")
async def trio_template(postgres: PostgresServer) -> str:
    """The name of a database with every schema and topic."""
    return await postgres.template(
        lambda database: migrate_all(database, PostgresEventLog(database, topics=ladder_topics(2)))
    )


@pytest.fixture
async def trio(postgres: PostgresServer, trio_template: str, tmp_path: Path) -> AsyncIterator[World]:
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(dump_json(bundle()))
    with postgres.database(trio_template) as url:
        database = Database(url, size=7)
        log = PostgresEventLog(database, topics=ladder_topics(2), session_seconds=2)
        try:
            async with log.running(), listening(Sink()) as sink:
                yield World(database, log, policy, sink, Seconds())
        finally:
            await database.close()
