"""A router's engine on a real database, and what tests look at in it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import text

from services.router.batch.deciding import SignalResult
from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import EventReceived
from services.router.domain.model.stored import decode
from services.router.policy import store
from shared.database.pool import Database
from shared.events import (
    DELIVERIES,
    ESCALATIONS,
    INCIDENTS,
    IncidentChanged,
    IncidentEvent,
    Page,
)
from shared.policy import Bundle

NOON = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
TOPICS = (INCIDENTS, DELIVERIES)


def event(key: str = "checkout", action: Any = "trigger", **fields: Any) -> IncidentEvent:
    """An event as intake publishes it."""
    given = {"title": "Checkout is down", "event_id": str(uuid.uuid4()), "integration": "test"} | fields
    return IncidentEvent(dedup_key=key, action=action, received_at=NOON, **given)


def inbound(said: IncidentEvent) -> InboundSignal:
    return InboundSignal(
        EventReceived(said), (said.integration, said.dedup_key), said.event_id, origin=(INCIDENTS, 0, 7)
    )


@dataclass
class Desk:
    """One replica's engine."""

    database: Database
    engine: Engine
    wakes: list[None] = field(default_factory=list)

    async def put_in_force(self, bundle: Bundle) -> None:
        async with self.database.transaction() as connection:
            await store.switch(connection, bundle, source="api", by="test")
        await self.sql("DELETE FROM router.outbox")

    async def accept(self, *events: IncidentEvent) -> Sequence[SignalResult]:
        return await self.engine.accept([inbound(each) for each in events])

    async def sql(self, statement: str, **given: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            result = await connection.execute(text(statement), given)
            return list(result.all()) if result.returns_rows else []

    async def incidents(self) -> list[Incident]:
        """All of them, in the order in which they were opened."""
        return [
            decode(row.state)
            for row in await self.sql("SELECT state::text AS state FROM router.incident ORDER BY ordinal")
        ]

    async def only(self) -> Incident:
        found = await self.incidents()
        assert len(found) == 1, [each.title for each in found]
        return found[0]

    async def messages(self) -> list[IncidentChanged]:
        """What waits to be published about incidents, in order."""
        rows = await self.sql("SELECT value FROM router.outbox WHERE topic = :t ORDER BY id", t=ESCALATIONS)
        return [msgspec.json.decode(row.value, type=IncidentChanged) for row in rows]

    async def pages(self) -> list[Page]:
        return [page for message in await self.messages() for page in message.pages]

    async def count(self, table: str) -> int:
        return (await self.sql(f"SELECT count(*) AS n FROM router.{table}"))[0].n

    async def make_due(self) -> None:
        """As if every due time had come."""
        await self.sql(
            "UPDATE router.incident SET next_due_at = now() - interval '1 ms' WHERE status <> 'closed'"
        )
