"""Decide: the signals of a batch in order, each seeing what earlier ones decided.

A decision that raises affects only its own signal (docs/rules.md, rule 18, and `undecided`), never the rest
of the batch.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from time import perf_counter
from typing import Final, Protocol

from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import expression_failures, last_resort, rotation_store
from services.router.batch.inbound import InboundSignal
from services.router.batch.incident_rows import Levels
from services.router.batch.undecided import Undecided
from services.router.batch.unit_of_work import UnitOfWork
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionTaken, EventReceived, Signal, TimerFired
from shared.events import OWN_INTEGRATION

_YIELD_EVERY: Final = 32  # signals, after which other tasks of the event loop get a turn
_ATTEMPTS: Final = 2  # at deciding, before every rotation is locked
_NOT_AT_ONCE: Final = timedelta(seconds=1)
_PAGE_INTERVAL: Final = timedelta(minutes=1)


class Decide(Protocol):
    """The core: services.router.domain.decide.decide."""

    def __call__(
        self,
        incident: Incident | None,
        signal: Signal,
        context: Context,
        bundle: CompiledBundle,
        now: datetime,
    ) -> Decision: ...


@dataclass(frozen=True, slots=True)
class SignalResult:
    """The result of one signal: a decision; or nothing, because it was a repeat or deciding failed."""

    inbound: InboundSignal
    decision: Decision | None = None
    repeated: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A unit of work that is ready to be written."""

    unit: UnitOfWork
    results: Sequence[SignalResult]
    levels: Levels


async def decide_all(connection: AsyncConnection, unit: UnitOfWork, decide: Decide) -> Decided:
    """Decide every signal; afterwards every rotation that was moved is locked."""
    decider, results = await _in_turn(connection, Decider(unit, decide))
    decider.undecided.log_failures()
    await _page_last_resort(connection, decider)
    return Decided(decider.unit, _as_received(unit, results), decider.levels)


async def mark_all_stuck(
    connection: AsyncConnection, unit: UnitOfWork, error: str, decide: Decide
) -> Decided:
    """Decide nothing: mark each incident of the unit as stuck by this error, to be tried again (rule 18)."""
    decider = Decider(unit, decide)
    results = [SignalResult(inbound, error=error) for inbound in unit.signals]
    unit.signals = ()  # not decided, and not counted as such
    for incident in list(unit.incidents.values()):
        metrics.SET_ASIDE.inc()
        decider.undecided.stick(incident, error)
    await _page_last_resort(connection, decider)
    return Decided(unit, results, decider.levels)


class Decider:
    """The decisions of one batch."""

    def __init__(self, unit: UnitOfWork, decide: Decide) -> None:
        self.unit: Final = unit
        self.undecided: Final = Undecided(unit, self._decision)
        self.levels: Final = Levels(unit.context(), unit.bundle_of)
        self._decide: Final = decide
        self._gathered: Final = unit.as_gathered() if self.rotating() else unit

    def one(self, inbound: InboundSignal) -> SignalResult:
        """Decide one signal. Exceptions do not get past here."""
        unit, signal = self.unit, inbound.signal
        incident = unit.find(inbound.address)
        if inbound.dead_letter is not None:
            unit.dead_letters.append(inbound.dead_letter)
        if incident is None and not isinstance(signal, EventReceived):
            return SignalResult(inbound)  # a report about an unknown incident; the API checks first
        if incident is not None and last_resort.is_placeholder(incident) and incident.is_open:
            result = self._behind_placeholder(incident, inbound)
            if result is not None:
                return result
            incident = unit.find(inbound.address)
        elif incident is not None and self.undecided.is_due(incident, signal):
            return _result(inbound, self.undecided.try_again(incident, inbound))
        try:
            decision = self._decision(incident, signal)
        except Exception as err:  # noqa: BLE001 - rule 18: whatever goes wrong in a decision stays in it
            return SignalResult(inbound, error=self.undecided.failed(incident, inbound, err))
        unit.record(decision, signal)
        return SignalResult(inbound, decision)

    def rotating(self) -> Sequence[rotation_store.RotationKey]:
        """Every round robin that this batch may move."""
        return rotation_store.rotating(self.unit.usable_bundles())

    def unrecorded(self) -> Iterable[rotation_store.RotationKey]:
        """Those of them that had no row when the batch was gathered."""
        return (place for place in self.rotating() if place not in self._gathered.rotations)

    def saw(self, place: rotation_store.RotationKey) -> str:
        """Where this round robin stood when the batch was gathered."""
        return self._gathered.rotations.get(place, "")

    def anew(self, standing: rotation_store.Positions) -> "Decider":
        """A new decider for the same batch, with rotations as they really stand."""
        gathered = self._gathered.as_gathered()
        gathered.rotations |= standing
        return Decider(gathered, self._decide)

    def _behind_placeholder(self, incident: Incident, inbound: InboundSignal) -> SignalResult | None:
        """Nothing overtakes an event that could not be decided. None: it now is, and this event is next."""
        signal = inbound.signal
        if isinstance(signal, ActionTaken):
            return _result(inbound, self.undecided.act_on_placeholder(incident, signal))
        error = self.undecided.replace_placeholder(incident, inbound)
        if error or not isinstance(signal, EventReceived):
            return SignalResult(inbound, error=error)
        return None

    def _decision(self, incident: Incident | None, signal: Signal) -> Decision:
        unit = self.unit
        context = unit.context(incident, signal)
        decision = self._decide(incident, signal, context, self._bundle(incident), unit.now)
        if isinstance(signal, EventReceived) and signal.event.unmapped:
            mapped = expression_failures.of_mapping(signal.event, unit.live.hash)
            decision = replace(decision, failures={**decision.failures, **mapped})
        if isinstance(signal, TimerFired):
            decision = self._moved_on(incident, decision)
        own = isinstance(signal, EventReceived) and signal.event.integration == OWN_INTEGRATION
        return last_resort.page_as_well(decision, unit.live.spec) if own else decision

    def _moved_on(self, incident: Incident | None, decision: Decision) -> Decision:
        """A timer that fired must not be due again at once, whatever was decided: it would spin."""
        after = decision.incident if decision.changed else incident
        if after is None or after.next_due_at is None or after.next_due_at > self.unit.now:
            return decision
        later = replace(after, next_due_at=self.unit.now + _NOT_AT_ONCE)
        return replace(decision, incident=later, changed=True)

    def _bundle(self, incident: Incident | None) -> CompiledBundle:
        """The bundle it started with. Raises why that cannot be used."""
        if incident is None:
            return self.unit.live
        bundle = self.unit.bundles.get(incident.policy_hash, self.unit.live)
        if isinstance(bundle, Exception):
            raise bundle
        return bundle


