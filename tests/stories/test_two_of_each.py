"""Two routers and two notifiers side by side on real Kafka and PostgreSQL; one router dies in between."""

import time
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.servers.postgres import PostgresServer
from tests.stories.telling import Story
from tests.world.posting import keys
from tests.world.stage import World, separate_processes

STEP = 4.0
LATE = 1.5  # seconds that a page may take on this machine, beside everything else that runs


@pytest_asyncio.fixture(scope="module")
async def lasting_world(postgres: PostgresServer) -> AsyncIterator[World]:
    async with separate_processes(postgres, step=f"{STEP:.0f}s") as made:
        yield made


@pytest_asyncio.fixture
async def world(lasting_world: World) -> World:
    await lasting_world.cluster.up("intake", "router", "router-2", "notifier", "notifier-2")
    return lasting_world


async def test_level_two_is_paged_in_time_although_a_router_died(world: World) -> None:
    world.answering["router"] = "router-2"  # the one that stays
    story = Story(world, "disk-full", STEP)

    await story.somebody_reports_the_problem()
    first = await story.is_paged("ana", within=LATE, level="desk")
    world.cluster.kill("router")
    second = await story.is_paged("petra", within=STEP + LATE, level="experts")
    assert STEP - 0.5 <= second.at - first.at <= STEP + LATE

    taken = await story.somebody_takes_it()
    assert (taken["status"], taken["assignee"]) == ("acknowledged", "ana")
    await story.there_is_silence(after=time.monotonic() + 1)
    story.nobody_was_paged_but("ana", "petra")
    account = await story.account()
    assert account.clean, account


async def test_two_of_each_page_nobody_twice(world: World) -> None:
    loader = world.loader()

    await loader.post(keys("pair", 300), per_second=100)

    account = await world.account("pair", loader)
    assert account.clean, account
    assert (account.incidents, account.pages) == (300, 300)
