"""Three services on Kafka: the canary goes round, and with the notifier gone somebody outside hears nothing."""

import re

from tests.waiting import until
from tests.world.stage import TRIO, World
from tests.world.wire import Connection

EVERY = 5


async def shown(world: World, metric: str) -> float:
    """A figure of the router's /metrics."""
    connection = Connection(world.serving("router"))
    try:
        body = (await connection.request("GET", "/metrics")).body.decode()
    finally:
        connection.close()
    found = re.search(rf"^{metric} (\S+)$", body, re.MULTILINE)
    assert found is not None, metric
    return float(found[1])


def pings(world: World) -> int:
    return len([hit for hit in world.sink.hits if hit.path == "/alive"])


async def test_with_the_notifier_gone_the_pings_stay_away_and_the_router_says_so(world: World) -> None:
    extra = {"LADDER_CANARY_SECONDS": str(EVERY), "LADDER_DEADMAN_URL": world.sink.url("/alive")}
    for name in TRIO:
        world.cluster.programs[name].stop()
        world.cluster.start(name, **extra)
    await world.cluster.ready(*TRIO)
    paged = len(world.sink.pages())
    try:
        await until(lambda: pings(world) >= 2, 40)
        assert await shown(world, "ladder_canary_overdue") == 0

        world.cluster.kill("notifier")
        before = pings(world)

        async def overdue() -> bool:
            return await shown(world, "ladder_canary_overdue") == 1

        await until(overdue, 4 * EVERY + 15)
        assert pings(world) == before
        assert await shown(world, "ladder_canary_age_seconds") > 3 * EVERY

        world.cluster.start("notifier", **extra)
        await until(lambda: pings(world) > before, 40)
        assert len(world.sink.pages()) == paged, "people never see the canary"
    finally:
        for name in TRIO:
            world.cluster.programs[name].stop()  # the next test starts them without canaries
