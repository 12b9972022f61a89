"""Intake, router and notifier in one loop on a PostgreSQL log, each started by the test; and their clock."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text

from services.intake import app as intake
from services.intake.settings import IntakeSettings
from services.notifier import app as notifier
from services.notifier.settings import NotifierSettings
from services.router.app import Router
from services.router.settings import RouterSettings
from shared.database.pool import Database
from shared.eventlog.postgres.log import PostgresEventLog
from shared.service import Service
from tests.shared.test_progress import Seconds
from tests.world.sink import Sink

SECRET = SecretStr("a secret that signs links in tests, long enough")
EVERY = 60


@dataclass
class World:
    """Servers, the database and what the services are given; each service is started by the test."""

    database: Database
    log: PostgresEventLog
    policy: Path
    sink: Sink
    clock: Seconds

    def intake(self, every: int = EVERY) -> Service:
        return intake.build(IntakeSettings(canary_seconds=every), log=self.log)

    def router(self) -> Router:
        settings = RouterSettings(policy=self.policy, secret_key=SECRET, canary_seconds=EVERY)
        return Router(settings, self.log, self.database, clock=self.clock)

    def notifier(self) -> Service:
        settings = NotifierSettings(
            secret_key=SECRET, public_url="http://ladder.test", deadman_url=SecretStr(self.sink.url("/alive"))
        )
        return notifier.build(settings, log=self.log, database=self.database)

    def pings(self) -> int:
        return len([hit for hit in self.sink.hits if hit.path == "/alive"])

    async def rows(self, statement: str) -> list[tuple[object, ...]]:
        async with self.database.transaction() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]

    async def arrived(self) -> list[tuple[object, ...]]:
        return await self.rows("SELECT name FROM router.canary WHERE arrived_at IS NOT NULL")


@asynccontextmanager
async def running(*services: Service | Router) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(service.running())
        yield
