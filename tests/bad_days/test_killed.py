"""SIGKILL in the middle of the work: what was accepted is an incident, once, and its page arrives, once."""

import asyncio
from functools import partial

import pytest

from shared.crash import EXIT_CODE
from tests.waiting import until
from tests.world.posting import Loader, keys
from tests.world.programs import ready_or_ended
from tests.world.stage import TRIO, World, one_process

CRASH_POINTS = (
    "intake.published",
    "router.decided",
    "router.committed",
    "relay.handed",
    "relay.published",
    "notifier.committed",
    "notifier.sending",
    "notifier.sent",
)


def reached(loader: Loader, accepted: int) -> bool:
    return loader.accepted >= accepted


@pytest.mark.parametrize("victim", TRIO)
async def test_a_service_killed_twice_under_load_loses_nothing(world: World, victim: str) -> None:
    loader = world.loader()
    prefix = f"kill-{victim}"
    posting = asyncio.create_task(loader.post(keys(prefix, 600), per_second=150))
    for share in (150, 350):
        await until(partial(reached, loader, share), 60)
        world.cluster.kill(victim)
        world.cluster.start(victim)
    await posting
    await world.cluster.ready(*TRIO)

    account = await world.account(prefix, loader)

    assert account.clean, account
    assert account.incidents == 600


async def test_two_notifiers_killed_in_turn_lose_nothing_and_repeat_only_with_the_same_id(
    world: World,
) -> None:
    both = ("notifier", "notifier-2")
    await world.cluster.up(*TRIO, *both)
    try:
        loader = world.loader()
        posting = asyncio.create_task(loader.post(keys("kill-both", 300), per_second=100))
        for share, victim in ((60, both[0]), (130, both[1]), (200, both[0])):
            await until(partial(reached, loader, share), 60)
            world.cluster.kill(victim)
            world.cluster.start(victim)
        await posting
        await world.cluster.ready(*TRIO, *both)

        account = await world.account("kill-both", loader)

        assert account.clean, account  # PAGE_DOUBLED: one page by two ids
        assert account.incidents == account.pages == 300
    finally:
        world.cluster.programs[both[1]].stop()


@pytest.mark.parametrize("point", CRASH_POINTS)
async def test_a_process_that_ends_at_a_crash_point_loses_nothing(world: World, point: str) -> None:
    service = "router" if point.startswith("relay") else point.partition(".")[0]
    prefix = point.replace(".", "-")
    sent_again = world.sent_again
    world.cluster.kill(service)
    victim = world.cluster.start(service, LADDER_CRASH_AT=f"{point}:3")
    await ready_or_ended(victim, world.cluster.url(service), within=60)
    loader = world.loader()
    posting = asyncio.create_task(loader.post(keys(prefix, 80), per_second=40))
    await until(lambda: not victim.alive, 60)
    assert victim.exit_code == EXIT_CODE
    await world.cluster.up(*TRIO)
    await posting

    account = await world.account(prefix, loader)

    assert account.clean, account
    assert account.incidents == 80
    if point == "notifier.sent":
        assert world.sent_again > sent_again, "what was sent and not recorded goes out again, with its id"


@pytest.mark.timeout(240)
async def test_ladder_up_killed_in_the_middle_of_two_thousand_posts_loses_nothing() -> None:
    async with one_process() as world:
        await world.cluster.up("up")
        loader = world.loader(connections=16)
        posting = asyncio.create_task(loader.post(keys("up", 2000)))
        await until(lambda: loader.accepted >= 1000, 90)
        world.cluster.kill("up")
        world.cluster.start("up")
        await posting

        account = await world.account("up", loader, within=90)

        assert account.clean, account
        assert account.incidents == 2000
