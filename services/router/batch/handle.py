"""Gather, decide, apply: one batch of signals in the caller's transaction.

A decision that raises is set aside (POLICY.md, rule 18): its incident is marked stuck and tried again, the
signal is kept, `last_resort` is paged, and its neighbours in the batch never notice.
"""

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from time import perf_counter
from typing import Any, Final, Protocol

from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import (
    expression_failures,
    gather,
    heard_since,
    incident_store,
    last_resort,
    rotation_store,
)
from services.router.batch.expression_failures import Count
from services.router.batch.inbound import InboundSignal
from services.router.batch.unit_of_work import ParkedSignal, UnitOfWork
from services.router.domain.decide import decide
from services.router.domain.lifecycle import late_trigger
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    RelatedMessage,
    Signal,
    TimerFired,
)
from services.router.policy.compiled_cache import Compiled, InForce, Policies, UnusablePolicyError
from services.router.tables import SCHEMA
from shared import telemetry
from shared.events import OWN_INTEGRATION, IncidentChanged
from shared.outbox import processed_messages
from shared.outbox.memory import Written
from shared.policy.cel.expressions import Place

log = telemetry.logger(__name__)

_BREATH: Final = 32  # signals after which the loop's other tasks get their turn
_ATTEMPTS: Final = 2  # at deciding, before every rotation is held
_AT_LEAST: Final = timedelta(seconds=1)
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
    """What became of one signal: a decision; or nothing, because it was a repeat or deciding failed."""

    inbound: InboundSignal
    decision: Decision | None = None
    repeated: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of a whole batch.

    `earliest` is the first due time among what was written, `spreads` whether many are to be told something,
    `written` what the relay may take over after the commit.
    """

    results: Sequence[SignalResult]
    earliest: datetime | None
    spreads: bool = False
    failures: Mapping[Place, Count] = field(default_factory=dict)  # expressions that could not be evaluated
    written: Written | None = None


async def handle(
    connection: AsyncConnection,
    signals: Sequence[InboundSignal],
    *,
    policies: Policies,
    in_force: InForce,
    now: datetime,
    decide: Decide = decide,
) -> BatchResult:
    """Take signals from outside; the caller owns the transaction. Repeats are dropped by their id."""
    ids = [inbound.id for inbound in signals if inbound.id]
    fresh = await processed_messages.new_ids(connection, SCHEMA, ids, now)
    wanted: list[InboundSignal] = []
    repeats: list[InboundSignal] = []
    for inbound in signals:
        if inbound.id and inbound.id not in fresh:
            repeats.append(inbound)
            continue
        fresh.discard(inbound.id)  # the same id twice in one batch is a repeat, too
        wanted.append(inbound)
    metrics.REPEATS.inc(len(repeats))
    groups = await gather.lock_groups(connection, wanted, policies, in_force, now)
    unit = await incident_store.gather(connection, wanted, now) if wanted else UnitOfWork()
    unit.relations.groups = groups
    deciding = await _deciding(connection, unit, wanted, policies, in_force, now=now, decide=decide)
    batch = await _decide_all(connection, deciding, wanted)
    by_arrival = {id(each.inbound): each for each in batch.results}
    return BatchResult(
        [by_arrival.get(id(inbound)) or SignalResult(inbound, repeated=True) for inbound in signals],
        batch.earliest,
        batch.spreads,
        batch.failures,
        batch.written,
    )


async def handle_due(
    connection: AsyncConnection,
    unit: UnitOfWork,
    *,
    policies: Policies,
    in_force: InForce,
    now: datetime,
    decide: Decide = decide,
) -> BatchResult:
    """Let incidents whose time has come (`store.due`) take their step; the caller owns the transaction."""
    for incident in unit.incidents.values():
        if incident.next_due_at is not None:
            metrics.TIMER_LATENESS.observe(max(0.0, (now - incident.next_due_at).total_seconds()))
    signals = [InboundSignal(TimerFired(), incident_id) for incident_id in unit.incidents]
    deciding = await _deciding(connection, unit, signals, policies, in_force, now=now, decide=decide)
    return await _decide_all(connection, deciding, signals)


async def mark_stuck(
    connection: AsyncConnection,
    unit: UnitOfWork,
    error: str,
    *,
    policies: Policies,
    in_force: InForce,
    now: datetime,
) -> BatchResult:
    """Nothing is decided about these: each is marked stuck by this error, and tried again (rule 18)."""
    if not unit.incidents:
        return BatchResult((), None)  # another router has taken it up
    deciding = await _deciding(connection, unit, (), policies, in_force, now=now, decide=decide)
    signals = [InboundSignal(TimerFired(), incident_id) for incident_id in unit.incidents]
    for incident in list(unit.incidents.values()):
        metrics.SET_ASIDE.inc()
        deciding.stick(incident, error)
    await _tell_last_resort(connection, deciding)
    written = await incident_store.apply(connection, unit, deciding.levels, now)
    dues = [incident.next_due_at for incident in unit.to_write() if incident.next_due_at is not None]
    results = [SignalResult(inbound, error=error) for inbound in signals]
    return BatchResult(results, min(dues, default=None), written=written)


async def _deciding(
    connection: AsyncConnection,
    unit: UnitOfWork,
    signals: Sequence[InboundSignal],
    policies: Policies,
    in_force: InForce,
    *,
    now: datetime,
    decide: Decide,
) -> "_Deciding":
    hashes = {incident.policy_hash for incident in unit.incidents.values()} | {in_force.hash}
    compiled = await policies.get(connection, hashes)
    live = compiled[in_force.hash]
    if isinstance(live, Exception):
        raise UnusablePolicyError(f"policy {in_force.hash}: {live}") from live
    unit.overlay = await policies.overlays.get(connection, in_force.overlay, live)
    said = gather.said_customers(unit, signals)
    unit.customers = await gather.customers(connection, policies, in_force, live, said)
    await gather.relate(connection, unit, signals, live, now)
    unit.heard = await heard_since.heard(connection, now) if live.listens else None
    usable = [policy for policy in compiled.values() if not isinstance(policy, Exception)]
    unit.rotations = dict(await rotation_store.read(connection, usable))
    return _Deciding(unit, compiled, live, now, decide)


async def _decide_all(
    connection: AsyncConnection, deciding: "_Deciding", signals: Sequence[InboundSignal]
) -> BatchResult:
    if not signals:
        return BatchResult((), None)
    deciding, handled = await _in_turn(connection, deciding, signals)
    deciding.tell_failures()
    unit = deciding.unit
    await _tell_last_resort(connection, deciding)
    written = await incident_store.apply(connection, unit, deciding.levels, deciding.now)
    _count(unit, signals)
    dues = [incident.next_due_at for incident in unit.to_write() if incident.next_due_at is not None]
    spreads = bool(unit.relations.spreads)
    return BatchResult(handled, min(dues, default=None), spreads, unit.failures, written)


async def _in_turn(
    connection: AsyncConnection, deciding: "_Deciding", signals: Sequence[InboundSignal]
) -> tuple["_Deciding", list[SignalResult]]:
    """Decide, and hold every rotation that was moved; once more where somebody else had moved it meanwhile.

    Other positions may lead to other levels; after a few tries all of them are held, and then nothing can
    change any more. What is locked in a later try may stand out of order: a deadlock is tried again, whole.
    """
    held: dict[rotation_store.Place, str] = {}
    for attempt in count(1):
        handled = await _each(deciding, signals)
        wanted = deciding.unit.moved.keys() - held.keys()
        if not wanted:
            break
        if attempt > _ATTEMPTS:
            wanted = set(deciding.rotating()) - held.keys()
        standing = await rotation_store.lock(connection, wanted, deciding.now)
        held |= standing
        if all(deciding.saw(place) == name for place, name in standing.items()):
            break
        metrics.DECIDED_AGAIN.inc()
        deciding = deciding.anew(held)
    return deciding, handled


async def _each(deciding: "_Deciding", signals: Sequence[InboundSignal]) -> list[SignalResult]:
    started = perf_counter()
    handled = []
    for number, inbound in enumerate(signals, 1):
        handled.append(deciding.take(inbound))
        if number % _BREATH == 0:
            await asyncio.sleep(0)
    metrics.DECIDE_SECONDS.observe((perf_counter() - started) / len(signals))
    return handled


class _Deciding:
    """The decisions of one batch, each on what the ones before it left."""

    def __init__(
        self,
        unit: UnitOfWork,
        compiled: Mapping[str, Compiled],
        live: CompiledBundle,
        now: datetime,
        decide: Decide,
    ) -> None:
        self.unit = unit
        self.live = live
        self.now = now
        self.to_notify: list[str] = []  # stuck incidents of which last_resort should hear
        known = Context(live=live, customers=unit.customers)
        self.levels = incident_store.Levels(known, self._known_policy)
        self._failures: list[dict[str, Any]] = []
        self._compiled = compiled
        self._decide_purely = decide
        self._gathered = unit.as_gathered() if self.rotating() else unit

    def rotating(self) -> Sequence[rotation_store.Place]:
        """Every round robin that this batch may meet."""
        return rotation_store.rotating(
            policy for policy in self._compiled.values() if not isinstance(policy, Exception)
        )

    def saw(self, place: rotation_store.Place) -> str:
        """Where this round robin stood when the batch began."""
        return self._gathered.rotations.get(place, "")

    def anew(self, standing: rotation_store.Positions) -> "_Deciding":
        """The same from the beginning, with rotations as they really stand."""
        gathered = self._gathered.as_gathered()
        gathered.rotations |= standing
        return _Deciding(gathered, self._compiled, self.live, self.now, self._decide_purely)

    def take(self, inbound: InboundSignal) -> SignalResult:
        """Decide about one signal. An exception inside ends here."""
        incident = self.unit.find(inbound.address)
        if inbound.dead_letter is not None:
            self.unit.letters.append(inbound.dead_letter)
        if incident is None and not isinstance(inbound.signal, EventReceived):
            return SignalResult(inbound)  # a report about something that never was; the API looks first
        if incident is not None and last_resort.is_placeholder(incident) and incident.is_open:
            return self._decide_behind_placeholder(incident, inbound)
        if incident is not None and incident.stuck is not None and isinstance(inbound.signal, TimerFired):
            return self._try_again(incident, inbound)
        return self._take(incident, inbound)

    def _take(self, incident: Incident | None, inbound: InboundSignal) -> SignalResult:
        try:
            decision = self._decide(incident, inbound.signal)
        except Exception as err:  # noqa: BLE001 - rule 18: whatever goes wrong in a decision stays in it
            return self._set_aside(incident, inbound, err)
        self.unit.keep(decision, inbound.signal)
        return SignalResult(inbound, decision)

    def _decide(self, incident: Incident | None, signal: Signal) -> Decision:
        remembered = None
        if incident is None and isinstance(signal, EventReceived):
            remembered = self.unit.resolves.get((signal.event.integration, signal.event.dedup_key))
        context = Context(
            live=self.live,
            remembered_resolve=remembered,
            overlay=self.unit.overlay,
            customers=self.unit.customers,
            groups=self.unit.relations.groups,
            causes=self.unit.relations.causes,
            troubled=self.unit.relations.troubled,
            others=self.unit.relations.others,
            rotations=self.unit.rotations,
            heard=self.unit.heard,
        )
        policy = self._policy(incident)
        decision = self._decide_purely(incident, signal, context, policy, self.now)
        if isinstance(signal, EventReceived) and signal.event.unmapped:
            mapped = expression_failures.of_mapping(signal.event, self.live.hash)
            decision = replace(decision, failures={**decision.failures, **mapped})
        if isinstance(signal, TimerFired):
            decision = self._moved_on(incident, decision)
        own = isinstance(signal, EventReceived) and signal.event.integration == OWN_INTEGRATION
        return last_resort.also_told(decision, self.live.spec) if own else decision

    def _moved_on(self, incident: Incident | None, decision: Decision) -> Decision:
        """A timer that fired must not be due again at once, whatever was decided: it would spin."""
        after = decision.incident if decision.changed else incident
        if after is None or after.next_due_at is None or after.next_due_at > self.now:
            return decision
        later = replace(after, next_due_at=self.now + _AT_LEAST)
        return replace(decision, incident=later, changed=True)

    def _policy(self, incident: Incident | None) -> CompiledBundle:
        if incident is None:
            return self.live
        policy = self._compiled.get(incident.policy_hash, self.live)
        if isinstance(policy, Exception):
            raise policy
        return policy

    def _known_policy(self, incident: Incident) -> CompiledBundle | None:
        policy = self._compiled.get(incident.policy_hash)
        return None if isinstance(policy, Exception) else policy

    def _set_aside(self, incident: Incident | None, inbound: InboundSignal, err: Exception) -> SignalResult:
        error = f"{type(err).__name__}: {err}"
        signal = inbound.signal
        about = incident.id if incident is not None else str(inbound.address)
        self._failed("set_aside", about, inbound, err)
        if isinstance(signal, ActionTaken):
            return SignalResult(inbound, error=error)  # the person is told; what they did is not kept
        if incident is None:
            assert isinstance(signal, EventReceived)
            tiers = self.live.spec.tiers
            incident = last_resort.placeholder(signal.event, self.live.hash, tiers[-1], self.now)
        self.stick(incident, error)
        self._put_aside(incident.id, signal, error)
        return SignalResult(inbound, error=error)

    def _failed(self, action: str, about: str, inbound: InboundSignal, err: Exception) -> None:
        stack = "" if self._failures else "".join(traceback.format_exception(err))
        said = {"signal": inbound.kind, "event_id": inbound.id, "error": repr(err)[:500], "stack": stack}
        self._failures.append({"action": action, "incident": about} | said)

    def tell_failures(self) -> None:
        """One line each; the stack with the first of a batch only, a broken rule fails thousands of times."""
        for each in self._failures:
            log.error("deciding failed", **each)
        metrics.SET_ASIDE.inc(sum(each["action"] == "set_aside" for each in self._failures))

    def _put_aside(self, incident_id: str, signal: Signal, error: str) -> None:
        if isinstance(signal, EventReceived | DeliveryReported | RelatedMessage):
            self.unit.put_aside(ParkedSignal(incident_id, signal, self.now, error))

    def stick(self, incident: Incident, error: str) -> None:
        """Mark it stuck and plan its next try."""
        marked = last_resort.stuck(incident, error, self.now)
        self.unit.write(marked)
        self.unit.tell(marked.id, [last_resort.failed_entry(marked, self.now)])
        if last_resort.wants_telling(marked):
            self.to_notify.append(marked.id)

    def _try_again(self, incident: Incident, inbound: InboundSignal) -> SignalResult:
        """The next try of a stuck incident: what was set aside, in order, then its timer."""
        assert incident.stuck is not None
        if self.now < incident.stuck.retry_at:
            return self._take(incident, inbound)
        before = incident.stuck
        try:
            self._take_up(incident.id)
            decision = self._decide(self.unit.incidents[incident.id], inbound.signal)
        except Exception as err:  # noqa: BLE001 - rule 18: whatever goes wrong in a decision stays in it
            self._failed("still_stuck", incident.id, inbound, err)
            current = self.unit.incidents[incident.id]
            self.stick(replace(current, stuck=before), f"{type(err).__name__}: {err}")
            return SignalResult(inbound, error=str(err))
        self.unit.keep(decision, inbound.signal)
        self.unit.write(replace(self.unit.incidents[incident.id], stuck=None))
        return SignalResult(inbound, decision)

    def _take_up(self, incident_id: str) -> None:
        """Decide what was set aside for this incident. Raises at the first that still cannot be."""
        waiting = self.unit.waiting.get(incident_id, [])
        while waiting:
            earlier = waiting[0]
            incident = self.unit.incidents[incident_id]
            if not _superseded(incident, earlier):
                self.unit.keep(self._decide(incident, earlier.signal), earlier.signal)
            self.unit.take_up(earlier)

    def _decide_behind_placeholder(self, incident: Incident, inbound: InboundSignal) -> SignalResult:
        """Nothing overtakes the event that could not be decided: it is tried first."""
        if isinstance(inbound.signal, ActionTaken):
            decision = last_resort.act_plainly(incident, inbound.signal, self.now)
            if decision is None:
                return SignalResult(inbound, error=incident.stuck.error if incident.stuck else "")
            self.unit.keep(decision)
            return SignalResult(inbound, decision)
        try:
            self._replace_placeholder(incident)
        except Exception as err:  # noqa: BLE001 - rule 18: whatever goes wrong in a decision stays in it
            return self._keep_placeholder(incident, inbound, f"{type(err).__name__}: {err}")
        if isinstance(inbound.signal, EventReceived):
            return self._take(self.unit.find(inbound.address), inbound)
        return SignalResult(inbound)

    def _replace_placeholder(self, incident: Incident) -> None:
        waiting = self.unit.waiting.get(incident.id, [])
        current: Incident | None = None
        decisions: list[Decision] = []
        for earlier in waiting:
            if isinstance(earlier.signal, EventReceived):
                decision = self._decide(current, earlier.signal)
                decisions.append(decision)
                current = decision.incident or current
        self.unit.keep(last_resort.supersede(incident, "can be decided again", self.now))
        for decision in decisions:
            self.unit.keep(decision)
        for earlier in tuple(waiting):
            self.unit.take_up(earlier)

    def _keep_placeholder(self, incident: Incident, inbound: InboundSignal, error: str) -> SignalResult:
        if isinstance(inbound.signal, TimerFired):
            self.stick(incident, error)
        elif isinstance(inbound.signal, EventReceived):
            self._put_aside(incident.id, inbound.signal, error)
        return SignalResult(inbound, error=error)


def _superseded(incident: Incident, earlier: ParkedSignal) -> bool:
    """Whether the incident was resolved after this was set aside: what is over is not opened again by it."""
    return not incident.is_open and incident.resolved_at is not None and incident.resolved_at >= earlier.at


async def _tell_last_resort(connection: AsyncConnection, deciding: _Deciding) -> None:
    """Page last_resort about what is stuck, at most once a minute for all of Ladder."""
    unit = deciding.unit
    to_notify = [unit.incidents[incident_id] for incident_id in dict.fromkeys(deciding.to_notify)]
    to_notify = [incident for incident in to_notify if incident.stuck is not None]
    if not to_notify:
        return
    row = (
        await connection.execute(
            _MAY_PAGE,
            {"now": deciding.now, "before": deciding.now - _PAGE_INTERVAL, "count": len(to_notify)},
        )
    ).one()
    if not row.may:
        return
    first = to_notify[0]
    level = deciding.levels.level(first)
    others = row.held_back + len(to_notify) - 1
    paged, message = last_resort.told(first, deciding.live.spec, level, others, deciding.now)
    unit.write(paged)
    unit.messages.append(message)


def _count(unit: UnitOfWork, signals: Sequence[InboundSignal]) -> None:
    for inbound in signals:
        metrics.SIGNALS.labels(inbound.kind).inc()
    for message in unit.messages:
        if isinstance(message, IncidentChanged):
            for page in message.pages:
                metrics.PAGES.labels(page.through).inc()
            for each in message.clock_events:
                metrics.CLOCK_EVENTS.labels(each.target, each.event).inc()
            if "avoided" in message.changes:
                metrics.ESCALATIONS_AVOIDED.inc()
    for incident_id, entry in unit.entries:
        if entry.kind == late_trigger.HELD:
            metrics.TRIGGERS_HELD.labels(unit.incidents[incident_id].integration).inc()
    for letter in unit.letters:
        metrics.DEAD_LETTERS.labels(letter.from_topic).inc()


_MAY_PAGE: Final = text("""
    UPDATE router.last_resort AS l
    SET paged_at = CASE WHEN old.may THEN :now ELSE l.paged_at END,
        held_back = CASE WHEN old.may THEN 0 ELSE l.held_back + :count END
    FROM (
        SELECT held_back, paged_at <= CAST(:before AS timestamptz) AS may FROM router.last_resort FOR UPDATE
    ) AS old
    RETURNING old.may, old.held_back
""")
