"""Where each round robin stands, in the database: one row a level (POLICY.md, rule 19).

The rows are locked after the incidents of the batch and before anything is written, sorted by policy and
level, by batches whose policies have such levels and by no others: two batches at once ask two people.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.compiled import CompiledPolicy

Positions: TypeAlias = Mapping[tuple[str, str], str]
"""By policy and level, who was asked last."""


async def lock(connection: AsyncConnection, policies: Iterable[CompiledPolicy], now: datetime) -> Positions:
    """Who was asked last by each round robin of these policies; nobody moves them until the commit."""
    wanted = _rotating(policies)
    if not wanted:
        return {}
    found = await _locked(connection, wanted)
    if len(found) < len(wanted):  # the first time that these levels are met
        await connection.execute(_ADD, _columns(wanted) | {"now": now})
        found = await _locked(connection, wanted)
    return {place: name for place, name in found.items() if name}


async def read(connection: AsyncConnection, policies: Iterable[CompiledPolicy]) -> Positions:
    """The same to look at only, for a forecast."""
    wanted = _rotating(policies)
    if not wanted:
        return {}
    rows = await connection.execute(_READ, _columns(wanted))
    return {(row.policy, row.level): row.name for row in rows if row.name}


async def write(connection: AsyncConnection, moved: Positions, now: datetime) -> None:
    """Who has been asked last now."""
    if moved:
        columns = _columns(sorted(moved)) | {"names": [moved[place] for place in sorted(moved)]}
        await connection.execute(_MOVE, columns | {"now": now})


def _rotating(policies: Iterable[CompiledPolicy]) -> list[tuple[str, str]]:
    return sorted({place for policy in policies for place in policy.rotating})


async def _locked(connection: AsyncConnection, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    rows = await connection.execute(_LOCK, _columns(wanted))
    return {(row.policy, row.level): row.name for row in rows}


def _columns(places: list[tuple[str, str]]) -> dict[str, list[str]]:
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
