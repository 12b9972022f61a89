"""A group member in a process of its own, for tests that kill it: prints what it gets and commits nothing.

Arguments: adapter, address, name, group.
"""

import asyncio
import sys

from shared import telemetry
from tests.eventlog.places import opened


async def _main(adapter: str, address: str, name: str, group: str) -> None:
    telemetry.configure("console", "WARNING")
    async with (
        opened(adapter, address, name) as log,
        log.running(),
        log.consumer(group, [f"records-{name}"]) as consumer,
    ):
        while True:
            for record in await consumer.fetch():
                print(record.value.decode(), flush=True)  # noqa: T201 - how the test hears of it


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
