"""Incidents as the API shows them now, their clocks on the calendars they started with."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api import queries
from services.router.api.queries import Found
from services.router.api.shapes.answers import as_json
from services.router.batch import gather
from services.router.batch.engine import Engine
from services.router.domain.draft import customers
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident
from services.router.domain.model.snapshot import snapshot
from services.router.policy.compiled_cache import Bundles, moment
from shared.events import CustomerContact, IncidentSnapshot
from shared.policy import ALWAYS
from shared.policy.calendars.open_hours import Calendars

_NARROWER: Final = "ask for fewer incidents at a time (`limit`)"


async def one(bundles: Bundles, connection: AsyncConnection, found: Found, now: datetime) -> IncidentSnapshot:
    """One incident; if its policy can no longer be read, its calendars count as always open."""
    wanted = _wanted([found])
    known = await bundles.calendars(connection, wanted) if wanted else {}
    people = await _people(bundles, connection, found.incident) if found.incident.customer else ()
    return _shown(found, known, now, people)


async def _people(
    bundles: Bundles, connection: AsyncConnection, incident: Incident
) -> tuple[CustomerContact, ...]:
    """How to reach its customer's people, by the policy in force and the directory as they are now."""
    _, in_force = await moment(connection)
    if in_force is None:
        return ()
    live = await bundles.one(connection, in_force.hash)
    known = await gather.named_customers(
        connection, [incident.customer], bundles=bundles, in_force=in_force, live=live
    )
    return customers.people(Context(live, customers=known), incident.customer)


async def page(engine: Engine, rows: Sequence[Row[Any]], now: datetime) -> Sequence[msgspec.Raw]:
    """Each incident as JSON, in order, without the customers' people; yields to more urgent work."""
    reading = engine.database.reading
    found = await reading.made(rows, queries.found)
    known: Mapping[str, Calendars] = {}
    if wanted := _wanted(found):
        async with reading.transaction(_NARROWER) as connection:
            known = await engine.bundles.calendars(connection, wanted)
    return await reading.made(found, lambda each: as_json(_shown(each, known, now)))


def _shown(
    found: Found,
    known: Mapping[str, Calendars],
    now: datetime,
    people: tuple[CustomerContact, ...] = (),
) -> IncidentSnapshot:
    return snapshot(found.incident, found.level, now, known.get(found.incident.policy_hash, {}), people)


def _wanted(found: Iterable[Found]) -> set[str]:
    return {each.incident.policy_hash for each in found if _needs_calendars(each.incident)}


def _needs_calendars(incident: Incident) -> bool:
    """Whether a clock still counts on business hours; one that has stopped for good knows what it took."""
    return any(clock.calendar != ALWAYS and clock.took is None for clock in incident.clocks)
