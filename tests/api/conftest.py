import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.api.hosted import BUNDLE, SECRET, Office
from tests.ladder.running import Up
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
async def office(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """`ladder up` as a process on a free port and an empty database; one for all tests of the API."""
    folder = tmp_path_factory.mktemp("office")
    policy = folder / "bundle.yaml"
    policy.write_text(json.dumps(BUNDLE))
    url = postgres.create_database()
    bounds = {
        "failed_keys_per_minute": 1_000_000,
        "http_header_bytes": 1_000_000,
    }  # tests are strange clients
    up = Up(folder / "data", database_url=url, policy=policy, secret_key=SECRET, **bounds)
    await up.start()
    try:
        async with httpx2.AsyncClient(base_url=up.url, timeout=20) as client:
            yield Office(up.url, client)
    finally:
        code = await up.end()
        postgres.drop_database(url)
    assert code == 0, up.said
    assert "request failed" not in up.said, up.said
