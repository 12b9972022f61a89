"""The router's work without a database: many incidents, their signals to each other, the timers, in order.

Everything that is told to it is written down (`script`), so that the same history can be played again.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from services.router.domain.decide import decide
from services.router.domain.draft.draft import derived_id
from services.router.domain.lifecycle import late_trigger
from services.router.domain.lifecycle.sender_silence import of_group
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Cause, Context, Group, MergeTarget, Overlay
from services.router.domain.model.decision import Decision, Refusal, Spread
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import EventReceived, RelatedMessage, Signal
from services.router.domain.model.stored import encode
from shared.eventlog.codec import encode as as_record
from shared.events import RelatedChanged, Upstream

MOST_FIRINGS = 3000
CAUSES_KEPT = timedelta(hours=1)


@dataclass(frozen=True)
class Told:
    """One thing that was told to the switchboard, with everything it knew besides its incidents."""

    signal: Signal
    to: str | tuple[str, str]
    now: datetime
    live: CompiledBundle
    overlay: Overlay


class LookedUp(dict[tuple[str, str], Group]):
    """Every group was looked up: one that is not there does not stand."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: tuple[str, str]) -> None:
        return None


def _seen(incident: Incident) -> MergeTarget:
    return MergeTarget(incident.id, incident.title, incident.status, incident.parent, incident.merged)


