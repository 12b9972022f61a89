"""Gather: load and lock everything that a batch needs, each thing once, before it is decided.

Every transaction of the router that waits for others takes its locks in this order, so that no two of them
ever wait for each other. A path leaves out what it does not need; tests/services/router/test_lock_order.py
reads the list and watches every path.

     1  advisory                            who puts a policy in force; who changes customers
     2  idempotency                         the key of a request, before any of it is carried out
     3  policy_source, policy, policy_in_force
     4  customer, customer_name             by id
     5  office                              whoever changes customers or one of the next three
     6  override, silence, maintenance, unsubscribed
     7  calendar_end
     8  heartbeat_watch                     one replica looks, the others pass by (SKIP LOCKED)
     9  heartbeat                           by name
    10  spread                              one step of one telling; others pass by
    11  canary, sends
    12  dead_letter                         by id
    13  inbox                               by id: what was applied before is left out from here on
    14  post, expression_failure            by what they count
    15  incident_group                      by rule and values, where the policy in force groups
    16  incident                            by id, in one statement; timers pass by what others hold
    17  rotation                            by policy and level, after the decisions that moved them
    18  last_resort                         one row
    19  new rows                            incidents by key, and what goes with incidents locked or made

Last come rows that nobody else knows of yet, or that belong to a locked incident. Two transactions
that open the same key at once (two replicas around a change of partitions) meet in the unique index
`incident_open_key`: the second one waits, fails with 23505, is tried again and then sees the first one's
incident (`incident_store.is_race`). Rotations that turn out to be needed only when some are held already are
locked in order as well, or not waited for (`rotation_store.lock`).

What is only read may be a moment old: those concerned hear through the log. It is read once, before any group
is looked up, so that decisions see the same values by which the group was chosen.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import heard_since, incident_store, relation_store, rotation_store
from services.router.batch.first_look import InTurnError, Seen
from services.router.batch.inbound import InboundSignal, own_event
from services.router.batch.unit_of_work import UnitOfWork
from services.router.domain.draft.customers import in_bundle
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import KnownCustomer
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionTaken, EventReceived, TimerFired
from services.router.domain.relations.expected_group import group_of
from services.router.policy.compiled_cache import Bundles, InForce, UnusablePolicyError
from services.router.tables import SCHEMA
from shared import telemetry
from shared.events import IncidentEvent
from shared.outbox import processed_messages

log = telemetry.logger(__name__)


@dataclass(slots=True)
class Claim:
    """Incidents to claim because they are due: up to `most`, only those `among` these ids if it names any.

    `claimed`: the ids, known as soon as they are locked, even if the batch fails afterwards.
    """

    most: int
    among: Sequence[str] | None = None
    claimed: Sequence[str] = field(default_factory=list)


async def for_signals(
    connection: AsyncConnection,
    signals: Sequence[InboundSignal],
    *,
    bundles: Bundles,
    in_force: InForce,
    now: datetime,
    seen: Seen | None = None,
) -> UnitOfWork:
    """What these signals need, loaded and locked; repeats are left out by id.

    `seen`: what the transaction's first statement has locked already. Raises UnusablePolicyError when this
    release cannot use the policy in force.
    """
    reading = await _Reading.begin(connection, bundles, in_force, now)
    unit = reading.unit
    unit.received = signals
    bundles.groups = bool(unit.live.grouping.rules)
    if seen is not None:
        if bundles.groups:
            raise InTurnError("policy")
        if len(seen.fresh) < len({each.id for each in signals if each.id}):
            raise InTurnError("repeat")
        unit.signals = _first_time(signals, set(seen.fresh))
        await incident_store.load(connection, unit, seen.states, seen.resolves)
        if unit.signals:
            await reading.rest()
        return unit
    fresh = await processed_messages.new_ids(
        connection, SCHEMA, [each.id for each in signals if each.id], now
    )
    unit.signals = _first_time(signals, fresh)
    if unit.signals:
        await _lock_groups(reading)
        await incident_store.lock(connection, unit)
        await reading.rest()
    return unit


async def for_timers(
    connection: AsyncConnection, claim: Claim, *, bundles: Bundles, in_force: InForce, now: datetime
) -> UnitOfWork:
    """What due incidents need; claims them, highest priority first."""
    reading = await _Reading.begin(connection, bundles, in_force, now)
    unit = reading.unit
    await incident_store.claim(connection, unit, claim.most, claim.among)
    claim.claimed = list(unit.incidents)
    unit.received = unit.signals = [InboundSignal(TimerFired(), each) for each in unit.incidents]
    if unit.signals:
        await reading.rest()
    return unit


async def to_look_at(
    connection: AsyncConnection,
    *,
    incident: Incident | None = None,
    events: Sequence[IncidentEvent] = (),
    bundles: Bundles,
    in_force: InForce,
    now: datetime,
) -> UnitOfWork:
    """The same for reading only: nothing is locked or moved.

    The decisions of a forecast about the incident, or of a dry run about these events, see what real ones
    see, except existing groups. Raises UnusablePolicyError.
    """
    reading = await _Reading.begin(connection, bundles, in_force, now)
    unit = reading.unit
    unit.signals = [own_event(event) for event in events]
    if incident is not None:
        unit.load(incident)
        unit.signals = [InboundSignal(TimerFired(), incident.id)]
    await reading.rest(ahead=True)
    return unit


async def named_customers(
    connection: AsyncConnection,
    said: Iterable[str],
    *,
    bundles: Bundles,
    in_force: InForce,
    live: CompiledBundle,
) -> dict[str, KnownCustomer]:
    """The directory's customers by the texts that events carry; the bundle's need no look-up."""
    if not in_force.customers:
        return {}
    unknown = [each for each in said if each and in_bundle(live, each) is None]
    return await bundles.customers.find(connection, in_force.customers, unknown)


@dataclass(slots=True)
class _Reading:
    """What is read without locks, each thing once; a policy that does not need it costs no statement."""

    connection: AsyncConnection
    bundles: Bundles
    in_force: InForce
    unit: UnitOfWork
    _causes_read: bool = False
    _customers_asked: set[str] = field(default_factory=set)

    @classmethod
    async def begin(
        cls, connection: AsyncConnection, bundles: Bundles, in_force: InForce, now: datetime
    ) -> "_Reading":
        """Start with the policy in force and its overlay, both cached from batch to batch."""
        live = (await bundles.get(connection, [in_force.hash]))[in_force.hash]
        if isinstance(live, Exception):
            raise UnusablePolicyError(f"policy {in_force.hash}: {live}") from live
        overlay = await bundles.overlays.get(connection, in_force.overlay, live)
        unit = UnitOfWork(now=now, live=live, overlay=overlay, bundles={live.hash: live})
        return cls(connection, bundles, in_force, unit)

    async def rest(self, *, ahead: bool = False) -> None:
        """Read everything else. `ahead`: assume that senders will be heard all along."""
        unit, live, connection = self.unit, self.unit.live, self.connection
        hashes = {incident.policy_hash for incident in unit.incidents.values()} - unit.bundles.keys()
        if hashes:
            unit.bundles |= await self.bundles.get(connection, hashes)
        await self.customers(_said_of_customers(unit))
        await self.causes()
        if live.upstream and any(isinstance(each.signal, _MAY_NAME_UPSTREAM) for each in unit.signals):
            unit.relations.open_by_service = await relation_store.open_by_service(connection, live)
        unit.relations.merge_targets = await relation_store.merge_targets(
            connection, list(_merged_into(unit.signals))
        )
        if live.listens:
            unit.heard = await heard_since.heard(connection, unit.now, ahead=ahead)
        unit.rotations = dict(await rotation_store.read(connection, unit.usable_bundles()))

    async def customers(self, said: Iterable[str]) -> None:
        new = set(said) - self._customers_asked
        self._customers_asked |= new
        self.unit.customers |= await named_customers(
            self.connection, sorted(new), bundles=self.bundles, in_force=self.in_force, live=self.unit.live
        )

    async def causes(self) -> None:
        if not self._causes_read:
            self._causes_read = True
            self.unit.relations.causes = await relation_store.causes(
                self.connection, self.unit.live, self.unit.now
            )


_MAY_NAME_UPSTREAM: Final = (EventReceived, TimerFired)


def _first_time(signals: Sequence[InboundSignal], fresh: set[str]) -> list[InboundSignal]:
    first: list[InboundSignal] = []
    for each in signals:
        if not each.id or each.id in fresh:
            fresh.discard(each.id)  # the same id twice in one batch is a repeat, too
            first.append(each)
    metrics.REPEATS.inc(len(signals) - len(first))
    return first


async def _lock_groups(reading: _Reading) -> None:
    """Lock the groups that new incidents of this batch would join or open."""
    unit = reading.unit
    if not unit.live.grouping.rules:
        return
    events = [each.signal.event for each in unit.signals if isinstance(each.signal, EventReceived)]
    if events := [event for event in events if event.action == "trigger"]:
        await reading.customers(event.customer or "" for event in events)
        await reading.causes()
        keys = _groups_of(events, unit)
        unit.relations.groups = await relation_store.lock_groups(reading.connection, keys, unit.now)


def _groups_of(events: Sequence[IncidentEvent], unit: UnitOfWork) -> Iterator[tuple[str, str]]:
    context = unit.context()
    for event in events:
        try:
            key = group_of(event, context, unit.now)
        except Exception as err:  # noqa: BLE001 - rule 18: the decision itself fails the same way, and is set aside
            log.debug(
                "could not look for a group", action="group_failed", event_id=event.event_id, error=repr(err)
            )
            continue
        if key is not None:
            yield key


def _said_of_customers(unit: UnitOfWork) -> Iterator[str]:
    """Every text by which these incidents and signals name a customer."""
    yield from filter(None, (incident.customer for incident in unit.incidents.values()))
    parked = [each.signal for signals in unit.parked.values() for each in signals]
    for signal in [*(each.signal for each in unit.signals), *parked]:
        match signal:
            case EventReceived(event) if event.customer:
                yield event.customer
            case ActionTaken(arguments=arguments):
                said = arguments.changes.get("customer")
                if said and isinstance(said, str):
                    yield said


def _merged_into(signals: Sequence[InboundSignal]) -> Iterator[str]:
    """The ids of incidents that others are to be merged into."""
    for each in signals:
        if isinstance(each.signal, ActionTaken) and each.signal.arguments.into:
            try:
                yield str(uuid.UUID(each.signal.arguments.into))
            except ValueError:
                continue
