"""The database's name stops to resolve, and comes back: a headless Service without endpoints, a name server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from services.router.app import build
from services.router.batch.engine import Engine
from services.router.settings import RouterSettings
from shared.database.pool import Database
from shared.eventlog import codec
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.topics import ladder_topics
from shared.policy import dump_json
from tests.domain.tale import bundle, ladder
from tests.servers.postgres import PostgresServer
from tests.servers.resolver import Resolver
from tests.services.router.desk import Desk, event
from tests.waiting import until

NAME = "db.test"
QUICK = ladder(levels=[{"name": "desk", "notify": ["user:ana"], "acknowledge_within": "1s"}])
UNKNOWN = f"the name {NAME} cannot be resolved (name or service not known)"


def run(story: Callable[[Resolver], Awaitable[None]]) -> None:
    """On an event loop whose names the story tells."""
    with asyncio.Runner(loop_factory=Resolver) as runner:

        async def told() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, Resolver)
            await story(loop)

        runner.run(told())


@pytest.fixture
def by_name(router_url: str) -> str:
    return make_url(router_url).set(host=NAME).render_as_string(hide_password=False)


def test_a_running_routers_timers_go_on_as_soon_as_the_databases_name_is_back(
    by_name: str, router_url: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """At its start as well: what it waits for is said by readiness and, once, in the log."""
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(dump_json(bundle(policies={"main": QUICK})))

    async def story(names: Resolver) -> None:
        database, aside = Database(by_name), Database(router_url, application="aside")
        log = PostgresEventLog(database, topics=ladder_topics(1), session_seconds=2)
        await PostgresEventLog(aside, topics=ladder_topics(1)).create_topics()
        service = build(RouterSettings(policy=policy), log=log, database=database)
        desk = Desk(aside, Engine(aside))
        with capture_logs() as lines:
            async with log.running(), service.running():
                await until(lambda: any(UNKNOWN in why for why in service.unready()))
                names.known[NAME] = "127.0.0.1"
                await until(lambda: not service.unready(), 20)
                await log.publish([codec.encode(event("checkout"))])
                await until(desk.incidents)

                names.known.clear()
                place = make_url(router_url).database
                postgres.run_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    f"WHERE datname = '{place}' AND application_name LIKE 'ladder%'"
                )
                names.asked.clear()
                await until(lambda: len(names.asked) > 10)
                before = (await desk.only()).version
                names.known[NAME] = "127.0.0.1"
                await until(lambda: _moved_on(desk, before), 15)
                assert not service.unready()
        await database.close()
        await aside.close()
        said = [line for line in lines if UNKNOWN in str(line.get("error"))]
        assert 2 <= len(said) <= 4, said  # once for each of the two times, whatever the loops are

    run(story)


async def _moved_on(desk: Desk, version: int) -> bool:
    return (await desk.only()).version > version
