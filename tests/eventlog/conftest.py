import pytest

from tests.eventlog.places import LogPlace, opened


@pytest.fixture(params=["postgres", "kafka"])
async def place(request: pytest.FixtureRequest) -> LogPlace:
    """A log on a real server, with empty topics that no other test uses."""
    if request.param == "kafka":
        server = request.getfixturevalue("kafka")
        address = server.bootstrap_servers
    else:
        server = request.getfixturevalue("postgres")
        address = request.getfixturevalue("database_url")
    found = LogPlace(request.param, address, server)
    async with opened(found.adapter, found.address, found.name) as log:
        await log.create_topics()
    return found
