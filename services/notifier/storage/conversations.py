"""The stored conversations, each statement for a whole batch. Nothing here commits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.conversation import (
    FirstMessage,
    Place,
    Stored,
    first_message,
    place_of,
    updates,
)
from services.notifier.domain.delivery import STATE, Delivery
from services.notifier.storage.deliveries import IncidentVersion, NewDelivery, insert
from shared.events import IncidentChanged

_decode: Final = msgspec.json.Decoder(FirstMessage).decode
_encode: Final = msgspec.json.Encoder().encode


async def locked(
    connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime
) -> Mapping[str, Stored]:
    """The conversations to which these belong, locked, by the id of each; those that are new are begun."""
    places = sorted({(one.incident_id, place_of(one.channel, one.address)) for one in deliveries})
    begun = {
        (one.incident_id, place_of(one.channel, one.address)): one for one in deliveries if not one.is_state
    }
    if begun:
        new = [begun[place] for place in places if place in begun]
        await connection.execute(_BEGIN, _places(new) | {"now": now})
    given = {"incident_id": [one for one, _ in places], "place": [place for _, place in places]}
    rows = await connection.execute(_LOCK, given)
    found = {(row.incident_id, row.place): _stored(row) for row in rows}
    nothing = Stored()
    return {
        one.id: found.get((one.incident_id, place_of(one.channel, one.address)), nothing)
        for one in deliveries
    }


async def hold(
    connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime, until: datetime
) -> None:
    """Until then others wait for the outcome of these, one in each conversation."""
    given = {"id": [one.id for one in deliveries], "now": now, "until": until}
    await connection.execute(_HOLD, _places(deliveries) | given)


async def coming(connection: AsyncConnection, deliveries: Sequence[Delivery]) -> frozenset[str]:
    """The ids of those of these for whose place a first message is on its way."""
    given = {
        "id": [one.id for one in deliveries],
        "incident_id": [one.incident_id for one in deliveries],
        "channel": [one.channel for one in deliveries],
        "address": [one.address for one in deliveries],
        "event": STATE,
    }
    return frozenset((await connection.execute(_COMING, given)).scalars())


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a delivery that held its conversation.

    `reference`: the provider's id of the first message; None: it did not go out, or was known before.
    `shown`: the incident's version that the first message shows now; 0: as before.
    """

    delivery: Delivery
    reference: str | None = None
    shown: int = 0


async def record(connection: AsyncConnection, sent: Sequence[Sent], now: datetime) -> bool:
    """Record these, and let others go on; whether a change of a first message is due now."""
    given = {
        "id": [one.delivery.id for one in sent],
        "reference": [one.reference for one in sent],
        "shown": [one.shown for one in sent],
        "first": [
            _encode(first_message(one.delivery)).decode() if one.reference is not None else None
            for one in sent
        ],
        "now": now,
    }
    places = _places([one.delivery for one in sent])
    await connection.execute(_LOCK, {name: places[name] for name in ("incident_id", "place")})
    await connection.execute(_RECORD, places | given)
    begun = [one.delivery for one in sent if one.reference is not None]
    if not begun:
        return False
    woken = await connection.execute(_WAKE, _places(begun) | {"event": STATE, "now": now})
    return woken.rowcount > 0


async def change(
    connection: AsyncConnection, moved: Sequence[IncidentChanged], channels: Collection[str], now: datetime
) -> None:
    """Have the first messages about these incidents changed, wherever they stand.

    `moved`: as `domain.conversation.newest` gives them; `channels`: those that keep conversations.
    """
    given = {
        "incident_id": [one.incident.id for one in moved],
        "version": [one.incident.version for one in moved],
        "event": STATE,
    }
    await connection.execute(_REPLACE, given)
    rows = await connection.execute(_TO_CHANGE, given | {"channels": sorted(channels)})
    places = [Place(**row._mapping) for row in rows]  # noqa: SLF001 - the public name of a row's mapping
    changing = list(updates(moved, places, now))
    if changing:
        incidents = [IncidentVersion(one.incident.id, one.incident.version) for one in moved]
        new = [NewDelivery(delivery.id, delivery) for delivery in changing]
        await insert(connection, [delivery.id for delivery in changing], incidents, new, now)


def _places(deliveries: Iterable[Delivery]) -> dict[str, list[Any]]:
    listed = list(deliveries)
    return {
        "incident_id": [one.incident_id for one in listed],
        "place": [place_of(one.channel, one.address) for one in listed],
        "channel": [one.channel for one in listed],
        "address": [one.address for one in listed],
    }


def _stored(row: Any) -> Stored:
    first = _decode(row.first) if row.first is not None else None
    return Stored(row.reference, row.shown_version, first, row.busy or "", row.busy_until)


