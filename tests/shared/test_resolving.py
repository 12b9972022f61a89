"""Names of hosts that do not resolve, or not in time."""

import asyncio

import pytest

from shared.database.connections import connect
from shared.network.dns import resolve, unknown
from shared.network.host_names import UnknownNameError, can_be_host


class Silent(asyncio.SelectorEventLoop):
    """Its name server does not answer until it is told to."""

    asked = 0

    async def getaddrinfo(self, host: object, port: object, **more: object) -> list[object]:  # type: ignore[override]
        del host, port, more
        self.asked += 1
        await self.answers.wait()
        return []

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()


def test_many_loops_that_wait_for_a_silent_name_server_ask_it_once() -> None:
    """Each is told in time; whoever asks when it answers again goes on at once."""

    async def story() -> None:
        names = asyncio.get_running_loop()
        assert isinstance(names, Silent)
        for _ in range(3):
            tries = await asyncio.gather(*(resolve("db", 0.01) for _ in range(20)), return_exceptions=True)
            assert {str(each) for each in tries} == {"the name db was not resolved within 0.01 s"}
            assert all(isinstance(each, UnknownNameError) for each in tries)
        assert names.asked == 1
        names.answers.set()
        await resolve("db", 5)
        await resolve("db", 5)
        assert names.asked == 2

    with asyncio.Runner(loop_factory=Silent) as runner:
        runner.run(story())


def test_a_name_server_that_is_silent_is_no_silent_database() -> None:
    """Liveness has a process started anew whose database is silent; here that would help nobody."""

    async def story() -> None:
        with pytest.raises(UnknownNameError, match=r"the name db was not resolved within 0\.6 s"):
            await connect("postgresql://db/ladder?connect_timeout=1", "test", patience_seconds=1)

    with asyncio.Runner(loop_factory=Silent) as runner:
        runner.run(story())


async def test_brokers_are_unknown_when_none_of_their_names_resolves() -> None:
    """One that does is reason enough to go on trying the others' way."""
    assert await unknown(["a.invalid:1", "127.0.0.1:1"]) is None
    found = await unknown(["a.invalid:1", "b.invalid:2"])
    assert isinstance(found, UnknownNameError)
    assert str(found).startswith("the name a.invalid cannot be resolved (")
    assert "; the name b.invalid cannot be resolved (" in str(found)


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "::1", "bücher.example", "a" * 63 + ".example"])
def test_what_a_host_may_be_called(host: str) -> None:
    assert can_be_host(host)


@pytest.mark.parametrize("host", ["", "a..b", "a" * 64, "a b", "a@b", "[::1]"])
def test_what_no_host_is_called(host: str) -> None:
    assert not can_be_host(host)
