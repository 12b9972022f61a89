"""A relay in a process of its own, for the test that kills it. Arguments: adapter, address, name, database."""

import asyncio
import sys

from shared.database.pool import Database
from shared.eventlog import LogUnavailableError
from shared.outbox.relay import Relay
from tests.eventlog.places import opened


async def _main(adapter: str, address: str, name: str, url: str) -> None:
    database = Database(url)
    async with opened(adapter, address, name) as log, log.running():
        relay = Relay(database, log, "owner")
        while True:
            try:
                await relay.relay_once()
            except LogUnavailableError:
                continue


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
