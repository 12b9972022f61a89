"""What a `round_robin` level costs two routers on one PostgreSQL: no such level, an unused one, a used one.

Two engines in two processes take batches of new incidents as fast as they can, each from partitions of its
own. The unused level comes after a quarter of an hour; the used one is the first. Aim: unused ≥ 0.9 × none.
"""

import asyncio
import json
import subprocess
import sys
import time
import uuid
from typing import Any, Final

from bench.rounds import Ratio, Series, alternating, show
from bench.router_database import on_a_database_of_its_own
from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.domain.model.signals import EventReceived
from services.router.policy import store
from shared.clock import utcnow
from shared.database.pool import Database
from shared.events import INCIDENTS, IncidentEvent
from shared.policy import Bundle
from tests.domain.tale import bundle, on_main
from tests.world.programs import REPOSITORY

ROUTERS: Final = 2
ROUNDS: Final = 5
SECONDS: Final = 5.0
BATCH: Final = 50
_CREW: Final = [f"user:{name}" for name in ("ana", "petra", "karel")]
_FIRST: Final = {"name": "first", "notify": ["user:ana"], "acknowledge_within": "15m"}
_TURNS: Final = {"name": "desk", "notify": _CREW, "acknowledge_within": "15m", "mode": "round_robin"}
NONE, UNUSED, USED = "no such level", "one that is not used", "one that is used"
LEVELS: Final = {NONE: [_FIRST], UNUSED: [_FIRST, _TURNS], USED: [_TURNS, _FIRST]}


def run() -> None:
    on_a_database_of_its_own(_measure)


async def _measure(database: Database, url: str) -> None:
    routers = [_router(url) for _ in range(ROUTERS)]
    made = {name: Series(name, "incidents/s") for name in LEVELS}
    try:
        for number in range(-1, ROUNDS):  # the first round warms up
            for name in alternating(tuple(LEVELS), number):
                async with database.transaction() as connection:
                    await store.switch(connection, _bundle(name), source="api", by="bench")
                for each in routers:
                    _tell(each, {"seconds": SECONDS})
                answers = [await asyncio.to_thread(_hear, each) for each in routers]
                if number >= 0:
                    made[name].values.append(sum(answer["taken"] for answer in answers) / SECONDS)
    finally:
        for each in routers:
            each.terminate()
            each.wait()
    ratios = [
        Ratio("not used / none", made[UNUSED], made[NONE], aim="≥ 0.9"),
        Ratio("used / none", made[USED], made[NONE]),
    ]
    title = f"{ROUTERS} routers, batches of {BATCH} new incidents, a bundle with a round_robin level"
    show(title, list(made.values()), ratios)


def _bundle(name: str) -> Bundle:
    return bundle(**on_main(levels=LEVELS[name]))


def _router(url: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "bench.rotation", url]
    router = subprocess.Popen(argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _hear(router)
    return router


def _tell(router: "subprocess.Popen[str]", order: dict[str, Any]) -> None:
    assert router.stdin is not None
    router.stdin.write(json.dumps(order) + "\n")
    router.stdin.flush()


def _hear(router: "subprocess.Popen[str]") -> dict[str, Any]:
    assert router.stdout is not None
    answer: dict[str, Any] = json.loads(router.stdout.readline())
    return answer


async def _route(url: str) -> None:
    """One router: for each order, batches for that many seconds; then how many incidents there were."""
    database = Database(url)
    engine = Engine(database)
    print(json.dumps({"ready": True}), flush=True)
    while order := await asyncio.to_thread(sys.stdin.readline):
        until, taken = time.monotonic() + json.loads(order)["seconds"], 0
        while time.monotonic() < until:
            taken += len(await engine.accept([_arrival() for _ in range(BATCH)]))
        print(json.dumps({"taken": taken}), flush=True)
    await database.close()


def _arrival() -> InboundSignal:
    key = str(uuid.uuid4())
    event = IncidentEvent(
        event_id=key, integration="test", dedup_key=key, action="trigger", title="x", received_at=utcnow()
    )
    return InboundSignal(EventReceived(event), ("test", key), key, origin=(INCIDENTS, 0, 0))


if __name__ == "__main__":
    asyncio.run(_route(sys.argv[1]))
