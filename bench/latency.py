"""POST → webhook through three processes on Kafka, against the floor chain. Aim: ≤ 1.5 × its p50 and p99."""

import asyncio
from collections.abc import Sequence
from typing import Final

from bench.rounds import Ratio, Series, alternating, percentile, show
from bench.stage import Stage, stage

ROUNDS: Final = 5
SECONDS: Final = 8.0
RATES: Final = (20, 100)
OURS: Final = "ladder"
FLOOR: Final = "floor"


def run(*rates: str) -> None:
    """`rates`: events a second."""
    asyncio.run(_run([int(rate) for rate in rates] or RATES))


async def _run(rates: Sequence[int]) -> None:
    async with stage() as where:
        await where.start_floor(chain=True)
        await where.cluster.up("router", "intake", "notifier")
        for name in (OURS, FLOOR):
            _measure(where, name, 50, "warm")
        for rate in rates:
            _compare(where, rate)


def _compare(where: Stage, rate: int) -> None:
    series = {(name, p): Series(f"{name} p{p}", "ms") for p in (50, 99) for name in (OURS, FLOOR)}
    for number in range(ROUNDS):
        for name in alternating((OURS, FLOOR), number):
            latencies = _measure(where, name, rate, str(number))
            for p in (50, 99):
                series[name, p].values.append(percentile(latencies, p / 100))
    ratios = [
        Ratio(f"p{p}: ladder / floor", series[OURS, p], series[FLOOR, p], aim="≤ 1.5") for p in (50, 99)
    ]
    show(f"POST → webhook at {rate} a second", list(series.values()), ratios)


def _measure(where: Stage, name: str, rate: int, label: str) -> list[float]:
    answer = where.load.ask(
        port=where.own_port() if name == OURS else where.floor_port,
        path="/v1/events",
        prefix=f"{name}-{rate}-{label}",
        rate=rate,
        seconds=SECONDS,
    )
    if answer["missing"]:
        raise RuntimeError(f"{name}: {answer['missing']} of {answer['posted']} pages did not arrive")
    return list(answer["milliseconds"])
