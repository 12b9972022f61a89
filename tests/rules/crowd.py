"""Several incidents at once, told as a story: events by key, what people do, time that passes.

What incidents tell each other is handed on at once, as the log would do within a moment.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from services.router.domain.model.context import Maintenance, Overlay, Silence
from services.router.domain.model.decision import Decision, Entry
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import (
    ActionArguments,
    ActionTaken,
    Actor,
    EventReceived,
    Signal,
    TimerFired,
)
from services.router.duty.maintenance_windows import bound
from shared.events import IncidentEvent, Notice, Page
from shared.policy.cel.expressions import Expressions
from shared.policy.model.base import Role
from shared.policy.model.people import Windows
from tests.domain.switchboard import Switchboard
from tests.domain.tale import START, bundle, compiled

_WINDOWS: TypeAdapter[Any] = TypeAdapter(Windows)


@dataclass
class Crowd:
    """Incidents by their keys, and everything that was decided, in order."""

    board: Switchboard
    decisions: list[tuple[Incident, Decision]] = field(default_factory=list)
    count: int = 0

    @property
    def now(self) -> datetime:
        return self.board.now

    def event(self, key: str, action: Any = "trigger", **fields: Any) -> Incident:
        self.post(key, action, **fields)
        return self.of(key)

    def post(self, key: str, action: Any = "trigger", **fields: Any) -> None:
        """An event that may meet no incident."""
        self.count += 1
        said = {"title": f"{key} is down"} if action == "trigger" else {}
        event = IncidentEvent(
            event_id=f"e{self.count}",
            integration="test",
            dedup_key=key,
            action=action,
            received_at=self.now,
            **(said | fields),
        )
        self._decide(EventReceived(event), ("test", key))

    def act(
        self, key: str, action: str, user: str = "ana", role: Role = "lead", **arguments: Any
    ) -> Decision:
        self.count += 1
        signal = ActionTaken(action, Actor(f"user:{user}", role, user), ActionArguments(**arguments), "a")
        return self._decide(signal, self.of(key).id)

    def later(self, **span: float) -> None:
        """Time passes; every timer that falls due fires at its moment."""
        until = self.now + timedelta(**span)
        while (due := self.board.next_due(until)) is not None:
            assert due.next_due_at is not None
            self.board.now = max(self.now, due.next_due_at)
            self._decide(TimerFired(), due.id)
        self.board.now = until

    def silence(self, when: str, **span: float) -> None:
        """Somebody posts a silence; what is open and matches hears of it."""
        condition = Expressions((), ()).condition(when, "silence")
        until = self.now + timedelta(**span)
        made = Silence(f"s{len(self.board.overlay.silences)}", when, condition, self.now, until, "", "ana")
        self._changed_overlay(silences=(*self.board.overlay.silences, made))

    def unsilence(self) -> None:
        self._changed_overlay(silences=())

    def maintenance(self, when: str, then: str = "page", window: Any = None, **span: float) -> None:
        condition = Expressions((), ()).condition(when, "maintenance")
        made = Maintenance(
            id="m1",
            name="upgrade",
            when=when,
            condition=condition,
            then=then,
            starts=None if window else self.now,
            until=None if window else self.now + timedelta(**span),
            window=bound(_WINDOWS.validate_python(window), self.board.live.spec) if window else None,
            by="ana",
        )
        self._changed_overlay(maintenance=(made,))

    def _changed_overlay(self, **changes: Any) -> None:
        overlay = self.board.overlay
        known = {"silences": overlay.silences, "maintenance": overlay.maintenance} | changes
        self.board.overlay = Overlay(overlay.revision + 1, {}, **known)
        for incident in [each for each in self.board.incidents.values() if each.is_open]:
            self._decide(TimerFired(), incident.id)

    def _decide(self, signal: Signal, to: Any) -> Decision:
        before, decision = self.board.decide(signal, to)
        self._note(before, decision)
        for told, _, answer in self.board.deliver():
            self._note(told, answer)
        return decision

    def _note(self, before: Incident | None, decision: Decision) -> None:
        incident = decision.incident or before
        if incident is not None and decision.refusal is None:
            self.decisions.append((incident, decision))

    def of(self, key: str) -> Incident:
        """The newest incident of this key."""
        return self.board.incidents[self.board.newest["test", key]]

    def pages_of(self, key: str) -> list[Page]:
        return [page for decision in self._of(key) if decision.message for page in decision.message.pages]

    def paged(self, key: str) -> list[str]:
        """Who was paged for it, in order."""
        return [page.recipient.name for page in self.pages_of(key)]

    def notices(self, key: str) -> list[Notice]:
        return [each for decision in self._of(key) if decision.message for each in decision.message.notices]

    def entries(self, key: str) -> list[Entry]:
        return [entry for decision in self._of(key) for entry in decision.entries]

    def said(self, key: str, kind: str) -> list[str]:
        return [entry.text for entry in self.entries(key) if entry.kind == kind]

    def _of(self, key: str) -> list[Decision]:
        return [decision for incident, decision in self.decisions if incident.dedup_key == key]


def crowd(**sections: Any) -> Crowd:
    """A crowd under the small organisation's bundle, with the sections given."""
    return Crowd(Switchboard(compiled(bundle(**sections)), START))
