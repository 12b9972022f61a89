"""Intake on Kafka (acks=all) against a bare ASGI application on the same Kafka. Aim: 60 % of its rate."""

import asyncio
from typing import Final

from bench.rounds import Ratio, Series, alternating, by_name, show
from bench.stage import Stage, stage

ROUNDS: Final = 6
SECONDS: Final = 4.0
CONNECTIONS: Final = 64
OURS: Final = "ladder intake"
BARE: Final = "bare ASGI + aiokafka"


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    series = by_name(Series(OURS, "requests/s"), Series(BARE, "requests/s"))
    async with stage() as where:
        await where.start_floor(chain=False)
        await where.cluster.up("router", "intake")
        where.cluster.kill("router")  # intake knows the policy now; the router would take half a core
        for number in range(-1, ROUNDS):  # the first round warms up and does not count
            for name in alternating((OURS, BARE), number):
                figure = _measure(where, name, number)
                if number >= 0:
                    series[name].values.append(figure)
    ratio = Ratio("ladder intake / bare", series[OURS], series[BARE], aim="≥ 0.60")
    show(
        f"Intake on Kafka, acks=all, {CONNECTIONS} connections, one process each",
        list(series.values()),
        [ratio],
    )


def _measure(where: Stage, name: str, number: int) -> float:
    answer = where.load.ask(
        port=where.own_port() if name == OURS else where.floor_port,
        path="/v1/events",
        prefix=f"{name}-{number}",
        connections=CONNECTIONS,
        seconds=SECONDS,
    )
    if answer["refused"]:
        raise RuntimeError(f"{name} refused {answer['refused']} requests")
    return float(answer["per_second"])