async def _in_turn(connection: AsyncConnection, decider: Decider) -> tuple[Decider, list[SignalResult]]:
    """Decide, and lock every rotation that was moved; decide again if somebody else had moved it meanwhile.

    Those that have no row yet are locked with the first: deciding again may need them.

    Other positions may lead to other levels; after a few attempts all of them are locked, and then nothing
    can change any more.
    """
    locked: dict[rotation_store.RotationKey, str] = {}
    for attempt in count(1):
        results = await _each(decider)
        wanted = decider.unit.moved.keys() - locked.keys()
        if not wanted:
            break
        if attempt > _ATTEMPTS:
            wanted = set(decider.rotating()) - locked.keys()
        elif not locked:
            wanted |= set(decider.unrecorded())
        standing = await rotation_store.lock(connection, wanted, decider.unit.now, locked=locked)
        locked |= standing
        if all(decider.saw(place) == name for place, name in standing.items()):
            break
        metrics.DECIDED_AGAIN.inc()
        decider = decider.anew(locked)
    return decider, results


async def _each(decider: Decider) -> list[SignalResult]:
    signals = decider.unit.signals
    started = perf_counter()
    results = []
    for number, inbound in enumerate(signals, 1):
        results.append(decider.one(inbound))
        if number % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    if signals:
        metrics.DECIDE_SECONDS.observe((perf_counter() - started) / len(signals))
    return results


def _as_received(unit: UnitOfWork, results: Sequence[SignalResult]) -> list[SignalResult]:
    """A result for each signal in the order received, including repeats."""
    made = {id(each.inbound): each for each in results}
    return [made.get(id(each)) or SignalResult(each, repeated=True) for each in unit.received]


def _result(inbound: InboundSignal, made: Decision | str) -> SignalResult:
    return SignalResult(inbound, error=made) if isinstance(made, str) else SignalResult(inbound, made)


async def _page_last_resort(connection: AsyncConnection, decider: Decider) -> None:
    """Page last_resort about what is stuck, at most once a minute across all of Ladder."""
    unit = decider.unit
    named = (unit.incidents[incident_id] for incident_id in dict.fromkeys(decider.undecided.to_notify))
    stuck = [incident for incident in named if incident.stuck is not None]
    if not stuck:
        return
    given = {"now": unit.now, "before": unit.now - _PAGE_INTERVAL, "count": len(stuck)}
    row = (await connection.execute(_MAY_PAGE, given)).one()
    if not row.may:
        return
    others = row.held_back + len(stuck) - 1
    level = decider.levels.level(stuck[0])
    paged, message = last_resort.page(stuck[0], unit.live.spec, level, others, unit.now)
    unit.write(paged)
    unit.messages.append(message)


# One row.
_MAY_PAGE: Final = text("""
    UPDATE router.last_resort AS l
    SET paged_at = CASE WHEN old.may THEN :now ELSE l.paged_at END,
        held_back = CASE WHEN old.may THEN 0 ELSE l.held_back + :count END
    FROM (
        SELECT held_back, paged_at <= CAST(:before AS timestamptz) AS may FROM router.last_resort FOR UPDATE
    ) AS old
    RETURNING old.may, old.held_back
""")
