"""A server goes away for ten seconds under load: nothing accepted is lost, and all recovers by itself."""

import asyncio

from tests.waiting import until
from tests.world.posting import keys
from tests.world.stage import World

SECONDS = 10


async def test_postgresql_away_for_ten_seconds(world: World) -> None:
    assert world.postgres is not None
    loader = world.loader()
    posting = asyncio.create_task(loader.post(keys("no-postgres", 600), per_second=40))
    await until(lambda: loader.accepted >= 60, 20)
    world.postgres.stop()
    before = loader.accepted
    await asyncio.sleep(SECONDS)  # the outage itself
    meanwhile = loader.accepted - before
    world.postgres.start()
    await posting

    account = await world.account("no-postgres", loader)

    assert account.clean, account
    assert account.incidents == 600
    assert meanwhile >= 40 * SECONDS * 0.8, "intake needs no database and goes on accepting"


async def test_kafka_away_for_ten_seconds(world: World) -> None:
    assert world.kafka is not None
    loader = world.loader()
    posting = asyncio.create_task(loader.post(keys("no-kafka", 600), per_second=40))
    await until(lambda: loader.accepted >= 60, 20)
    world.kafka.stop()
    await asyncio.sleep(SECONDS)  # the outage itself
    refused = sum(attempt.outcome == "refused" for attempt in loader.told)
    world.kafka.start()
    await posting

    account = await world.account("no-kafka", loader)

    assert account.clean, account
    assert account.incidents == 600
    assert refused == 0, "a log that is away is a 503, which senders try again"