@dataclass
class Switchboard:
    """Holds the incidents as the database would, and hands each signal to `decide`."""

    live: CompiledBundle
    now: datetime
    overlay: Overlay = field(default_factory=Overlay)
    incidents: dict[str, Incident] = field(default_factory=dict)
    newest: dict[tuple[str, str], str] = field(default_factory=dict)
    policies: dict[str, CompiledBundle] = field(default_factory=dict)
    resolves: dict[tuple[str, str], datetime] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    causes: dict[str, list[Cause]] = field(default_factory=dict)
    rotations: dict[tuple[str, str], str] = field(default_factory=dict)
    waiting: list[RelatedChanged] = field(default_factory=list)
    script: list[Told] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)

    def decide(self, signal: Signal, to: str | tuple[str, str]) -> tuple[Incident | None, Decision]:
        """Decide, keep what was decided; the incident as it was before, and the decision."""
        self.policies.setdefault(self.live.hash, self.live)
        self.script.append(Told(signal, to, self.now, self.live, self.overlay))
        before = self.incidents.get(to if isinstance(to, str) else self.newest.get(to, ""))
        decision = self.ask(before, signal)
        if self._comes_back_under_a_newer_one(decision):
            decision = Decision(
                before, refusal=Refusal("conflict", "a newer incident of the same key is open")
            )
        self._keep(signal, decision)
        return before, decision

    def _comes_back_under_a_newer_one(self, decision: Decision) -> bool:
        """What the database's unique index refuses: a key has one open incident at most."""
        incident = decision.incident
        if incident is None or not incident.is_open:
            return False
        same = (each for each in self.incidents.values() if each.key == incident.key)
        return any(each.is_open and each.id != incident.id for each in same)

    def ask(self, before: Incident | None, signal: Signal) -> Decision:
        """What would be decided now."""
        policy = self.policies[before.policy_hash] if before is not None else self.live
        return decide(before, signal, self.context(before, signal), policy, self.now)

    def context(self, incident: Incident | None, signal: Signal) -> Context:
        """What surrounds the incident."""
        remembered = None
        if incident is None and isinstance(signal, EventReceived):
            remembered = self.resolves.get((signal.event.integration, signal.event.dedup_key))
        causes = {rule: tuple(found) for rule, found in self.causes.items()}
        return Context(
            self.live,
            remembered,
            overlay=self.overlay,
            groups=LookedUp(self._standing_groups()),
            causes=causes,
            rotations=dict(self.rotations),
            open_by_service=self._open_by_service(),
            merge_targets={other.id: _seen(other) for other in self.incidents.values()},
        )

    def _standing_groups(self) -> dict[tuple[str, str], Group]:
        return {key: group for key, group in self.groups.items() if self.incidents[group.parent].is_open}

    def _open_by_service(self) -> dict[str, list[Upstream]]:
        found: dict[str, list[Upstream]] = {}
        for each in self.incidents.values():
            if each.is_open and each.service:
                found.setdefault(each.service, []).append(
                    Upstream(id=each.id, service=each.service, title=each.title)
                )
        return found

    def _keep(self, signal: Signal, decision: Decision) -> None:
        if decision.refusal is not None:
            return
        if decision.orphan is not None and isinstance(signal, EventReceived):
            event = signal.event
            at = late_trigger.counted(event)
            if event.action == "resolve" and at is not None:
                known = self.resolves.get((event.integration, event.dedup_key), at)
                self.resolves[event.integration, event.dedup_key] = max(at, known)
        incident = decision.incident
        if incident is None:
            for spread in decision.spreads:
                self.waiting.extend(self._spread(spread, None))
            return
        if incident.id not in self.incidents:
            self.newest[incident.key] = incident.id
        self.incidents[incident.id] = incident
        self.written.append(encode(incident))
        if decision.message is not None:
            self.written.append(as_record(decision.message).value)
        self.waiting.extend(decision.outgoing)
        for spread in decision.spreads:
            self.waiting.extend(self._spread(spread, incident))
        self.rotations |= decision.rotations
        self._relate(incident, decision)

    def _spread(self, spread: Spread, told_by: Incident | None) -> list[RelatedChanged]:
        """To everybody meant; of those that match an expression: to everybody, they look for themselves."""
        meant = {
            "members": lambda each: each.parent == spread.of,
            "suppressed": lambda each: each.suppressed_by == spread.of,
            "matching": lambda each: each.is_open,
            "siblings": lambda each: (
                each.is_open and of_group(each.integration, each.alert_group) == spread.of
            ),
        }[spread.audience]
        return [
            replace(spread.message, message_id=derived_id(spread.message.message_id, name), to=name)
            for name in sorted(self.incidents)
            if (told_by is None or name != told_by.id) and meant(self.incidents[name])
        ]

    def _relate(self, incident: Incident, decision: Decision) -> None:
        for joined in decision.joined:
            parent = self.incidents.get(joined.parent, incident)
            self.groups[joined.rule, joined.values] = Group(joined.parent, parent.title, self.now)
        for explains in decision.explains:
            known = [
                cause for cause in self.causes.get(explains.rule, []) if cause.incident_id != incident.id
            ]
            cause = Cause(incident.id, incident.title, explains.ended, explains.opened_at, explains.under)
            self.causes[explains.rule] = [*known, cause]

    def next_due(self, until: datetime) -> Incident | None:
        """Whose time comes first, up to then."""
        due = [
            (incident.next_due_at, incident.priority, incident.id)
            for incident in self.incidents.values()
            if incident.next_due_at is not None and incident.next_due_at <= until
        ]
        return self.incidents[min(due)[2]] if due else None

    def deliver(self) -> list[tuple[Incident | None, Signal, Decision]]:
        """Hand out what incidents told each other, and what they answered, until all is said."""
        done: list[tuple[Incident | None, Signal, Decision]] = []
        while self.waiting:
            message = self.waiting.pop(0)
            assert len(done) < MOST_FIRINGS, "incidents talk to each other without end"
            if message.to in self.incidents:
                signal = RelatedMessage(message)
                before, decision = self.decide(signal, message.to)
                done.append((before, signal, decision))
        return done


def played_again(board: Switchboard) -> list[bytes]:
    """What is written when the same history happens once more."""
    first = board.script[0]
    again = Switchboard(first.live, first.now)
    for told in board.script:
        again.live, again.now, again.overlay = told.live, told.now, told.overlay
        again.decide(told.signal, told.to)
    return again.written
