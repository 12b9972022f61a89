"""Resident memory of each process, when it is ready and after 2,000 incidents."""

import asyncio
import time

from bench.rounds import Series, show
from bench.stage import stage
from tests.world.posting import keys
from tests.world.programs import Program
from tests.world.stage import TRIO, World, one_process

INCIDENTS = 2000


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    rows: list[Series] = []
    async with stage() as where:
        await where.cluster.up(*TRIO)
        rows += [_weigh(where.cluster.programs[name], "ready") for name in TRIO]
        where.load.ask(
            port=where.own_port(), path="/v1/events", prefix=f"m{time.monotonic():.0f}", rate=200, seconds=10
        )
        rows += [_weigh(where.cluster.programs[name], f"after {INCIDENTS} incidents") for name in TRIO]
    async with one_process() as world:
        await world.cluster.up("up")
        rows.append(_weigh(world.cluster.programs["up"], "ready"))
        await _busy(world)
        rows.append(_weigh(world.cluster.programs["up"], f"after {INCIDENTS} incidents"))
    show("Resident memory (ladder up: without its PostgreSQL)", rows)


async def _busy(world: World) -> None:
    loader = world.loader()
    await loader.post(keys("m", INCIDENTS))
    await world.account("m", loader)


def _weigh(program: Program, when: str) -> Series:
    return Series(f"{program.name}, {when}", "MiB", [program.resident_mib()])
