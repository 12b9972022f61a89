"""Bring one owner's schema to today's newest revision: `migrate.py URL OWNER`."""

import asyncio
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from shared import migrations  # noqa: E402 - of this checkout
from shared.database import Database  # noqa: E402

FOLDERS = {
    "eventlog": PROJECT / "shared/eventlog/migrations",
    "notifier": PROJECT / "services/notifier/migrations",
    "router": PROJECT / "services/router/migrations",
}


async def main(url: str, owner: str) -> None:
    database = Database(url)
    try:
        await migrations.upgrade(database, owner, FOLDERS[owner])
    finally:
        await database.close()


asyncio.run(main(sys.argv[1], sys.argv[2]))
