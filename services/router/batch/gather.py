"""What surrounds a batch, gathered for its decisions: groups, causes, customers, what an action names."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch import heard_since, relation_store, rotation_store
from services.router.batch.inbound import InboundSignal
from services.router.batch.unit_of_work import UnitOfWork
from services.router.domain.draft.customers import in_bundle
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context, Group, KnownCustomer
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionTaken, EventReceived, TimerFired
from services.router.domain.relations.expected_group import group_of
from services.router.policy.compiled_cache import InForce, Policies
from shared import telemetry
from shared.events import IncidentEvent

log = telemetry.logger(__name__)


async def relate(
    connection: AsyncConnection,
    unit: UnitOfWork,
    signals: Sequence[InboundSignal],
    live: CompiledBundle,
    now: datetime,
) -> None:
    """What the decisions of this batch may have to know of other incidents."""
    related = unit.relations
    related.causes = await relation_store.causes(connection, live, now)
    if live.upstream and any(isinstance(each.signal, EventReceived | TimerFired) for each in signals):
        related.troubled = await relation_store.troubled(connection, live)
    named = [
        said
        for each in signals
        if isinstance(each.signal, ActionTaken) and (said := _as_id(each.signal.arguments.into))
    ]
    related.others = await relation_store.others(connection, named)


def _as_id(written: str) -> str:
    try:
        return str(uuid.UUID(written)) if written else ""
    except ValueError:
        return ""


async def context(
    connection: AsyncConnection, incident: Incident, policies: Policies, in_force: InForce, now: datetime
) -> Context:
    """What surrounds one incident, to look at only: a forecast's decisions see what the real ones see.

    Nothing is locked, and nothing is moved: where a round robin stands is read, not taken. Raises why the
    policy in force cannot be used; one that the incident started with and that cannot be is left out.
    """
    live = await policies.one(connection, in_force.hash)
    own = (await policies.get(connection, [incident.policy_hash]))[incident.policy_hash]
    usable = [live] if isinstance(own, Exception) else [live, own]
    return Context(
        live=live,
        overlay=await policies.overlays.get(connection, in_force.overlay, live),
        customers=await customers(connection, policies, in_force, live, [incident.customer]),
        causes=await relation_store.causes(connection, live, now),
        troubled=await relation_store.troubled(connection, live) if live.upstream else {},
        rotations=await rotation_store.read(connection, usable),
        heard=await heard_since.heard(connection, now, ahead=True) if live.listens else None,
    )


async def around_events(
    connection: AsyncConnection,
    events: Sequence[IncidentEvent],
    policies: Policies,
    in_force: InForce,
    now: datetime,
) -> Context:
    """What would surround new incidents of these events, to look at only. Groups that stand are left out."""
    live = await policies.one(connection, in_force.hash)
    said = [event.customer or "" for event in events]
    return Context(
        live=live,
        overlay=await policies.overlays.get(connection, in_force.overlay, live),
        customers=await customers(connection, policies, in_force, live, said),
        causes=await relation_store.causes(connection, live, now),
        troubled=await relation_store.troubled(connection, live) if live.upstream else {},
        rotations=await rotation_store.read(connection, [live]),
        heard=await heard_since.heard(connection, now, ahead=True) if live.listens else None,
    )


async def lock_groups(
    connection: AsyncConnection,
    signals: Sequence[InboundSignal],
    policies: Policies,
    in_force: InForce,
    now: datetime,
) -> dict[tuple[str, str], Group | None]:
    """Lock the groups that new incidents of this batch would join or open."""
    live = (await policies.get(connection, [in_force.hash]))[in_force.hash]
    if isinstance(live, Exception) or not live.grouping.rules:
        return {}
    events = [each.signal.event for each in signals if isinstance(each.signal, EventReceived)]
    events = [event for event in events if event.action == "trigger"]
    if not events:
        return {}
    context = Context(
        live=live,
        overlay=await policies.overlays.get(connection, in_force.overlay, live),
        customers=await customers(connection, policies, in_force, live, [e.customer or "" for e in events]),
        causes=await relation_store.causes(connection, live, now),
    )
    return await relation_store.lock_groups(connection, _groups_of(events, context, now), now)


def _groups_of(events: Sequence[IncidentEvent], context: Context, now: datetime) -> Iterator[tuple[str, str]]:
    for event in events:
        try:
            key = group_of(event, context, now)
        except Exception as err:  # noqa: BLE001 - rule 18: the decision itself fails the same way, and is set aside
            log.debug("no group found", action="group_failed", event_id=event.event_id, error=repr(err))
            continue
        if key is not None:
            yield key


async def customers(
    connection: AsyncConnection,
    policies: Policies,
    in_force: InForce,
    live: CompiledBundle,
    said: Iterable[str],
) -> dict[str, KnownCustomer]:
    """Those of the directory by what events call them; of those in the bundle nothing has to be looked up."""
    if not in_force.customers:
        return {}
    unknown = [each for each in said if each and in_bundle(live, each) is None]
    return await policies.customers.find(connection, in_force.customers, unknown)


def said_customers(unit: UnitOfWork, signals: Sequence[InboundSignal]) -> Iterator[str]:
    """Every text by which these incidents and signals call a customer."""
    yield from filter(None, (incident.customer for incident in unit.incidents.values()))
    waiting = [each.signal for listed in unit.waiting.values() for each in listed]
    for signal in [*(inbound.signal for inbound in signals), *waiting]:
        match signal:
            case EventReceived(event) if event.customer:
                yield event.customer
            case ActionTaken(arguments=arguments):
                said = arguments.changes.get("customer")
                if said and isinstance(said, str):
                    yield said
