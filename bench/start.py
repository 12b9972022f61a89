"""Seconds until `ladder up` is ready: the first start creates its database, the second finds it. Aim: 5 s."""

import asyncio
import time
from typing import Final

from bench.rounds import Series, show
from tests.world.stage import one_process

ROUNDS: Final = 5


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    first, again = Series("first start", "s"), Series("second start", "s")
    async with one_process(forked=False) as world:
        for number in range(ROUNDS + 1):
            began = time.monotonic()
            await world.cluster.up("up")
            (first if number == 0 else again).values.append(time.monotonic() - began)
            world.cluster.programs["up"].stop()
    show("Start of ladder up, from the command to ready (aim: second start ≤ 5 s)", [first, again])
