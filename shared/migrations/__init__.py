"""Running an owner's migrations: each owner (eventlog, router, notifier) has one schema and one history.

A history is a folder of alembic revisions; this package's `env.py` serves all of them. The version table
stands in the owner's own schema. An advisory lock lets only one process migrate at a time.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from shared import telemetry
from shared.database import Database, fault_of

log = telemetry.logger(__name__)

_LOCK: Final = 0x1ADDE2
_BETWEEN_LOOKS: Final = 0.5
_LOOK_SECONDS: Final = 10.0


def _config(owner: str, versions: Path, connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["owner"] = owner
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, owner: str, versions: Path) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{owner}"'))
    command.upgrade(_config(owner, versions, connection), "head")


async def upgrade(database: Database, owner: str, versions: Path) -> None:
    """Bring the owner's schema to the newest revision; does nothing when it is there."""
    async with database.unhurried() as connection:
        await connection.run_sync(_upgrade, owner, versions)


def _pending(connection: Connection, owner: str, versions: Path) -> str | None:
    script = ScriptDirectory.from_config(_config(owner, versions, None))
    context = MigrationContext.configure(connection, opts={"version_table_schema": owner})
    current, newest = context.get_current_revision(), script.get_current_head()
    if current == newest:
        return None
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        return None  # a newer release migrated it; the last release runs against the new schema
    return f"schema {owner!r} is at revision {current or 'none'}, expected {newest}: run `ladder migrate`"


async def pending(database: Database, owner: str, versions: Path) -> str | None:
    """Why the owner's schema cannot be used yet, in a sentence; None when it can."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_pending, owner, versions)


async def awaited(
    database: Database, owner: str, versions: Path, learned: Callable[[str | None], None]
) -> None:
    """Return when the owner's schema can be used. `learned` hears why it cannot yet; None: it can.

    A change of the reason is logged, once.
    """
    said = ""
    while True:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                why = await pending(database, owner, versions)
                await database.ask_time()
        except Exception as err:
            if fault_of(err) is None:
                raise
            database.trouble.is_on(err, f"{owner} schema")
            why = f"the database cannot be reached ({type(err).__name__})"
        else:
            database.trouble.is_over(f"{owner} schema")
            if why is not None and why != said:
                said = why
                log.warning(why, action="schema_awaited", schema=owner)
        learned(why)
        if why is None:
            return
        await asyncio.sleep(_BETWEEN_LOOKS)
