"""A webhook endpoint that hangs keeps its own pages waiting, and nobody else's."""

from tests.waiting import until
from tests.world.bundle import beside
from tests.world.posting import keys
from tests.world.stage import World

PATIENCE = 3.0  # seconds; a hanging endpoint is given up on after 15


async def test_a_hanging_endpoint_does_not_delay_anothers_pages(world: World) -> None:
    world.sink.hanging.add("/hana")
    loader = world.loader(beside)
    posted = keys("hanging", 40)

    await loader.post(posted, per_second=40)

    await until(lambda: len(world.sink.pages("/ana")) and world.paged("hanging") == set(posted), PATIENCE)
    assert not world.sink.pages("/hana")
    assert any(hit.path == "/hana" for hit in world.sink.hits)
