"""Incidents as the API shows them: as they are now, their clocks on the calendars they started with."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.queries import Found
from services.router.domain.incident import Incident, snapshot
from services.router.policies import Policies
from shared.events import IncidentSnapshot
from shared.policy import ALWAYS


async def shown(
    policies: Policies, connection: AsyncConnection, found: Sequence[Found], now: datetime
) -> list[IncidentSnapshot]:
    """In the same order. Where a policy cannot be read any more, its calendars count as always open."""
    wanted = {each.incident.policy_hash for each in found if _needs_calendars(each.incident)}
    known = await policies.calendars(connection, wanted) if wanted else {}
    return [
        snapshot(each.incident, each.level, now, known.get(each.incident.policy_hash, {})) for each in found
    ]


def _needs_calendars(incident: Incident) -> bool:
    """Whether a clock still counts on hours of its own; one that has stopped for good knows what it took."""
    return any(clock.calendar != ALWAYS and clock.took is None for clock in incident.clocks)