_GIVEN: Final = """
    unnest(CAST(:incident_id AS text[]), CAST(:place AS uuid[]), CAST(:channel AS text[]),
           CAST(:address AS text[]))
"""
_BEGIN: Final = text(f"""
    INSERT INTO notifier.conversation (incident_id, place, channel, address, updated_at)
    SELECT incident_id, place, channel, address, :now
    FROM {_GIVEN} AS g (incident_id, place, channel, address)
    ORDER BY incident_id, place
    ON CONFLICT (incident_id, place) DO NOTHING
""")
# Whoever takes several takes them in this order.
_LOCK: Final = text("""
    SELECT c.incident_id, c.place::text, c.reference, c.shown_version, c.first::text AS first,
           c.busy::text AS busy, c.busy_until
    FROM unnest(CAST(:incident_id AS text[]), CAST(:place AS uuid[])) AS g (incident_id, place)
    JOIN notifier.conversation AS c USING (incident_id, place)
    ORDER BY c.incident_id, c.place FOR UPDATE OF c
""")
_HOLD: Final = text("""
    UPDATE notifier.conversation AS c SET busy = g.id, busy_until = :until, updated_at = :now
    FROM unnest(CAST(:incident_id AS text[]), CAST(:place AS uuid[]), CAST(:channel AS text[]),
                CAST(:address AS text[]), CAST(:id AS uuid[])) AS g (incident_id, place, channel, address, id)
    WHERE c.incident_id = g.incident_id AND c.place = g.place
""")
_COMING: Final = text("""
    SELECT g.id FROM unnest(CAST(:id AS text[]), CAST(:incident_id AS text[]), CAST(:channel AS text[]),
                            CAST(:address AS text[])) AS g (id, incident_id, channel, address)
    WHERE EXISTS (
        SELECT FROM notifier.delivery AS d
        WHERE d.incident_id = g.incident_id AND d.channel = g.channel AND d.address = g.address
          AND d.event <> :event AND d.state IN ('pending', 'sending')
    )
""")
# Of two that held it, because the lease of one had ended, the later one counts.
_RECORD: Final = text("""
    UPDATE notifier.conversation AS c SET
        reference = coalesce(g.reference, c.reference),
        shown_version = greatest(c.shown_version, g.shown),
        first = coalesce(CAST(g.first AS json), c.first),
        busy = NULL, busy_until = NULL, updated_at = :now
    FROM unnest(CAST(:incident_id AS text[]), CAST(:place AS uuid[]), CAST(:channel AS text[]),
                CAST(:address AS text[]), CAST(:id AS uuid[]), CAST(:reference AS text[]),
                CAST(:shown AS integer[]), CAST(:first AS text[]))
         AS g (incident_id, place, channel, address, id, reference, shown, first)
    WHERE c.incident_id = g.incident_id AND c.place = g.place AND c.busy = g.id
""")
_WAKE: Final = text(f"""
    UPDATE notifier.delivery AS d SET next_attempt_at = :now
    FROM {_GIVEN} AS g (incident_id, place, channel, address)
    WHERE d.incident_id = g.incident_id AND d.channel = g.channel AND d.address = g.address
      AND d.event = :event AND d.state = 'pending'
""")
_TO_CHANGE: Final = text("""
    WITH moved AS (
        SELECT * FROM unnest(CAST(:incident_id AS text[]), CAST(:version AS integer[])) AS m (id, version)
    ), shown AS (
        SELECT c.incident_id, c.channel, c.address, c.first
        FROM moved AS m JOIN notifier.conversation AS c ON c.incident_id = m.id
        WHERE c.reference <> '' AND c.shown_version < m.version
    ), coming AS (
        SELECT DISTINCT ON (d.incident_id, d.channel, d.address)
               d.incident_id, d.channel, d.address, d.recipient_kind, d.recipient, d.contact
        FROM moved AS m JOIN notifier.delivery AS d ON d.incident_id = m.id
        WHERE d.channel = ANY(CAST(:channels AS text[])) AND d.version < m.version AND d.event <> :event
          AND d.state IN ('pending', 'sending')
          AND NOT EXISTS (
              SELECT FROM notifier.conversation AS c
              WHERE c.incident_id = d.incident_id AND c.channel = d.channel AND c.address = d.address
                AND c.reference IS NOT NULL
          )
        ORDER BY d.incident_id, d.channel, d.address, d.created_at, d.id
    )
    SELECT incident_id, channel, address, first ->> 'recipient_kind' AS recipient_kind,
           first ->> 'recipient' AS recipient, first ->> 'contact' AS contact
    FROM shown
    UNION ALL SELECT * FROM coming
""")
_REPLACE: Final = text("""
    UPDATE notifier.delivery AS d SET state = 'cancelled', last_error = 'a newer state is to be shown'
    FROM unnest(CAST(:incident_id AS text[]), CAST(:version AS integer[])) AS m (id, version)
    WHERE d.incident_id = m.id AND d.version < m.version AND d.event = :event AND d.state = 'pending'
""")
