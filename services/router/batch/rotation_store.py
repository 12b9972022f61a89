"""Where each round robin stands, in the database: one row a level (POLICY.md, rule 19).

Positions are read when a batch begins, and locked only where it has moved them: after its decisions, before
anything is written, sorted by policy and level. Where another batch was faster, the decisions are made once
more with what it left, so that two batches at once ask two people; and a level that a batch does not page
keeps nobody waiting.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.compiled_bundle import CompiledBundle

Place: TypeAlias = tuple[str, str]
"""Policy and level."""
Positions: TypeAlias = Mapping[Place, str]
"""Who was asked last, '' for nobody yet."""


def rotating(policies: Iterable[CompiledBundle]) -> list[Place]:
    """Every round robin of these policies, in the order in which they are locked."""
    return sorted({place for policy in policies for place in policy.rotating})


async def lock(connection: AsyncConnection, places: Iterable[Place], now: datetime) -> Positions:
    """Where these stand; nobody else moves them until the commit."""
    wanted = sorted(places)
    found = await _locked(connection, wanted)
    if len(found) < len(wanted):  # the first time that these levels are paged
        await connection.execute(_ADD, _columns(wanted) | {"now": now})
        found = await _locked(connection, wanted)
    return found


async def read(connection: AsyncConnection, policies: Iterable[CompiledBundle]) -> Positions:
    """Where the round robins of these policies stand; others may move them at any time."""
    wanted = rotating(policies)
    if not wanted:
        return {}
    rows = await connection.execute(_READ, _columns(wanted))
    return {(row.policy, row.level): row.name for row in rows if row.name}


async def write(connection: AsyncConnection, moved: Positions, now: datetime) -> None:
    """Who has been asked last now."""
    if moved:
        columns = _columns(sorted(moved)) | {"names": [moved[place] for place in sorted(moved)]}
        await connection.execute(_MOVE, columns | {"now": now})


async def _locked(connection: AsyncConnection, wanted: list[Place]) -> dict[Place, str]:
    rows = await connection.execute(_LOCK, _columns(wanted))
    return {(row.policy, row.level): row.name for row in rows}


def _columns(places: list[Place]) -> dict[str, list[str]]:
    return {"policies": [policy for policy, _ in places], "levels": [level for _, level in places]}


_WANTED: Final = """
    (policy, level) IN (SELECT * FROM unnest(CAST(:policies AS text[]), CAST(:levels AS text[])))
"""
_LOCK: Final = text(f"""
    SELECT policy, level, name FROM router.rotation WHERE {_WANTED} ORDER BY policy, level FOR UPDATE
""")
_READ: Final = text(f"SELECT policy, level, name FROM router.rotation WHERE {_WANTED}")
_ADD: Final = text("""
    INSERT INTO router.rotation (policy, level, name, at)
    SELECT policy, level, '', :now FROM unnest(CAST(:policies AS text[]), CAST(:levels AS text[]))
        AS wanted (policy, level)
    ORDER BY policy, level ON CONFLICT DO NOTHING
""")
_MOVE: Final = text("""
    UPDATE router.rotation AS r SET name = moved.name, at = :now
    FROM unnest(CAST(:policies AS text[]), CAST(:levels AS text[]), CAST(:names AS text[]))
        AS moved (policy, level, name)
    WHERE (r.policy, r.level) = (moved.policy, moved.level)
""")
