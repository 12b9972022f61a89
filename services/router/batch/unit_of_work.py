"""What one batch knows of its incidents and has decided so far: later signals see what earlier ones did."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.router.batch.expression_failures import Count
from services.router.batch.inbound import Key
from services.router.batch.outcome_store import Stays
from services.router.batch.relation_store import Relations
from services.router.domain.lifecycle import late_trigger
from services.router.domain.model.context import NOTHING_CHANGED, Heard, KnownCustomer, Overlay
from services.router.domain.model.decision import Decision, Entry, Orphan
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import Signal
from shared.events import DeadLetter, IncidentChanged, RelatedChanged
from shared.policy.cel.expressions import Place


@dataclass(frozen=True, slots=True)
class ParkedSignal:
    """A signal on which deciding failed, kept for the next try. `seq` is 0 until it is stored."""

    incident_id: str
    signal: Signal
    at: datetime
    error: str
    seq: int = 0


@dataclass(slots=True)
class UnitOfWork:
    """Loaded and locked by `store.gather`; written back by `store.apply`."""

    incidents: dict[str, Incident] = field(default_factory=dict)  # by id, as decided so far
    newest: dict[Key, str] = field(default_factory=dict)  # the id of each key's newest incident
    resolves: dict[Key, datetime] = field(default_factory=dict)  # source times of remembered resolves
    waiting: dict[str, list[ParkedSignal]] = field(default_factory=dict)  # set aside earlier, by incident

    overlay: Overlay = NOTHING_CHANGED
    customers: dict[str, KnownCustomer] = field(default_factory=dict)  # by id, and by what events call them
    relations: Relations = field(default_factory=Relations)
    rotations: dict[tuple[str, str], str] = field(default_factory=dict)  # by policy and level
    heard: Heard | None = None

    moved: dict[tuple[str, str], str] = field(default_factory=dict)  # of `rotations`, what is to be written
    changed: dict[str, None] = field(default_factory=dict)  # ids to write, in the order of first change
    before: dict[str, Incident | None] = field(default_factory=dict)  # what is changed, as it is stored
    stays: Stays = field(default_factory=Stays)
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    messages: list[IncidentChanged | RelatedChanged] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    aside: list[ParkedSignal] = field(default_factory=list)  # to store for the next try
    taken_up: list[int] = field(default_factory=list)  # seq of what was set aside and has now been decided
    letters: list[DeadLetter] = field(default_factory=list)  # unreadable records, to be published as such
    failures: dict[Place, Count] = field(default_factory=dict)  # expressions that could not be evaluated

    def as_gathered(self) -> "UnitOfWork":
        """A copy to decide on, made before anything is: what is decided on one does not show in the other."""
        return UnitOfWork(
            incidents=dict(self.incidents),
            newest=dict(self.newest),
            resolves=dict(self.resolves),
            waiting={incident_id: list(signals) for incident_id, signals in self.waiting.items()},
            overlay=self.overlay,
            customers=self.customers,
            relations=self.relations.as_gathered(),
            rotations=dict(self.rotations),
            heard=self.heard,
        )

    def know(self, incident: Incident) -> None:
        """An incident as the database holds it. Those of one key must come oldest first."""
        self.incidents[incident.id] = incident
        self.newest[incident.key] = incident.id

    def find(self, to: str | Key) -> Incident | None:
        """The incident that a signal with this address is for."""
        return self.incidents.get(to if isinstance(to, str) else self.newest.get(to, ""))

    def keep(self, decision: Decision, signal: Signal | None = None) -> None:
        """Hold on to what was decided about the signal. A refusal leaves nothing."""
        if decision.refusal is not None:
            return
        for place, reason in decision.failures.items():
            before = self.failures.get(place)
            self.failures[place] = Count(reason, 1 + (before.times if before else 0))
        if decision.orphan is not None:
            self._remember(decision.orphan)
        if decision.incident is not None:
            if decision.changed:
                self.stays.follow(self.incidents.get(decision.incident.id), decision, signal)
                self.write(decision.incident)
            self.tell(decision.incident.id, decision.entries)
            self.relations.follow(decision.incident, decision)
        else:
            self.relations.spreads.extend(decision.spreads)
        if decision.message is not None:
            self.messages.append(decision.message)
        self.messages.extend(decision.signals)
        if decision.rotations:
            self.rotations |= decision.rotations
            self.moved |= decision.rotations

    def write(self, incident: Incident) -> None:
        """This is how the incident is to be stored."""
        if incident.id not in self.incidents:
            self.newest[incident.key] = incident.id
        self.before.setdefault(incident.id, self.incidents.get(incident.id))
        self.incidents[incident.id] = incident
        self.changed.setdefault(incident.id)

    def tell(self, incident_id: str, entries: Iterable[Entry]) -> None:
        """Add to the incident's timeline."""
        self.entries.extend((incident_id, entry) for entry in entries)

    def put_aside(self, signal: ParkedSignal) -> None:
        """Keep a signal on which deciding failed; it waits behind those of its incident."""
        self.aside.append(signal)
        self.waiting.setdefault(signal.incident_id, []).append(signal)

    def take_up(self, signal: ParkedSignal) -> None:
        """A signal that waited has been decided."""
        self.waiting[signal.incident_id].remove(signal)
        if signal.seq:
            self.taken_up.append(signal.seq)
        else:
            self.aside.remove(signal)

    def to_write(self) -> Sequence[Incident]:
        return [self.incidents[incident_id] for incident_id in self.changed]

    def _remember(self, orphan: Orphan) -> None:
        self.orphans.append(orphan)
        event = orphan.event
        at = late_trigger.counted(event)
        if event.action == "resolve" and at is not None:
            key = (event.integration, event.dedup_key)
            self.resolves[key] = max(at, self.resolves.get(key, at))
