"""Tells an incident's tale to `decide` without any I/O: events, actions, reports, and time that passes.

Time passes by firing the timers that the decisions asked for, in order, as the real loop does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.router.domain.decide import decide
from services.router.domain.model.compiled_bundle import CompiledBundle, compile_policy
from services.router.domain.model.context import NOTHING_CHANGED, Context, Heard, Overlay
from services.router.domain.model.decision import Decision, Entry
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import (
    ActionArguments,
    ActionTaken,
    Actor,
    DeliveryReported,
    EventReceived,
    Signal,
    TimerFired,
)
from services.router.domain.model.vocabulary import action_named
from shared.events import DeliveryReport, IncidentEvent, Notice, Page
from shared.policy import Bundle, content_hash
from shared.policy.model.base import Role

START = datetime(2026, 1, 7, 3, 0, tzinfo=UTC)  # a Wednesday, three in the morning


def bundle(**sections: Any) -> Bundle:
    """A small organisation: a desk, experts, management; the sections given replace these."""
    users = {
        "ana": {"name": "Ana", "manager": "petra"},
        "petra": {"name": "Petra", "manager": "karel", "role": "lead"},
        "karel": {"name": "Karel", "role": "admin"},
    }
    whole: dict[str, Any] = {
        "version": 1,
        "last_resort": ["user:karel"],
        "users": {name: {**user, "contacts": {"box": {"inbox": name}}} for name, user in users.items()},
        "teams": {"desk": {"members": ["ana", "petra"], "lead": "petra"}},
        "services": {"checkout": {"team": "desk"}},
        "tiers": ["gold", "silver", "standard"],
        "customers": {
            "acme": {
                "name": "Acme",
                "tier": "gold",
                "owner": "petra",
                "match": ["acme.example", "Acme Ltd"],
                "contacts": {"mail": {"email": "ops@acme.example"}},
            }
        },
        "policies": {"main": ladder()},
        "routes": [{"policy": "main"}],
        "integrations": {"test": {"kind": "native", "keys": [{"sha256": "0" * 64}]}},
    }
    return Bundle.model_validate(whole | sections)


def ladder(**parts: Any) -> dict[str, Any]:
    """Two levels of five and ten minutes, then finally every fifteen; the parts given replace these."""
    return {
        "levels": [
            {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"},
            {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"},
        ],
        "finally": {"notify": ["user:karel"], "every": "15m"},
    } | parts


def compiled(policy: Bundle) -> CompiledBundle:
    return compile_policy(policy, content_hash(policy))


@dataclass
class Tale:
    """One key's history. `decisions` holds everything that was decided, in order."""

    policy: CompiledBundle = field(default_factory=lambda: compiled(bundle()))
    now: datetime = START
    incident: Incident | None = None
    decisions: list[Decision] = field(default_factory=list)
    frozen: dict[str, CompiledBundle] = field(default_factory=dict)
    remembered: datetime | None = None
    overlay: Overlay = NOTHING_CHANGED
    rotations: dict[tuple[str, str], str] = field(default_factory=dict)
    heard: Heard | None = None
    count: int = 0

    def tell(self, signal: Signal) -> Decision:
        context = Context(
            self.policy, self.remembered, self.overlay, rotations=self.rotations, heard=self.heard
        )
        self.frozen.setdefault(self.policy.hash, self.policy)
        policy = self.frozen[self.incident.policy_hash] if self.incident else self.policy
        decision = decide(self.incident, signal, context, policy, self.now)
        if decision.refusal is None:
            self.incident = decision.incident or self.incident
            self.rotations = self.rotations | decision.rotations
        self.decisions.append(decision)
        return decision

    def event(self, action: Any = "trigger", **fields: Any) -> Decision:
        self.count += 1
        said = {"title": "Checkout is down"} if action == "trigger" else {}
        event = IncidentEvent(
            event_id=f"e{self.count}",
            integration=fields.pop("integration", "test"),
            dedup_key="checkout",
            action=action,
            received_at=self.now,
            **(said | fields),
        )
        return self.tell(EventReceived(event))

    def act(self, action: str, user: str = "ana", role: Role = "responder", **arguments: Any) -> Decision:
        actor = Actor(f"user:{user}" if user else "api:bot", role, user)
        return self.tell(ActionTaken(action_named(action), actor, ActionArguments(**arguments), "a"))

    def report(self, page: Page, outcome: str) -> Decision:
        report = DeliveryReport(
            report_id=f"r-{page.page_id}",
            incident_id=self.standing.id,
            page_id=page.page_id,
            recipient=page.recipient.name,
            outcome="sent" if outcome == "reached" else "failed",
            page=outcome,
            at=self.now,
        )
        return self.tell(DeliveryReported(report))

    def later(self, **span: float) -> None:
        """Time passes; every timer that falls due fires at its moment."""
        until = self.now + timedelta(**span)
        while self.incident and self.incident.next_due_at and self.incident.next_due_at <= until:
            self.now = self.incident.next_due_at
            self.tell(TimerFired())
        self.now = until

    def down_for(self, **span: float) -> Decision:
        """Time passes while nothing runs; then the timer that was missed fires, late."""
        self.now += timedelta(**span)
        return self.tell(TimerFired())

    @property
    def standing(self) -> Incident:
        assert self.incident is not None
        return self.incident

    @property
    def pages(self) -> list[Page]:
        return [page for each in self.decisions if each.message for page in each.message.pages]

    @property
    def paged(self) -> list[str]:
        """Who was paged, in order."""
        return [page.recipient.name for page in self.pages]

    @property
    def notices(self) -> list[Notice]:
        return [notice for each in self.decisions if each.message for notice in each.message.notices]

    @property
    def entries(self) -> list[Entry]:
        return [entry for each in self.decisions for entry in each.entries]

    def said(self, kind: str) -> list[str]:
        """The texts of the timeline's lines of one kind."""
        return [entry.text for entry in self.entries if entry.kind == kind]


def tale(policy: Bundle | None = None, **sections: Any) -> Tale:
    """A tale under the small organisation's bundle, with the sections given."""
    return Tale(compiled(policy or bundle(**sections)))


def on_main(**parts: Any) -> Mapping[str, Any]:
    """The `policies` section with these parts in the main ladder."""
    return {"policies": {"main": ladder(**parts)}}
