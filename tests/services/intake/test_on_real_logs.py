"""Intake on a real log: what was answered 202 can be read, and a dead log is answered in time."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from starlette.applications import Starlette
from starlette.routing import Route

from services.intake.admission.integrations import Admission
from services.intake.formats import FORMATS
from services.intake.paths.events import ByKind
from services.intake.publisher import Publisher
from services.intake.settings import IntakeSettings
from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog import EventLog
from shared.eventlog.codec import decode
from shared.eventlog.kafka.connection import KafkaConnection
from shared.eventlog.kafka.log import KafkaEventLog
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.topics import ladder_topics
from shared.events import INCIDENTS, IncidentEvent
from tests.servers.ports import free_port
from tests.services.intake.fakes import SCRIPTS, bearer, bundle, intake, published


@asynccontextmanager
async def client_of(log: EventLog) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of /v1/events on this log, with a policy that needs no log to be known."""
    admission = Admission.under(bundle())
    publisher = Publisher(log, IntakeSettings())
    app = Starlette(
        routes=[Route("/v1/events", ByKind(FORMATS["native"], publisher, lambda: admission, utcnow))]
    )
    transport = httpx2.ASGITransport(app)
    async with log.running(), httpx2.AsyncClient(transport=transport, base_url="http://ladder") as client:
        yield client


async def assert_answered_in_time(log: EventLog):
    async with client_of(log) as client:
        started = time.monotonic()
        response = await client.post("/v1/events", json={"title": "x"}, headers=bearer(SCRIPTS))
        assert response.status_code == 503
        assert response.headers["retry-after"]
        assert time.monotonic() - started < 5


async def test_what_is_answered_202_is_read_from_the_log(database_url):
    database = Database(database_url)
    log = PostgresEventLog(database, topics=ladder_topics(2))
    await log.create_topics()
    async with log.running():
        await log.publish([published(bundle())])
        async with intake(log) as client:
            batch = [{"title": f"event {number}"} for number in range(20)]
            response = await client.post("/v1/events", json=batch, headers=bearer(SCRIPTS))
        assert response.status_code == 202
        read: list[IncidentEvent] = []
        async with log.consumer("test", [INCIDENTS]) as consumer:
            while len(read) < 20:
                found = await consumer.fetch()
                read += [decode(IncidentEvent, record.value, record.headers) for record in found]
    await database.close()
    promised = {event["event_id"] for event in response.json()["events"]}
    assert {event.event_id for event in read} == promised


async def test_a_dead_postgresql_is_answered_503_within_five_seconds():
    database = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    await assert_answered_in_time(PostgresEventLog(database, topics=ladder_topics(2)))
    await database.close()


async def test_a_dead_kafka_is_answered_503_within_five_seconds():
    await assert_answered_in_time(
        KafkaEventLog(KafkaConnection(f"127.0.0.1:{free_port()}"), topics=ladder_topics(2))
    )
