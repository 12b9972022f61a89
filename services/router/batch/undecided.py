"""Signals on which deciding fails (docs/rules.md, rule 18): parked, tried again, decided in the end.

An incident whose decision fails is stuck until a later try succeeds. An event without an incident opens a
placeholder, and nothing overtakes it: it is tried first whenever something arrives for its key.
"""

import traceback
from collections.abc import Callable
from typing import Final, Literal, TypeAlias, TypedDict

from msgspec.structs import replace

from services.router import metrics
from services.router.batch import last_resort
from services.router.batch.inbound import InboundSignal
from services.router.batch.unit_of_work import ParkedSignal, UnitOfWork
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
from shared import telemetry

log = telemetry.logger(__name__)

DecideOne: TypeAlias = Callable[[Incident | None, Signal], Decision]
"""One decision on the batch as it stands. Raises whatever goes wrong in it."""


class _Failure(TypedDict):
    """What the log says of one."""

    action: Literal["set_aside", "still_stuck"]
    incident: str
    signal: str
    event_id: str
    error: str
    stack: str


class Undecided:
    """Those of one batch. `to_notify`: stuck incidents that last_resort should hear of."""

    def __init__(self, unit: UnitOfWork, decide: DecideOne) -> None:
        self.to_notify: Final[list[str]] = []
        self._unit = unit
        self._decide = decide
        self._failures: list[_Failure] = []

    def failed(self, incident: Incident | None, inbound: InboundSignal, err: Exception) -> str:
        """Deciding this signal failed: park it and mark its incident as stuck. Returns the error in words.

        A person who acted is told; their action is not kept.
        """
        error = _words(err)
        signal = inbound.signal
        about = incident.id if incident is not None else str(inbound.address)
        self._note("set_aside", about, inbound, err)
        if isinstance(signal, ActionTaken):
            return error
        if incident is None:
            assert isinstance(signal, EventReceived)
            live = self._unit.live
            incident = last_resort.placeholder(signal.event, live.hash, live.spec.tiers[-1], self._unit.now)
        self.stick(incident, error)
        self._park(incident.id, signal, error)
        return error

    def stick(self, incident: Incident, error: str) -> None:
        """Mark it stuck and plan its next try."""
        marked = last_resort.stuck(incident, error, self._unit.now)
        self._unit.write(marked)
        self._unit.add_entries(marked.id, [last_resort.failed_entry(marked, self._unit.now)])
        if last_resort.wants_page(marked):
            self.to_notify.append(marked.id)

    def is_due(self, incident: Incident, signal: Signal) -> bool:
        """Whether this stuck incident is due for its next try."""
        stuck = incident.stuck
        return stuck is not None and isinstance(signal, TimerFired) and self._unit.now >= stuck.retry_at

    def try_again(self, incident: Incident, inbound: InboundSignal) -> Decision | str:
        """Try what was parked, in order, then its timer. Returns the decision, or the error in words."""
        unit, before = self._unit, incident.stuck
        try:
            self._resume(incident.id)
            decision = self._decide(unit.incidents[incident.id], inbound.signal)
        except Exception as err:  # noqa: BLE001 - rule 18: whatever goes wrong in a decision stays in it
            self._note("still_stuck", incident.id, inbound, err)
            self.stick(replace(unit.incidents[incident.id], stuck=before), _words(err))
            return str(err)
        unit.record(decision, inbound.signal)
        unit.write(replace(unit.incidents[incident.id], stuck=None))
        return decision

    def act_on_placeholder(self, incident: Incident, action: ActionTaken) -> Decision | str:
        """A person acts while nothing can be decided. Returns the decision, or in words why there is none."""
        decision = last_resort.act_on_placeholder(incident, action, self._unit.now)
        if decision is None:
            return incident.stuck.error if incident.stuck else ""
        self._unit.record(decision)
        return decision

    def replace_placeholder(self, incident: Incident, inbound: InboundSignal) -> str:
        """Decide the events that could not be. Returns the error in words if they still cannot, else ''."""
        try:
            self._replace(incident)
        except Exception as err:  # noqa: BLE001 - rule 18: whatever goes wrong in a decision stays in it
            error = _words(err)
            if isinstance(inbound.signal, TimerFired):
                self.stick(incident, error)
            elif isinstance(inbound.signal, EventReceived):
                self._park(incident.id, inbound.signal, error)
            return error
        return ""

    def log_failures(self) -> None:
        """Log one line each, a stack for the first only: a broken rule fails thousands of times."""
        for each in self._failures:
            log.error("could not decide on a signal: kept for another try", **each)
        metrics.SET_ASIDE.inc(sum(each["action"] == "set_aside" for each in self._failures))

    def _note(
        self, action: Literal["set_aside", "still_stuck"], about: str, inbound: InboundSignal, err: Exception
    ) -> None:
        stack = "" if self._failures else "".join(traceback.format_exception(err))
        self._failures.append(
            {
                "action": action,
                "incident": about,
                "signal": inbound.kind,
                "event_id": inbound.id,
                "error": repr(err)[:500],
                "stack": stack,
            }
        )

    def _park(self, incident_id: str, signal: Signal, error: str) -> None:
        if isinstance(signal, EventReceived | DeliveryReported | RelatedMessage):
            self._unit.park(ParkedSignal(incident_id, signal, self._unit.now, error))

    def _resume(self, incident_id: str) -> None:
        """Decide what was parked for this incident. Raises at the first that still fails."""
        unit = self._unit
        parked = unit.parked.get(incident_id, [])
        while parked:
            first = parked[0]
            incident = unit.incidents[incident_id]
            if not _is_over(incident, first):
                unit.record(self._decide(incident, first.signal), first.signal)
            unit.resume(first)

    def _replace(self, incident: Incident) -> None:
        unit = self._unit
        parked = unit.parked.get(incident.id, [])
        current: Incident | None = None
        decisions: list[Decision] = []
        for each in parked:
            if isinstance(each.signal, EventReceived):
                decision = self._decide(current, each.signal)
                decisions.append(decision)
                current = decision.incident or current
        unit.record(last_resort.supersede(incident, "can be decided again", unit.now))
        for decision in decisions:
            unit.record(decision)
        for each in tuple(parked):
            unit.resume(each)


def _words(err: Exception) -> str:
    return f"{type(err).__name__}: {err}"


def _is_over(incident: Incident, parked: ParkedSignal) -> bool:
    """Whether the incident was resolved after this was parked: then it must not open it again."""
    return not incident.is_open and incident.resolved_at is not None and incident.resolved_at >= parked.at
