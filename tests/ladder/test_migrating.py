"""`ladder migrate` beside servers that are not there yet, and on a schema that a newer release has made."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from ladder.migrate import migrate_all
from ladder.refusal import NewerSchemaError, NotPossibleError
from shared.database.pool import Database
from shared.eventlog.kafka.connection import KafkaConnection
from shared.eventlog.kafka.log import KafkaEventLog
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.topics import ladder_topics
from tests.ladder.test_refusals import _ladder
from tests.servers.resolver import Resolver
from tests.waiting import until


async def _sql(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement))


async def test_a_revert_in_gitops_ends_well_where_the_old_release_may_run_and_with_3_where_not(
    database_url: str,
) -> None:
    """The chart's job of the old release runs first: 0 lets its pods come, 3 keeps the newer ones."""
    database = Database(database_url)
    log = PostgresEventLog(database, topics=ladder_topics(1))
    await migrate_all(database, log)
    await _sql(database, "UPDATE router.alembic_version SET version_num = '9999'")

    with capture_logs() as lines:
        await migrate_all(database, log)
    (said,) = [line["event"] for line in lines if line.get("action") == "schema_newer"]
    assert said.startswith("schema 'router' is at revision 9999, of a newer release; this one knows 0")
    assert said.endswith("and may run on it: it is left as it is")

    await _sql(database, "UPDATE router.oldest_code SET revision = '9998'")
    with pytest.raises(NewerSchemaError) as refused:
        await migrate_all(database, log)
    assert "needs code of revision 9998 or newer" in str(refused.value)

    ran = await asyncio.to_thread(_ladder, "migrate", database_url=database_url)
    assert ran.returncode == 3
    assert ran.stderr.startswith("A newer release has been here: schema 'router' is at revision 9999")
    assert len(ran.stderr.splitlines()) == 1
    await database.close()


def test_migrate_waits_for_a_database_whose_name_is_not_known_yet(database_url: str) -> None:
    """It is said once; what is waited for is heard each time."""
    url = make_url(database_url).set(host="db.test").render_as_string(hide_password=False)
    waited: list[str] = []

    async def heard(why: str) -> None:
        waited.append(why)

    async def story() -> None:
        names = asyncio.get_running_loop()
        assert isinstance(names, Resolver)
        database = Database(url)
        log = PostgresEventLog(database, topics=ladder_topics(1))
        migrating = asyncio.create_task(migrate_all(database, log, seconds=30, waits=heard))
        await until(lambda: len(waited) > 1)
        names.known["db.test"] = "127.0.0.1"
        await migrating
        await database.close()

    with asyncio.Runner(loop_factory=Resolver) as runner, capture_logs() as lines:
        runner.run(story())
    refusal = "The database of LADDER_DATABASE_URL cannot be reached"
    assert set(waited) == {f"{refusal}: the name db.test cannot be resolved (name or service not known)"}
    assert [line["event"] for line in lines if line.get("action") == "database_away"] == [
        "PostgreSQL is away or refuses",
        "PostgreSQL is back",
    ]


async def test_migrate_does_not_wait_for_what_time_will_not_mend(database_url: str) -> None:
    """A database that is not there, a role that may not."""
    url = make_url(database_url).set(database="nowhere").render_as_string(hide_password=False)
    database = Database(url)
    with pytest.raises(NotPossibleError, match='cannot be reached: database "nowhere" does not exist'):
        await migrate_all(database, PostgresEventLog(database), seconds=600)
    await database.close()


async def test_brokers_whose_names_nobody_knows_are_told_by_name(database_url: str) -> None:
    """And waited for as long as the database."""
    database = Database(database_url)
    log = KafkaEventLog(KafkaConnection("kafka.invalid:9092"))
    waited: list[str] = []

    async def heard(why: str) -> None:
        waited.append(why)

    with pytest.raises(
        NotPossibleError, match=r"topics cannot be made: .* name kafka\.invalid cannot be resolved"
    ):
        await migrate_all(database, log, seconds=0.3, waits=heard)
    assert "kafka.invalid" in waited[0]
    await database.close()
