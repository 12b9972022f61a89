"""Bring schemas to today's newest revision for the last release's tests: `migrate.py SOCKET` serves.

A request is one line, `OWNER URL`; the answer is one line, empty when all is well. One process for all tests:
to start one for each took longer than the migrations.
"""

import asyncio
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from shared import migrations  # noqa: E402 - of this checkout
from shared.database.pool import Database  # noqa: E402

FOLDERS = {
    "eventlog": PROJECT / "shared/eventlog/migrations",
    "notifier": PROJECT / "services/notifier/migrations",
    "router": PROJECT / "services/router/migrations",
}

one_at_a_time = asyncio.Lock()  # Alembic keeps what it works on in its modules


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    owner, url = (await reader.readline()).decode().split()
    database = Database(url)
    wrong = ""
    try:
        async with one_at_a_time:
            await migrations.upgrade(database, owner, FOLDERS[owner])
    except Exception as err:  # noqa: BLE001 - whatever it is, the test that asked fails with it
        wrong = repr(err)
    finally:
        await database.close()
    writer.write(wrong.replace("\n", " ").encode() + b"\n")
    await writer.drain()
    writer.close()


async def main(socket: str) -> None:
    server = await asyncio.start_unix_server(answer, socket)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
