"""Running an owner's migrations: each owner (eventlog, router, notifier) has one schema and one history.

A history is a folder of alembic revisions; this package's `env.py` serves all of them. The version table
stands in the owner's own schema. An advisory lock lets only one process migrate at a time.

While a release is rolled out, replicas of the one before it run on the new schema. A migration that they cannot
live with says so by `oldest_code = "0012"` beside its `revision`: code that does not know revision 0012 must not
run on the schema any more. The mark is kept in the schema (table `oldest_code`), and every replica looks at it,
before its loops start and while they run. Most migrations only add, and say nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Never

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from shared import telemetry
from shared.database.connections import said
from shared.database.pool import Database
from shared.errors.kinds import MismatchError
from shared.loops.repeat import Failures

log = telemetry.logger(__name__)

_LOCK: Final = 0x1ADDE2
_BETWEEN_LOOKS: Final = 0.5
_BETWEEN_CHECKS: Final = 5.0
_LOOK_SECONDS: Final = 10.0


class OutdatedCodeError(MismatchError):
    """The schema is for newer code only: this replica must not work on it."""


def _config(owner: str, versions: Path, connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["owner"] = owner
    config.attributes["connection"] = connection
    return config


@dataclass(frozen=True, slots=True)
class _History:
    """What this code knows of an owner's schema."""

    newest: str
    known: frozenset[str]
    oldest_code: str  # what a schema at the newest revision asks of code; empty: nothing


@cache
def _history(owner: str, versions: Path) -> _History:
    script = ScriptDirectory.from_config(_config(owner, versions, None))
    revisions = list(script.walk_revisions())  # the newest first
    marks = [mark for each in revisions if (mark := getattr(each.module, "oldest_code", ""))]
    head = script.get_current_head()
    return _History(head or "", frozenset(each.revision for each in revisions), marks[0] if marks else "")


def _current(connection: Connection, owner: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": owner})
    return context.get_current_revision()


def _upgrade(connection: Connection, owner: str, versions: Path) -> str | None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{owner}"'))
    history, current = _history(owner, versions), _current(connection, owner)
    if current is not None and current not in history.known:
        if outdated := _outdated(connection, owner, history, current):
            raise OutdatedCodeError(outdated)
        return (
            f"schema {owner!r} is at revision {current}, of a newer release; this one knows {history.newest} "
            "and may run on it: it is left as it is"
        )
    command.upgrade(_config(owner, versions, connection), "head")
    connection.execute(text(f'CREATE TABLE IF NOT EXISTS "{owner}".oldest_code (revision text NOT NULL)'))
    connection.execute(text(f'DELETE FROM "{owner}".oldest_code'))
    mark = text(f'INSERT INTO "{owner}".oldest_code (revision) VALUES (:revision)')
    connection.execute(mark, {"revision": history.oldest_code})
    return None


async def upgrade(database: Database, owner: str, versions: Path) -> str | None:
    """Bring the owner's schema to the newest revision; does nothing when it is there.

    Nor when a newer release brought it further: then says so. Raises OutdatedCodeError when code as new as
    that one is needed.
    """
    async with database.unhurried() as connection:
        return await connection.run_sync(_upgrade, owner, versions)


def _outdated(connection: Connection, owner: str, history: _History, current: str) -> str | None:
    """Why this code must not run on a schema that a newer release migrated; None when it may."""
    kept = connection.execute(text("SELECT to_regclass(:table)"), {"table": f'"{owner}".oldest_code'})
    if kept.scalar_one() is None:
        return None
    asked: str = (
        connection.execute(text(f'SELECT max(revision) FROM "{owner}".oldest_code')).scalar_one() or ""
    )
    if not asked or asked in history.known:
        return None
    return (
        f"schema {owner!r} is at revision {current} and needs code of revision {asked} or newer; "
        f"this code is of {history.newest}: replace this replica by the new release"
    )


def _pending(connection: Connection, owner: str, versions: Path) -> str | None:
    history, current = _history(owner, versions), _current(connection, owner)
    if current == history.newest:
        return None
    if current is not None and current not in history.known:
        return _outdated(connection, owner, history, current)
    said = current or "none"
    return f"schema {owner!r} is at revision {said}, expected {history.newest}: run `ladder migrate`"


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
    look, said = _Look(database, owner, versions), ""
    while (why := await look.why()) is not None:
        if look.answered and why != said:
            said = why
            log.warning(why, action="schema_awaited", schema=owner)
        learned(why)
        await asyncio.sleep(_BETWEEN_LOOKS)
    learned(None)


async def outdated(
    database: Database, owner: str, versions: Path, *, every_seconds: float = _BETWEEN_CHECKS
) -> Never:
    """Look at the schema again and again while loops run on it.

    Raises OutdatedCodeError once it cannot be used any more: whoever runs the loops stops them, and waits
    (`awaited`). A database that is away is no reason.
    """
    look = _Look(database, owner, versions)
    while True:
        why = await look.why()
        if why is not None and look.answered:
            log.error(why, action="schema_outdated", schema=owner)
            raise OutdatedCodeError(why)
        await asyncio.sleep(every_seconds)


class _Look:
    """One replica's look at one schema, as often as somebody likes."""

    def __init__(self, database: Database, owner: str, versions: Path) -> None:
        self._database = database
        self._owner = owner
        self._versions = versions
        self._failures = Failures(f"{owner} schema", database.outage)
        self.answered = False

    async def why(self) -> str | None:
        """Why it cannot be used; None when it can. `answered`: whether the database said so itself."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                why = await pending(self._database, self._owner, self._versions)
                await self._database.ask_time()
        except Exception as err:  # noqa: BLE001 - it is looked at again
            self.answered = False
            await self._failures.failed(err)
            # Strangers read it by /readyz: the server's own words name users and databases.
            why = said(err) if isinstance(err, OSError) else type(err).__name__
            return f"the database cannot be reached: {why}"
        self.answered = True
        await self._failures.worked()
        return why
