"""A node dies without a word: to everybody else a stopped process is one. Then it comes back to life.

Whatever it held – partitions, the relay's lead, due times, claims, row locks, connections – ends by itself.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from sqlalchemy import text

from shared.database.pool import Database
from tests.servers.postgres import PostgresServer
from tests.waiting import until
from tests.world.bundle import over, quick
from tests.world.posting import Loader, keys
from tests.world.stage import World, without_kafka

FIRST_PAGE = 10.0  # seconds from the cut
AT_REST = 400  # transactions a second of five processes that wait; one loop that spins makes twice as many
ENDED = text("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
TWO_OF_EACH = ("intake", "router", "router-2", "notifier", "notifier-2")


@pytest_asyncio.fixture(scope="module")
async def two_started(lasting_world: World) -> AsyncIterator[World]:
    """Two routers and two notifiers on Kafka; the second ones are gone again afterwards."""
    await lasting_world.cluster.up(*TWO_OF_EACH)
    yield lasting_world
    for name in ("router-2", "notifier-2"):
        lasting_world.cluster.programs[name].stop()


@pytest_asyncio.fixture
async def two_of_each(two_started: World) -> AsyncIterator[World]:
    await two_started.cluster.up(*TWO_OF_EACH)
    yield two_started
    two_started.answering.clear()


def everybody_paged(world: World, prefix: str, count: int) -> bool:
    return len(world.paged(prefix)) == count


def last_page(world: World, prefix: str) -> float:
    """When the last of these was paged for the first time."""
    first: dict[str, float] = {}
    for hit in world.sink.pages():
        key = str(hit.incident["dedup_key"])
        if key.startswith(prefix):
            first.setdefault(key, hit.at)
    return max(first.values())


def under_way(loader: Loader) -> int:
    """How many of the keys, in order, have been posted or are being posted just now."""
    return len({attempt.key for attempt in loader.told}) + loader.connections


def sent_again(world: World, prefix: str, under_way: int = 0) -> list[str]:
    """What arrived twice although it came in after the cut.

    What was being sent at the cut and not written down goes out again with the same id.
    """
    after = set(keys(prefix, 1000)[under_way:])
    arrived = Counter(hit.webhook_id for hit in world.sink.pages() if hit.incident["dedup_key"] in after)
    return [name for name, count in arrived.items() if count > 1]


@pytest.mark.parametrize("role", ["router", "notifier"])
async def test_a_process_that_froze_takes_nobodys_pages_with_it(two_of_each: World, role: str) -> None:
    """The one that leads its relay, with half of the partitions, in the middle of work: pages go on within ten
    seconds, an incident that waits for its time is moved up, and nobody hears anything twice when it is back.
    """
    world = two_of_each
    frozen = await world.leader(role, f"{role}-2")
    world.answering[role] = ({role, f"{role}-2"} - {frozen}).pop()
    loader, climbing = world.loader(), world.loader(quick)
    await climbing.post([f"climbs-{role}-1"])
    await until(lambda: world.sink.pages("/ana", key=f"climbs-{role}-1"))
    posting = asyncio.create_task(loader.post(keys(f"froze-{role}", 120), per_second=40))
    await until(lambda: len(world.paged(f"froze-{role}")) >= 20)

    world.cluster.programs[frozen].freeze()
    cut, before = time.monotonic(), under_way(loader)
    await posting
    await until(partial(everybody_paged, world, f"froze-{role}", 120), 25)
    took = last_page(world, f"froze-{role}") - cut
    await until(lambda: world.sink.pages("/petra", key=f"climbs-{role}-1"), 10)
    moved_up = world.sink.pages("/petra", key=f"climbs-{role}-1")[0].at - cut
    world.cluster.programs[frozen].thaw()
    await world.cluster.ready(frozen)

    await world.loader(over).post([f"climbs-{role}-1"])

    account = await world.account(f"froze-{role}", loader)
    assert account.clean, account
    assert account.incidents == account.pages == 120
    assert sent_again(world, f"froze-{role}", before) == []
    assert took <= FIRST_PAGE, f"the last page came {took:.1f} s after the cut"
    assert moved_up <= FIRST_PAGE, f"moved up {moved_up:.1f} s after the cut"
    if role == "router":
        assert account.redelivered == 0


async def test_a_whole_node_that_froze_takes_nobodys_pages_with_it(postgres: PostgresServer) -> None:
    """Intake, router and notifier together, on the event log in PostgreSQL; what comes in at the cut and just
    after it is paged within ten seconds, and the node that is back takes what is posted to it.
    """
    async with without_kafka(postgres) as world:
        node, others = ("intake", "router", "notifier"), ("intake-2", "router-2", "notifier-2")
        await world.cluster.up(*node, *others)
        await world.leader("router", "router-2")
        world.answering |= {name.partition("-")[0]: name for name in others}
        loader = world.loader()
        posting = asyncio.create_task(loader.post(keys("node", 120), per_second=40))
        await until(lambda: len(world.paged("node")) >= 20, 20)

        for name in node:
            world.cluster.programs[name].freeze()
        cut, before = time.monotonic(), under_way(loader)
        await posting
        await until(partial(everybody_paged, world, "node", 120), 25)
        took = last_page(world, "node") - cut
        for name in node:
            world.cluster.programs[name].thaw()
        await world.cluster.ready(*node)
        world.answering["intake"] = "intake"
        again = world.loader()
        await again.post(keys("back", 20))

        for prefix, told, count, first in (("node", loader, 120, before), ("back", again, 20, 0)):
            account = await world.account(prefix, told)
            assert account.clean, account
            assert account.incidents == account.pages == count
            assert sent_again(world, prefix, first) == []
        assert took <= FIRST_PAGE, f"the last page came {took:.1f} s after the cut"


async def transactions(world: World) -> int:
    """How many the database has ended so far, as its statistics say."""
    database = Database(world.cluster.database_url, size=1)
    async with database.transaction() as connection:
        count = await connection.execute(ENDED)
    await database.close()
    return int(count.scalar_one())


async def test_clocks_that_are_five_seconds_apart_page_in_time_and_once(
    postgres: PostgresServer,
) -> None:
    """Every moment that is compared is PostgreSQL's: what a process's own clock says moves nothing, and nobody
    asks the server again and again whether it is time.
    """
    step = 3.0
    async with without_kafka(postgres, step=f"{step:.0f}s") as world:
        world.cluster.skews = {"intake": 5, "router": 5, "router-2": -5, "notifier": -5, "notifier-2": 5}
        await world.cluster.up(*TWO_OF_EACH)
        loader, climbing = world.loader(), world.loader(quick)
        await climbing.post(keys("climb", 6))
        await until(lambda: len(world.sink.pages("/ana")) == 6)
        waiting_since, before = time.monotonic(), await transactions(world)
        await until(lambda: len(world.sink.pages("/petra")) == 6, step + 3)
        asked = (await transactions(world) - before) / (time.monotonic() - waiting_since)
        await loader.post(keys("skew", 60), per_second=30)
        await until(partial(everybody_paged, world, "skew", 60), 3)

        for key in keys("climb", 6):
            first, second = world.sink.pages("/ana", key=key)[0], world.sink.pages("/petra", key=key)[0]
            assert step - 0.5 <= second.at - first.at <= step + 1.5
        account = await world.account("skew", loader)

    assert account.clean, account
    assert (account.incidents, account.pages, account.redelivered) == (60, 60, 0)
    assert asked < AT_REST, f"{asked:.0f} transactions a second while everybody waits"
