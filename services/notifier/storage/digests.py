"""Digests that still collect, in the database: a restart loses none, and replicas share them.

Whoever adds to a digest locks its row, as does whoever sends it: what comes too late for one begins the next.
Nothing here commits.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Content, Delivery
from services.notifier.domain.digest import (
    MOST_LISTED,
    MOST_OF_ONE,
    Collected,
    delivery_of,
    ends_at,
    key_of,
)
from services.notifier.storage import deliveries as store
from services.notifier.storage.deliveries import IncidentVersion, NewDelivery

_AT_ONCE: Final = 20  # digests that one step sends
_FIELDS: Final = (
    "incident_id",
    "version",
    "recipient_kind",
    "recipient",
    "channel",
    "contact",
    "address",
    "secret",
    "event",
    "notice_id",
)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Content).decode


async def add(connection: AsyncConnection, told: Sequence[Delivery], now: datetime) -> None:
    """Keep these for their digests; those that do not run yet begin."""
    if not told:
        return
    keys = [key_of(one) for one in told]
    ends: dict[str, datetime] = {}
    quiet: dict[str, datetime] = {}  # of one that runs already only quiet hours move the end
    for key, one in zip(keys, told, strict=True):
        ends[key] = max(ends_at(one, now), ends.get(key, now))
        quiet[key] = max(one.next_attempt_at, quiet.get(key, now))
    ordered = sorted(ends)
    begun = {"key": ordered, "ends": [ends[key] for key in ordered], "quiet": [quiet[key] for key in ordered]}
    await connection.execute(_BEGIN, begun | {"now": now})
    items: dict[str, Any] = {name: [getattr(one, name) for one in told] for name in _FIELDS}
    items |= {
        "id": [one.id for one in told],
        "digest": keys,
        "at": [one.content.at for one in told],
        "content": [_encode(one.content).decode() for one in told],
    }
    await connection.execute(_ADD, items)


async def send(connection: AsyncConnection, now: datetime) -> int:
    """Turn digests whose time is over into deliveries that are due; how many."""
    if (await connection.execute(_ANY_OVER, {"now": now})).one_or_none() is None:
        return 0
    await connection.execute(_NO_INCIDENT, {"now": now})  # incidents before digests, as whoever adds to them
    over = (await connection.execute(_OVER, {"now": now, "most": _AT_ONCE})).all()
    made = [await _collected(connection, row, now) for row in over]
    ready = [one for one in made if one is not None]
    if ready:
        rows = [NewDelivery(one.id, one) for one in ready]
        await store.insert(connection, [one.id for one in ready], [IncidentVersion("", 0)], rows, now)
    if over:
        await connection.execute(_DONE, {"keys": [str(row.key) for row in over]})
    return len(ready)


async def _collected(connection: AsyncConnection, digest: Any, now: datetime) -> Delivery | None:
    given = {"digest": digest.key, "most": MOST_LISTED, "each": MOST_OF_ONE}
    rows = (await connection.execute(_ITEMS, given)).all()
    if not rows:
        return None
    count = (await connection.execute(_COUNT, {"digest": digest.key})).scalar_one()
    return delivery_of(Collected(digest.begun_at, [_delivery(row, now) for row in rows], count), now)


def _delivery(row: Any, now: datetime) -> Delivery:
    fields: Mapping[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    return Delivery(
        **fields,
        id=str(row.id),
        content=_decode(row.content),
        created_at=now,
        next_attempt_at=now,
        give_up_at=now,
    )


_BEGIN: Final = text("""
    INSERT INTO notifier.digest AS d (key, begun_at, ends_at)
    SELECT key, :now, ends FROM unnest(CAST(:key AS uuid[]), CAST(:ends AS timestamptz[])) AS g (key, ends)
    ORDER BY key
    ON CONFLICT (key) DO UPDATE SET ends_at = greatest(d.ends_at, (
        SELECT q.quiet FROM unnest(CAST(:key AS uuid[]), CAST(:quiet AS timestamptz[])) AS q (key, quiet)
        WHERE q.key = d.key
    ))
""")
_ADD: Final = text(f"""
    INSERT INTO notifier.digest_item (id, digest, at, content, {", ".join(_FIELDS)})
    SELECT g.id, g.digest, g.at, CAST(g.content AS json), {", ".join(f"g.{name}" for name in _FIELDS)}
    FROM unnest(
        CAST(:id AS uuid[]), CAST(:digest AS uuid[]), CAST(:at AS timestamptz[]), CAST(:content AS text[]),
        {", ".join(f"CAST(:{name} AS {'integer' if name == 'version' else 'text'}[])" for name in _FIELDS)}
    ) AS g (id, digest, at, content, {", ".join(_FIELDS)})
    ON CONFLICT (id) DO NOTHING
""")
_ANY_OVER: Final = text("SELECT 1 FROM notifier.digest WHERE ends_at <= :now LIMIT 1")
_NO_INCIDENT: Final = text("""
    INSERT INTO notifier.incident (id, version, updated_at) VALUES ('', 0, :now)
    ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at
""")
_OVER: Final = text("""
    SELECT key, begun_at FROM notifier.digest WHERE ends_at <= :now
    ORDER BY ends_at, key LIMIT :most FOR UPDATE SKIP LOCKED
""")
_ITEMS: Final = text(f"""
    WITH newest AS (
        SELECT incident_id, max(at) AS at FROM notifier.digest_item WHERE digest = :digest
        GROUP BY incident_id ORDER BY max(at) DESC, incident_id LIMIT :most
    ), ranked AS (
        SELECT i.*, row_number() OVER (PARTITION BY i.incident_id ORDER BY i.version DESC, i.at DESC) AS place
        FROM notifier.digest_item AS i JOIN newest USING (incident_id) WHERE i.digest = :digest
    )
    SELECT id, at, content::text AS content, {", ".join(_FIELDS)} FROM ranked
    WHERE place <= :each ORDER BY incident_id, version, at, id
""")
_COUNT: Final = text("SELECT count(DISTINCT incident_id) FROM notifier.digest_item WHERE digest = :digest")
_DONE: Final = text("DELETE FROM notifier.digest WHERE key = ANY(CAST(:keys AS uuid[]))")
