"""The token buckets that all notifiers share. Nothing here commits."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.rates import LONG_AGO, Bucket

_BEGIN: Final = text("""
    INSERT INTO notifier.bucket (name, full_at)
    SELECT name, :long_ago FROM unnest(CAST(:names AS text[])) AS n (name) ORDER BY name
    ON CONFLICT (name) DO NOTHING
""")
_LOCK: Final = text("""
    SELECT name, full_at, breaking_full_at, rank FROM notifier.bucket
    WHERE name = ANY(CAST(:names AS text[])) FOR UPDATE SKIP LOCKED
""")
_SAVE: Final = text("""
    UPDATE notifier.bucket AS b SET full_at = s.full_at, breaking_full_at = s.breaking_full_at, rank = s.rank
    FROM unnest(CAST(:names AS text[]), CAST(:full_at AS timestamptz[]),
                CAST(:breaking_full_at AS timestamptz[]), CAST(:rank AS smallint[]))
         AS s (name, full_at, breaking_full_at, rank)
    WHERE b.name = s.name
""")


async def locked(connection: AsyncConnection, names: Collection[str]) -> dict[str, Bucket]:
    """Lock these buckets, by name; one that another notifier has locked is missing."""
    given = {"names": sorted(names)}
    await connection.execute(_BEGIN, given | {"long_ago": LONG_AGO})
    return {
        row.name: Bucket(row.full_at, row.breaking_full_at, row.rank)
        for row in await connection.execute(_LOCK, given)
    }


async def save(connection: AsyncConnection, buckets: Mapping[str, Bucket]) -> None:
    """Write down these, which `locked` has locked."""
    given = {
        "names": list(buckets),
        "full_at": [one.full_at for one in buckets.values()],
        "breaking_full_at": [one.breaking_full_at for one in buckets.values()],
        "rank": [one.rank for one in buckets.values()],
    }
    await connection.execute(_SAVE, given)
