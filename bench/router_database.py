"""A router's database for one benchmark, on the PostgreSQL of `ladder up` with its settings."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import services.router.migrations
from ladder.embedded.postgres import running
from shared import migrations
from shared.database.pool import Database

VERSIONS: Final = Path(services.router.migrations.__file__ or "").parent


def on_a_database_of_its_own(
    measure: Callable[[Database, str], Awaitable[None]], patience_seconds: float | None = None
) -> None:
    """Run the measurement with the database and its URL; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="ladder-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root, PostgreSQL runs as another user
        asyncio.run(_run(folder / "postgres", measure, patience_seconds))


async def _run(
    folder: Path, measure: Callable[[Database, str], Awaitable[None]], patience_seconds: float | None
) -> None:
    more = {} if patience_seconds is None else {"patience_seconds": patience_seconds}
    async with running(folder) as url:
        database = Database(url, **more)
        try:
            await migrations.upgrade(database, "router", VERSIONS)
            await measure(database, url)
        finally:
            await database.close()
