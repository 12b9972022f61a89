"""Parked signals in the database: those on which deciding failed, in order, for the next try."""

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch.unit_of_work import ParkedSignal, UnitOfWork
from services.router.domain.model.signals import DeliveryReported, EventReceived, RelatedMessage, Signal
from shared.eventlog import codec
from shared.events import DeliveryReport, IncidentEvent, RelatedChanged


async def load(connection: AsyncConnection, unit: UnitOfWork) -> None:
    """Load what was parked for the stuck incidents of the batch."""
    stuck = [incident.id for incident in unit.incidents.values() if incident.stuck is not None]
    if not stuck:
        return
    for row in await connection.execute(_PARKED, {"ids": stuck}):
        incident_id = str(row.incident_id)
        found = ParkedSignal(incident_id, _signal(row.kind, row.signal), row.at, row.error, row.seq)
        unit.parked.setdefault(incident_id, []).append(found)


async def write(connection: AsyncConnection, unit: UnitOfWork) -> None:
    """Unpark what has been decided, park what could not be."""
    if unit.resumed:
        await connection.execute(_RESUMED, {"seqs": unit.resumed})
    if unit.newly_parked:
        columns = {
            "ids": [each.incident_id for each in unit.newly_parked],
            "ats": [each.at for each in unit.newly_parked],
            "kinds": [_KINDS[type(each.signal)] for each in unit.newly_parked],
            "signals": [_stored(each.signal) for each in unit.newly_parked],
            "errors": [each.error for each in unit.newly_parked],
        }
        await connection.execute(_PARK, columns)


_KINDS: Final[Mapping[type, str]] = {
    EventReceived: "event",
    DeliveryReported: "report",
    RelatedMessage: "related",
}


def _signal(kind: str, raw: str) -> Signal:
    if kind == "event":
        return EventReceived(msgspec.json.decode(raw, type=IncidentEvent))
    if kind == "related":
        return RelatedMessage(msgspec.json.decode(raw, type=RelatedChanged))
    return DeliveryReported(msgspec.json.decode(raw, type=DeliveryReport))


def _stored(signal: Signal) -> str:
    if isinstance(signal, EventReceived):
        return codec.json_text(signal.event)
    if isinstance(signal, RelatedMessage):
        return codec.json_text(signal.message)
    assert isinstance(signal, DeliveryReported)
    return codec.json_text(signal.report)


# Index set_aside_incident.
_PARKED: Final = text("""
    SELECT seq, incident_id, at, kind, CAST(signal AS text) AS signal, error FROM router.set_aside
    WHERE incident_id = ANY(CAST(:ids AS uuid[])) ORDER BY seq
""")
# Index set_aside_pkey.
_RESUMED: Final = text("DELETE FROM router.set_aside WHERE seq = ANY(CAST(:seqs AS bigint[]))")
# New rows only.
_PARK: Final = text("""
    INSERT INTO router.set_aside (incident_id, at, kind, signal, error)
    SELECT incident_id, at, kind, CAST(signal AS json), error
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[]), CAST(:kinds AS text[]),
                CAST(:signals AS text[]), CAST(:errors AS text[]))
         WITH ORDINALITY AS given (incident_id, at, kind, signal, error, place)
    ORDER BY place
""")
