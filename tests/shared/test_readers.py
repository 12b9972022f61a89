"""What is made for those who read is made beside everything else."""

import asyncio
from collections.abc import Generator
from time import perf_counter

from shared.database.readers import Limits, Reading
from shared.database.url import read


def reading() -> Reading:
    return Reading(read("postgresql://nobody@127.0.0.1:1/none"), "t", Limits())


def slow(number: int) -> int:
    """Two milliseconds of work."""
    until = perf_counter() + 0.002
    while perf_counter() < until:
        pass
    return number


async def steps_meanwhile(work: "asyncio.Task[object]") -> int:
    """How often something else got its turn."""
    steps = 0
    while not work.done():
        steps += 1
        await asyncio.sleep(0)
    return steps


async def test_a_long_list_is_made_item_by_item_beside_what_pages() -> None:
    made = asyncio.create_task(reading().made(range(50), slow))
    assert await steps_meanwhile(made) >= 50
    assert await made == list(range(50))


async def test_many_long_lists_are_made_one_after_the_other() -> None:
    """However many ask at once: between two turns of whoever pages, one item is made."""
    desk, under_way, most = reading(), 0, 0

    def counted(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        return slow(number)

    async def turns() -> None:
        nonlocal under_way
        while True:
            under_way = 0
            await asyncio.sleep(0)

    ticking = asyncio.create_task(turns())
    await asyncio.gather(*(desk.made(range(10), counted) for _ in range(5)))
    ticking.cancel()
    assert most == 1


async def test_a_computation_in_steps_gives_way_after_each() -> None:
    def computed() -> Generator[None, None, str]:
        for number in range(20):
            slow(number)
            yield
        return "done"

    result = asyncio.create_task(reading().result(computed()))
    assert await steps_meanwhile(result) >= 20
    assert await result == "done"
