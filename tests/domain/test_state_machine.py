"""Anything may happen at any time: several incidents, timers, people, other policies, downtime, clocks that jump.

Fresh seeds are played one after another until the time is up: half a minute, ten in `make test-long`.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.router.domain.model.context import Overlay
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
from services.router.domain.model.stored import encode
from shared.events import DeliveryReport, IncidentEvent, Page
from shared.policy.oncall.schedules import Override
from tests.domain.histories import acts_of_all_kinds, fields, organisation, organisations
from tests.domain.invariants import Watch
from tests.domain.switchboard import Switchboard, played_again
from tests.domain.tale import START
from tests.seeds import play_for

KEYS = ["a", "b", "c", "d"]
SHORT_SECONDS = 12
LONG_SECONDS = 600
_MOST_FIRINGS = 150  # in one stretch of time: what only repeats itself is not followed for ever
_SPANS = st.sampled_from([1, 30, 59, 60, 301, 600, 3600, 7200, 30_000, 90_000, 700_000])


class AnythingHappens(RuleBasedStateMachine):
    """Drives the switchboard; after each decision every promise is looked at."""

    board: Switchboard

    @initialize(sections=organisations, other=organisations)
    def begin(self, sections: str, other: str) -> None:
        self.others = [organisation(sections), organisation(other)]
        self.board = Switchboard(self.others[0], START)
        self.watches: dict[str, Watch] = {}
        self.pages: list[tuple[str, Page]] = []
        self.events = 0

    # --- what happens ---------------------------------------------------------------------------------

    @rule(key=st.sampled_from(KEYS), action=st.sampled_from(["trigger", "trigger", "update"]), said=fields)
    def something_is_reported(self, key: str, action: str, said: dict[str, Any]) -> None:
        self._event(key, action, said)

    @rule(
        key=st.sampled_from(KEYS),
        action=st.sampled_from(["acknowledge", "resolve", "note", "change"]),
        said=st.fixed_dictionaries({}, optional={"source_minutes": st.integers(-60, 60)}),
    )
    def a_sender_says_how_it_goes_on(self, key: str, action: str, said: dict[str, Any]) -> None:
        self._event(key, action, said)

    @precondition(lambda self: self.board.incidents)
    @rule(number=st.integers(0, 20), act=acts_of_all_kinds)
    def somebody_acts(self, number: int, act: tuple[str, str, str, dict[str, Any]]) -> None:
        _, action, user, arguments = act
        arguments = dict(arguments)
        answers = arguments.pop("answers", None)
        if answers is not None and len(self.pages) >= answers:
            arguments["page"] = self.pages[-answers][1].page_id
        if "until" in arguments:
            arguments["until"] = self.board.now + timedelta(seconds=arguments["until"])
        incident_id = list(self.board.incidents)[number % len(self.board.incidents)]
        if "into" in arguments:
            arguments["into"] = list(self.board.incidents)[arguments["into"] % len(self.board.incidents)]
        if action == "update":
            arguments["text"] = "We are on it."
        self.events += 1
        actor = Actor(f"user:{user}" if user else "api:bot", "admin", user)
        self._tell(ActionTaken(action, actor, ActionArguments(**arguments), f"act{self.events}"), incident_id)

    @precondition(lambda self: self.pages)
    @rule(back=st.integers(1, 5), became=st.sampled_from(["unreachable", "unreachable", "reached"]))
    def a_page_is_reported(self, back: int, became: str) -> None:
        incident_id, page = self.pages[-min(back, len(self.pages))]
        self.events += 1
        report = DeliveryReport(
            report_id=f"r{self.events}",
            incident_id=incident_id,
            page_id=page.page_id,
            recipient=page.recipient.name,
            outcome="sent" if became == "reached" else "failed",
            page=became,
            at=self.board.now,
        )
        self._tell(DeliveryReported(report), incident_id)

    @rule(seconds=_SPANS)
    def time_passes(self, seconds: int) -> None:
        until, fired = self.board.now + timedelta(seconds=seconds), list[tuple[datetime, str]]()
        while (due := self.board.next_due(until)) is not None and len(fired) < _MOST_FIRINGS:
            assert due.next_due_at is not None
            self.board.now = max(self.board.now, due.next_due_at)
            fired.append((self.board.now, due.id))
            self._tell(TimerFired(), due.id)
            own = [at for at, fired_id in fired if fired_id == due.id][-5:]
            assert len(own) < 5 or own[-1] - own[0] >= timedelta(milliseconds=4), "a timer spins"
        self.board.now = max(self.board.now, until) if len(fired) < _MOST_FIRINGS else self.board.now

    @rule(seconds=_SPANS)
    def nothing_runs_for_a_while(self, seconds: int) -> None:
        """Downtime: what was missed fires late, each chain takes one step."""
        self.board.now += timedelta(seconds=seconds)
        for incident_id, incident in list(self.board.incidents.items()):
            if incident.next_due_at is not None and incident.next_due_at <= self.board.now:
                self._tell(TimerFired(), incident_id)

    @precondition(lambda self: self.board.incidents)
    @rule(number=st.integers(0, 20))
    def a_timer_fires_early(self, number: int) -> None:
        incident_id = list(self.board.incidents)[number % len(self.board.incidents)]
        self._tell(TimerFired(), incident_id)

    @rule(seconds=st.sampled_from([1, 30, 600]))
    def the_clock_jumps_back(self, seconds: int) -> None:
        self.board.now -= timedelta(seconds=seconds)

    @rule(number=st.integers(0, 1))
    def another_policy_comes_into_force(self, number: int) -> None:
        self.board.live = self.others[number]

    @rule(user=st.sampled_from(["ana", "petra", "gone"]), begins=st.integers(-5, 5), hours=st.integers(1, 30))
    def somebody_stands_in(self, user: str, begins: int, hours: int) -> None:
        start = self.board.now + timedelta(hours=begins)
        made = Override(f"o{self.events}", user, start, start + timedelta(hours=hours), "user:petra")
        self.board.overlay = Overlay(self.board.overlay.revision + 1, {"week": [made]})

    # --- what must hold -------------------------------------------------------------------------------

    def _event(self, key: str, action: str, said: dict[str, Any]) -> None:
        said = dict(said)
        if "source_minutes" in said:
            said["occurred_at"] = self.board.now + timedelta(minutes=said.pop("source_minutes"))
        self.events += 1
        event = IncidentEvent(
            event_id=f"e{self.events}",
            integration="test",
            dedup_key=key,
            action=action,
            received_at=self.board.now,
            **({"title": f"{key} is down"} if action == "trigger" else {}) | said,
        )
        self._tell(EventReceived(event), event_to(event))

    def _tell(self, signal: Signal, to: str | tuple[str, str]) -> None:
        before, decision = self.board.decide(signal, to)
        self._look(before, signal, decision)
        for told_before, told, answered in self.board.deliver():
            self._look(told_before, told, answered)

    def _look(self, before: Incident | None, signal: Signal, decision: Any) -> None:
        after = decision.incident or before
        if after is None:
            return
        watch = self.watches.setdefault(after.id, Watch())
        watch.look(before, signal, decision, lambda incident: self.board.policies[incident.policy_hash])
        if decision.message is not None and decision.refusal is None:
            self.pages += [(after.id, page) for page in decision.message.pages]

    @invariant()
    def nothing_is_forgotten(self) -> None:
        for incident in self.board.incidents.values() if hasattr(self, "board") else ():
            assert incident.status == "closed" or incident.next_due_at is not None

    @invariant()
    def one_open_incident_a_key(self) -> None:
        if not hasattr(self, "board"):
            return
        keys = [incident.key for incident in self.board.incidents.values() if incident.is_open]
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        if hasattr(self, "board") and self.board.script:
            assert played_again(self.board) == self.board.written, "the same history wrote other bytes"
            assert all(encode(incident) for incident in self.board.incidents.values())


def event_to(event: IncidentEvent) -> tuple[str, str]:
    return event.integration, event.dedup_key


def _play(number: int) -> None:
    chosen = settings(
        max_examples=20,
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        print_blob=True,
    )
    run_state_machine_as_test(seed(number)(AnythingHappens), settings=chosen)


@pytest.mark.timeout(SHORT_SECONDS * 8)
def test_the_promises_hold_whatever_happens_to_several_incidents_at_once():
    assert play_for(SHORT_SECONDS, _play) > 0


@pytest.mark.long
@pytest.mark.timeout(LONG_SECONDS * 2)
def test_the_promises_hold_for_ten_minutes_of_whatever_may_happen():
    assert play_for(LONG_SECONDS, _play) > 0
