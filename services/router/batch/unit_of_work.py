"""The unit of work of one batch: what it loaded and decided; later signals see earlier decisions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.router.batch.expression_failures import Count
from services.router.batch.inbound import InboundSignal, Key
from services.router.batch.outcome_store import Stays
from services.router.batch.relation_store import Relations
from services.router.domain.lifecycle import late_trigger
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context, Heard, KnownCustomer, Overlay
from services.router.domain.model.decision import Decision, Entry, Orphan
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import EventReceived, Signal
from services.router.policy.compiled_cache import Compiled
from shared.events import DeadLetter, IncidentChanged, RelatedChanged
from shared.policy.cel.expressions import ExpressionPlace


@dataclass(frozen=True, slots=True)
class ParkedSignal:
    """A signal on which deciding failed, kept for the next try. `seq` is 0 until it is stored."""

    incident_id: str
    signal: Signal
    at: datetime
    error: str
    seq: int = 0


@dataclass(slots=True, kw_only=True)
class UnitOfWork:
    """Loaded and locked by `gather`, decided on by `deciding`, written back by `apply`."""

    now: datetime
    live: CompiledBundle
    overlay: Overlay
    received: Sequence[InboundSignal] = ()  # in the order received
    signals: Sequence[InboundSignal] = ()  # the new ones, to be decided in this order
    bundles: dict[str, Compiled] = field(default_factory=dict)  # by hash: the live one and those of incidents

    incidents: dict[str, Incident] = field(default_factory=dict)  # by id, as decided so far
    newest: dict[Key, str] = field(default_factory=dict)  # the id of each key's newest incident
    resolves: dict[Key, datetime] = field(default_factory=dict)  # source times of remembered resolves
    parked: dict[str, list[ParkedSignal]] = field(default_factory=dict)  # by incident, in order
    customers: dict[str, KnownCustomer] = field(default_factory=dict)  # by id, and by what events call them
    relations: Relations = field(default_factory=Relations)
    rotations: dict[tuple[str, str], str] = field(default_factory=dict)  # by policy and level
    heard: Heard | None = None

    moved: dict[tuple[str, str], str] = field(default_factory=dict)  # those of `rotations` to be written
    changed: dict[str, None] = field(default_factory=dict)  # ids to write, in order of first change
    before: dict[str, Incident | None] = field(default_factory=dict)  # changed incidents as they are stored
    stays: Stays = field(default_factory=Stays)
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    messages: list[IncidentChanged | RelatedChanged] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    newly_parked: list[ParkedSignal] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)  # seq of parked signals that are now decided
    dead_letters: list[DeadLetter] = field(default_factory=list)  # unreadable records, to be published
    # expressions that could not be evaluated
    failures: dict[ExpressionPlace, Count] = field(default_factory=dict)

    def as_gathered(self) -> "UnitOfWork":
        """A copy to decide on, made before anything is decided; the two do not affect each other."""
        return UnitOfWork(
            now=self.now,
            live=self.live,
            overlay=self.overlay,
            signals=self.signals,
            received=self.received,
            bundles=self.bundles,
            incidents=dict(self.incidents),
            newest=dict(self.newest),
            resolves=dict(self.resolves),
            parked={incident_id: list(signals) for incident_id, signals in self.parked.items()},
            customers=self.customers,
            relations=self.relations.as_gathered(),
            rotations=dict(self.rotations),
            heard=self.heard,
        )

    def load(self, incident: Incident) -> None:
        """Add an incident as stored. Those of one key must come oldest first."""
        self.incidents[incident.id] = incident
        self.newest[incident.key] = incident.id

    def find(self, address: str | Key) -> Incident | None:
        """The incident that a signal with this address is for."""
        return self.incidents.get(address if isinstance(address, str) else self.newest.get(address, ""))

    def usable_bundles(self) -> Iterator[CompiledBundle]:
        """The bundles that can be used."""
        return (bundle for bundle in self.bundles.values() if not isinstance(bundle, Exception))

    def bundle_of(self, incident: Incident) -> CompiledBundle | None:
        """The bundle that the incident started with, if it can be used."""
        bundle = self.bundles.get(incident.policy_hash)
        return None if isinstance(bundle, Exception) else bundle

    def context(self, incident: Incident | None = None, signal: Signal | None = None) -> Context:
        """What a decision about this signal needs from outside the incident, as decided so far."""
        remembered = None
        if incident is None and isinstance(signal, EventReceived):
            remembered = self.resolves.get((signal.event.integration, signal.event.dedup_key))
        relations = self.relations
        return Context(
            live=self.live,
            remembered_resolve=remembered,
            overlay=self.overlay,
            customers=self.customers,
            groups=relations.groups,
            causes=relations.causes,
            open_by_service=relations.open_by_service,
            merge_targets=relations.merge_targets,
            rotations=self.rotations,
            heard=self.heard,
        )

    def record(self, decision: Decision, signal: Signal | None = None) -> None:
        """Record the decision about a signal. A refusal leaves no trace."""
        if decision.refusal is not None:
            return
        for place, reason in decision.failures.items():
            before = self.failures.get(place)
            self.failures[place] = Count(reason, 1 + (before.times if before else 0))
        if decision.orphan is not None:
            self._remember(decision.orphan)
        if decision.incident is not None:
            if decision.changed:
                self.stays.record(self.incidents.get(decision.incident.id), decision, signal)
                self.write(decision.incident)
            self.add_entries(decision.incident.id, decision.entries)
            self.relations.record(decision.incident, decision)
        else:
            self.relations.spreads.extend(decision.spreads)
        if decision.message is not None:
            self.messages.append(decision.message)
        self.messages.extend(decision.outgoing)
        if decision.rotations:
            self.rotations |= decision.rotations
            self.moved |= decision.rotations

    def write(self, incident: Incident) -> None:
        """Mark the incident to be stored like this."""
        if incident.id not in self.incidents:
            self.newest[incident.key] = incident.id
        self.before.setdefault(incident.id, self.incidents.get(incident.id))
        self.incidents[incident.id] = incident
        self.changed.setdefault(incident.id)

    def add_entries(self, incident_id: str, entries: Iterable[Entry]) -> None:
        """Add entries to the incident's timeline."""
        self.entries.extend((incident_id, entry) for entry in entries)

    def park(self, signal: ParkedSignal) -> None:
        """Keep a signal on which deciding failed, behind the incident's earlier ones."""
        self.newly_parked.append(signal)
        self.parked.setdefault(signal.incident_id, []).append(signal)

    def resume(self, signal: ParkedSignal) -> None:
        """Note that a parked signal has been decided."""
        self.parked[signal.incident_id].remove(signal)
        if signal.seq:
            self.resumed.append(signal.seq)
        else:
            self.newly_parked.remove(signal)

    def to_write(self) -> Sequence[Incident]:
        """The changed incidents as they are now."""
        return [self.incidents[incident_id] for incident_id in self.changed]

    def _remember(self, orphan: Orphan) -> None:
        self.orphans.append(orphan)
        event = orphan.event
        at = late_trigger.counted(event)
        if event.action == "resolve" and at is not None:
            key = (event.integration, event.dedup_key)
            self.resolves[key] = max(at, self.resolves.get(key, at))
