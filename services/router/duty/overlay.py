"""The overlay (overrides, silences, maintenance) in memory, read again when its revision has grown."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.compiled_bundle import ALWAYS_TRUE, CompiledBundle
from services.router.domain.model.context import NOTHING_CHANGED, Left, Maintenance, Overlay, Silence
from services.router.duty import maintenance_windows
from shared import telemetry
from shared.policy.cel.constants import Constants
from shared.policy.cel.explanations import ExpressionError
from shared.policy.cel.expressions import Condition, Expressions
from shared.policy.model.bundle import ALWAYS
from shared.policy.oncall.schedules import Override

log = telemetry.logger(__name__)


class Overlays:
    """The overlay as of one revision, under one policy: conditions are compiled with the policy's names."""

    def __init__(self) -> None:
        self._known: tuple[str, Overlay] = ("", NOTHING_CHANGED)

    async def get(self, connection: AsyncConnection, revision: int, live: CompiledBundle) -> Overlay:
        """The overlay of this revision, with conditions compiled for the policy in force."""
        content_hash, overlay = self._known
        if content_hash != live.hash or overlay.revision != revision:
            overlay = await _load(connection, revision, live)
            self._known = (live.hash, overlay)
        return overlay


async def touch(connection: AsyncConnection) -> None:
    """Mark the overlay as changed: every router reads it again in its next transaction."""
    await connection.execute(_TOUCH)


async def _load(connection: AsyncConnection, revision: int, live: CompiledBundle) -> Overlay:
    overrides: defaultdict[str, list[Override]] = defaultdict(list)
    for row in await connection.execute(_OVERRIDES):
        made = Override(str(row.id), row.user, row.begins, row.ends, row.by, row.absent, row.made_at)
        overrides[row.schedule].append(made)
    expressions = expressions_of(live)
    silences = [
        Silence(
            id=str(row.id),
            when=row.when,
            condition=condition_of(expressions, row.when, f"silences {row.id}"),
            starts=row.starts,
            until=row.until,
            comment=row.comment,
            by=row.by,
        )
        for row in await connection.execute(_SILENCES)
        if _usable(expressions, row)
    ]
    maintenance = [
        Maintenance(
            id=str(row.id),
            name=row.name,
            when=row.when,
            condition=condition_of(expressions, row.when, f"maintenance {row.id}"),
            then=row.then,
            starts=row.starts,
            until=row.until,
            window=maintenance_windows.bound(maintenance_windows.read(row), live.spec),
            by=row.by,
        )
        for row in await connection.execute(_MAINTENANCE)
        if _usable(expressions, row) and _opens(live, row)
    ]
    left = frozenset(Left(*row) for row in await connection.execute(_LEFT))
    return Overlay(revision, dict(overrides), silences, maintenance, left)


def expressions_of(live: CompiledBundle) -> Expressions:
    """The compiler for the overlay's conditions, with the names of the policy in force."""
    return Expressions(live.spec.calendars, live.spec.schedules, live.hash)


def condition_of(expressions: Expressions, source: str, where: str = "when") -> Condition | None:
    """The condition; None when it matches everything. Raises ExpressionError for an invalid one."""
    return None if source.strip() == ALWAYS_TRUE else expressions.condition(source, where)


def check(live: CompiledBundle, source: str) -> None:
    """Raises ExpressionError for a condition that must not be saved.

    It does not compile under the policy in force, or holds a constant that can never work. Takes a third of a
    second at worst.
    """
    condition_of(expressions_of(live), source)
    bundle = live.spec
    for fault in _faults(source, frozenset({*bundle.calendars, ALWAYS}), frozenset(bundle.schedules)):
        raise ExpressionError(fault.message, fault.column, fault.line)


@lru_cache(maxsize=2_000)
def _faults(source: str, calendars: frozenset[str], schedules: frozenset[str]) -> Sequence[ExpressionError]:
    return Constants(calendars, schedules).faults(source)


def broken(live: CompiledBundle, source: str, when: maintenance_windows.Windows | None = None) -> str:
    """Why a condition, or a part of it, cannot work under the policy in force; '' when it can.

    Also why windows never apply that name a missing calendar.
    """
    try:
        check(live, source)
    except ExpressionError as err:
        return err.message
    unknown = maintenance_windows.unknown_calendars(when, live.spec)
    return f"no calendar is called {next(iter(unknown.values()))!r}" if unknown else ""


def _usable(expressions: Expressions, row: Any) -> bool:
    try:
        condition_of(expressions, row.when)
    except ExpressionError as err:
        log.warning(
            "a condition is invalid under this policy: it never applies",
            action="condition_broken",
            id=str(row.id),
            error=err.message,
        )
        return False
    return True


def _opens(live: CompiledBundle, row: Any) -> bool:
    unknown = maintenance_windows.unknown_calendars(maintenance_windows.read(row), live.spec)
    for name in unknown.values():
        log.warning(
            "a maintenance window names an unknown calendar: it never opens",
            action="window_broken",
            id=str(row.id),
            calendar=name,
        )
    return not unknown


_LEFT: Final = text("SELECT subscription, kind, name, place FROM router.unsubscribed")
_TOUCH: Final = text("UPDATE router.office SET revision = revision + 1")
_OVERRIDES: Final = text("""
    SELECT id, schedule, "user", begins, ends, by, absent, made_at FROM router.override
    WHERE ends > transaction_timestamp() - interval '1 hour' ORDER BY schedule, begins, id
""")
_SILENCES: Final = text("""
    SELECT id, "when", starts, until, comment, by FROM router.silence
    WHERE until > transaction_timestamp() - interval '1 hour' ORDER BY starts, id
""")
_MAINTENANCE: Final = text("""
    SELECT id, name, "when", "then", starts, until, CAST("window" AS text) AS "window",
        CAST(windows AS text) AS windows, by
    FROM router.maintenance
    WHERE until IS NULL OR until > transaction_timestamp() - interval '1 hour' ORDER BY name, id
""")
