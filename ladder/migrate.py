"""Creating tables and topics or bringing them up to date: `ladder migrate`, and `up` at its start.

It waits for a server that is away, or whose name does not resolve: it may be starting, too. What cannot be
used is reported at once. A schema that a newer release has migrated is left as it is: migrations only add, so
a release that is put back runs on it, unless the schema says that it must not (shared.migrations).
"""

import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import text

from ladder.refusal import NewerSchemaError, NotPossibleError
from shared import migrations, telemetry
from shared.clock import stopwatch
from shared.database.connections import said
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of, sqlstate
from shared.eventlog import EventLog, EventLogError
from shared.loops.outage import Outage
from shared.loops.repeat import Failures, until_done

_OWNERS: Final = ("router", "notifier")  # of a schema; the event log brings its own
_OLDEST_POSTGRES: Final = 150_000
_PAUSE_SECONDS: Final = 0.5
_NAME: Final = "migrate"
_NOT_ALLOWED: Final = "42501"

Answer = TypeVar("Answer")

log = telemetry.logger(__name__)


async def migrate_all(
    database: Database,
    eventlog: EventLog,
    *,
    seconds: float = 0.0,
    waits: Callable[[str], Awaitable[None]] | None = None,
) -> None:
    """Every schema to its newest revision, every topic made.

    Servers that are away are waited for, up to `seconds` in all; `waits` hears each time what for. Raises
    NotPossibleError, NewerSchemaError.
    """
    waiting = _Waiting(stopwatch() + seconds, waits)
    where = "The database of LADDER_DATABASE_URL cannot be reached"
    version = await waiting.on(lambda: _version(database), database.outage, where)
    if version < _OLDEST_POSTGRES:
        raise NotPossibleError(
            f"LADDER_DATABASE_URL is a PostgreSQL {version // 10_000}; Ladder needs 15 or newer."
        )
    outage = Outage(log, "log_unavailable")
    await waiting.on(eventlog.create_topics, outage, "The topics cannot be made")
    for owner in _OWNERS:
        folder = importlib.import_module(f"services.{owner}.migrations").__file__
        assert folder is not None
        versions = Path(folder).parent
        upgrade = _Upgrade(database, owner, versions)
        await waiting.on(upgrade, database.outage, f"The tables of schema {owner!r} cannot be made")


class _Waiting:
    """Steps that are tried again while a server is away, until a moment of the stopwatch."""

    def __init__(self, until: float, waits: Callable[[str], Awaitable[None]] | None) -> None:
        self._until = until
        self._waits = waits

    async def on(self, step: Callable[[], Awaitable[Answer]], outage: Outage, refusal: str) -> Answer:
        """What the step answers. `refusal`: how the sentence begins where it cannot be done."""

        async def attempt() -> tuple[Answer] | Exception:
            try:
                return (await step(),)
            except Exception as err:
                if kind_of(err) is not Kind.AWAY or stopwatch() >= self._until:
                    return err
                outage.began(err, _NAME)
                if self._waits is not None:
                    await self._waits(f"{refusal}: {said(err)}")
                raise

        done = await until_done(Failures(_NAME, outage, longest=_PAUSE_SECONDS), attempt)
        if isinstance(done, tuple):
            return done[0]
        if isinstance(done, migrations.OutdatedCodeError):
            raise NewerSchemaError(f"A newer release has been here: {done}.") from done
        if _is_told(done):
            raise NotPossibleError(f"{refusal}: {said(done)}.") from done
        raise done


def _is_told(err: Exception) -> bool:
    """Whether its words are enough. Where a statement of ours is wrong, somebody needs to see which one."""
    if isinstance(err, EventLogError):
        return True
    state = sqlstate(err)
    return kind_of(err) is not Kind.BROKEN and (not state.startswith("42") or state == _NOT_ALLOWED)


class _Upgrade:
    """One schema's step."""

    def __init__(self, database: Database, owner: str, versions: Path) -> None:
        self._place = (database, owner, versions)

    async def __call__(self) -> None:
        if newer := await migrations.upgrade(*self._place):
            log.warning(newer, action="schema_newer", schema=self._place[1])


async def _version(database: Database) -> int:
    async with database.transaction() as connection:
        return int((await connection.execute(text("SHOW server_version_num"))).scalar_one())
