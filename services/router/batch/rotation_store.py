"""Where each round robin stands, in the database: one row per level (docs/rules.md, rule 19).

Positions are read when a batch begins, and locked only if it has moved them: after its decisions, before
anything is written, sorted by policy and level. If another batch was faster, the decisions are made once more
from where it left off, so that two concurrent batches ask two people; a level that a batch does not page
keeps nobody waiting.

Deciding once more may move a level that sorts before one already locked. Waiting for it would break the
order: it is locked only if nobody else holds it; otherwise the batch is rolled back and tried again. What has
no row yet cannot be locked that way: the first lock of a batch adds the rows of all levels that it may move.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.compiled_bundle import CompiledBundle
from shared.errors.kinds import AwayError

RotationKey: TypeAlias = tuple[str, str]
"""Policy and level."""
Positions: TypeAlias = Mapping[RotationKey, str]
"""Who was asked last, '' for nobody yet."""


def rotating(policies: Iterable[CompiledBundle]) -> list[RotationKey]:
    """Every round robin of these policies, in locking order."""
    return sorted({place for policy in policies for place in policy.rotating})


class OutOfOrderError(AwayError):
    """A level is locked by another batch for which this one must not wait."""


async def lock(
    connection: AsyncConnection,
    places: Iterable[RotationKey],
    now: datetime,
    *,
    locked: Iterable[RotationKey] = (),
) -> Positions:
    """Lock these positions until the commit, those without a row, too.

    `locked`: what this transaction has locked already. Then those that sort before it must have a row, and
    OutOfOrderError is raised if another transaction holds one of them.
    """
    last = max(locked, default=("", ""))
    wanted = sorted(places)
    early = [place for place in wanted if place < last]
    found = await _locked(connection, _LOCK_FREE, early)
    if len(found) < len(early):
        raise OutOfOrderError(f"locked by another batch: {sorted(set(early) - found.keys())}")
    late = wanted[len(early) :]
    return found | await _locked(connection, _LOCK, late, now=now)


async def read(connection: AsyncConnection, policies: Iterable[CompiledBundle]) -> Positions:
    """Where the round robins of these policies stand, as far as they have a row; others may move them."""
    wanted = rotating(policies)
    if not wanted:
        return {}
    rows = await connection.execute(_READ, _columns(wanted))
    return {(row.policy, row.level): row.name for row in rows}


async def write(connection: AsyncConnection, moved: Positions, now: datetime) -> None:
    """Store who was asked last."""
    if moved:
        columns = _columns(sorted(moved)) | {"names": [moved[place] for place in sorted(moved)]}
        await connection.execute(_MOVE, columns | {"now": now})


async def _locked(
    connection: AsyncConnection, statement: TextClause, wanted: list[RotationKey], **given: Any
) -> dict[RotationKey, str]:
    if not wanted:
        return {}
    rows = await connection.execute(statement, _columns(wanted) | given)
    return {(row.policy, row.level): row.name for row in rows}


def _columns(places: list[RotationKey]) -> dict[str, list[str]]:
    return {"policies": [policy for policy, _ in places], "levels": [level for _, level in places]}


_WANTED: Final = """
    (policy, level) IN (SELECT * FROM unnest(CAST(:policies AS text[]), CAST(:levels AS text[])))
"""
# Index rotation_pkey. A level without a row is added by whoever locks it, so that old and new ones
# are locked in one order.
_LOCK: Final = text("""
    INSERT INTO router.rotation AS r (policy, level, name, at)
    SELECT policy, level, '', :now FROM unnest(CAST(:policies AS text[]), CAST(:levels AS text[]))
        WITH ORDINALITY AS wanted (policy, level, place)
    ORDER BY place
    ON CONFLICT (policy, level) DO UPDATE SET policy = excluded.policy
    RETURNING r.policy, r.level, r.name
""")
# Index rotation_pkey.
_LOCK_FREE: Final = text(f"""
    SELECT policy, level, name FROM router.rotation WHERE {_WANTED} FOR UPDATE SKIP LOCKED
""")
# Index rotation_pkey.
_READ: Final = text(f"SELECT policy, level, name FROM router.rotation WHERE {_WANTED}")
# Index rotation_pkey: the rows are locked already.
_MOVE: Final = text("""
    UPDATE router.rotation AS r SET name = moved.name, at = :now
    FROM unnest(CAST(:policies AS text[]), CAST(:levels AS text[]), CAST(:names AS text[]))
        AS moved (policy, level, name)
    WHERE (r.policy, r.level) = (moved.policy, moved.level)
""")
