"""Whatever the policy and whatever happens: promises that hold after every decision."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from services.router.domain.decide import decide
from services.router.domain.forecast import TOLD_ONCE, WORTH_TELLING, forecast, worded
from services.router.domain.lifecycle import late_trigger as late
from services.router.domain.model.compiled_bundle import CompiledLevel
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import Signal, TimerFired
from services.router.domain.model.stored import encode
from services.router.domain.plan import SOONEST
from tests.domain.histories import OFFICES, histories, organisation, organisations
from tests.domain.invariants import HANDED_OVER, Watch, what_was_due_is_done
from tests.domain.tale import Tale
from tests.seeds import play_for

_MOST_FIRINGS = 400
SHORT_SECONDS = 12
LONG_SECONDS = 600


class Watched(Tale):
    """A tale in which every decision is looked at, and made twice to see that it is the same."""

    watch: Watch

    def tell(self, signal: Signal) -> Decision:
        before, stored = self.incident, encode(self.incident) if self.incident else b""
        context = Context(self.policy, self.remembered, self.overlay, rotations=dict(self.rotations))
        decision = super().tell(signal)
        if before is not None:
            assert encode(before) == stored, "a decision changed what it was given"
        policy = self.frozen[before.policy_hash] if before else self.policy
        assert decide(before, signal, context, policy, self.now) == decision
        self.watch.look(before, signal, decision, lambda incident: self.frozen[incident.policy_hash])
        self.watch.shift(signal, decision, context, self.policy)
        self._nothing_is_left_over(decision)
        if before is not None and isinstance(signal, TimerFired):
            if decision.incident is not None:
                now = max(self.now, before.decided_at)
                what_was_due_is_done(
                    before, decision.incident, lambda one: self.frozen[one.policy_hash], context, now
                )
            self._comes_as_the_page_said(before, decision)
        return decision

    def _comes_as_the_page_said(self, before: Incident, decision: Decision) -> None:
        """When nobody acts, what happens is what the page said would happen."""
        made = [each.message for each in self.decisions[:-1] if each.message and each.message.pages]
        pages = (
            [page for page in made[-1].pages if page.through == "level" and page.otherwise] if made else []
        )
        kinds = {entry.kind for entry in decision.entries}
        if not pages or (made[-1].incident.id, made[-1].incident.version) != (before.id, before.version):
            return
        if before.chain.state != "climbing" or kinds & {
            "point",
            "escalated",
            "unreachable",
            "resumed",
            "reminded",
        }:
            return
        levels = self.frozen[before.policy_hash].policies[before.chain.policy].levels
        if any(_asks_who_is_on_call(level) for level in levels):
            return  # another answer at another time
        if any(entry.reason and entry.reason.rule == HANDED_OVER for entry in decision.entries):
            return  # a shift ended: that is no step of the ladder
        come = [entry.text for entry in decision.entries if entry.kind == "paged"]
        if any("does it still stand" in text for text in come):
            return  # its sender's silence came first
        said = pages[-1].otherwise.partition(" is paged")[0].replace("the last step, finally", "finally")
        assert not come or come[0].replace("last_resort", "finally").startswith(said.split(",")[0][:8]), (
            said,
            come,
        )

    def _nothing_is_left_over(self, decision: Decision) -> None:
        """Conditions see what other points did at once: looking again at the same moment fires nothing."""
        after = decision.incident
        if after is None or after.next_due_at is None or not decision.changed:
            return  # refused, or it was so already: nothing was decided, nor looked at
        if after.next_due_at <= after.decided_at + SOONEST:  # its next step is due right now
            return
        context = Context(self.policy, overlay=self.overlay, rotations=self.rotations)
        policy = self.frozen.setdefault(self.policy.hash, self.policy)
        policy = self.frozen.get(after.policy_hash, policy)
        again = decide(after, TimerFired(), context, policy, after.decided_at)
        late = {
            entry.text for entry in again.entries if "has passed" in entry.text or "recorded" in entry.text
        }
        moved = any(
            entry.kind == "paged" and entry.text[:5] != "point" for entry in again.entries
        )  # a moment that is due right now
        fired = {entry.text for entry in again.entries if entry.kind == "point"} - late
        assert moved or not fired, fired

    def later(self, **span: float) -> None:
        until, fired = self.now + timedelta(**span), list[datetime]()
        while self.incident and self.incident.next_due_at and self.incident.next_due_at <= until:
            self.now = max(self.now, self.incident.next_due_at)
            fired.append(self.now)
            self.tell(TimerFired())
            assert len(fired) < 5 or fired[-1] - fired[-5] >= timedelta(milliseconds=5), "a timer spins"
            if len(fired) > _MOST_FIRINGS:
                break
        self.now = max(self.now, until)


def _asks_who_is_on_call(level: CompiledLevel) -> bool:
    named = repr(level.spec.notify)
    return (
        "ScheduleTarget" in named
        or "NextTarget" in named
        or (level.handles is not None and "on_call" in level.handles.source)
    )


def play(story: Watched, others: Sequence[str], steps: Sequence[Any]) -> None:
    """Let everything happen, in order."""
    for number, (kind, *rest) in enumerate(steps):
        if kind == "event":
            _event(story, *rest)
        elif kind == "office":
            story.overlay = OFFICES[rest[0]]
            if story.incident is not None:
                story.tell(TimerFired())  # whoever changes one makes what is open due
        elif kind == "policy":
            story.policy = organisation(others[number % len(others)])
        elif story.incident is None:
            continue
        elif kind == "act":
            _act(story, *rest)
        elif kind == "report" and len(story.pages) >= rest[0]:
            page = story.pages[-rest[0]]
            if page.page_id in {each.page_id for each in story.incident.pages}:
                story.report(page, rest[1])
        elif kind == "later":
            story.later(seconds=rest[0])
        elif kind == "down":
            story.down_for(seconds=rest[0])
        elif kind == "early":
            story.tell(TimerFired())
        elif kind == "back":
            story.now -= timedelta(seconds=min(rest[0], 600))


def _event(story: Watched, action: str, fields: dict[str, Any]) -> None:
    fields = dict(fields)
    if "source_minutes" in fields:
        fields["occurred_at"] = story.now + timedelta(minutes=fields.pop("source_minutes"))
    decision = story.event(action, **fields)
    if decision.orphan is not None and action == "resolve":
        story.remembered = late.counted(decision.orphan.event)


def _act(story: Watched, action: str, user: str, arguments: dict[str, Any]) -> None:
    arguments = dict(arguments)
    answers = arguments.pop("answers", None)
    if answers is not None and len(story.pages) >= answers:
        arguments["page"] = story.pages[-answers].page_id
    if action == "update":
        arguments["text"] = "We are on it."
    story.act(action, user, "admin", **arguments)


def _foretold_is_what_comes(story: Watched) -> None:
    if story.incident is None or story.incident.status == "closed":
        return
    context = Context(story.policy, overlay=story.overlay, rotations=story.rotations)
    coming = forecast(story.incident, context, story.frozen[story.incident.policy_hash])
    happened, told = list[tuple[datetime, str]](), set[str]()
    for _ in range(100):
        if story.incident.next_due_at is None or len(happened) >= len(coming):
            break
        story.now = max(story.now, story.incident.next_due_at)
        for entry in story.tell(TimerFired()).entries:
            if entry.kind in WORTH_TELLING and not (entry.kind in TOLD_ONCE and entry.text in told):
                happened.append((entry.at, worded(entry)))
                told.add(entry.text)
    assert [(step.at, step.what) for step in coming] == happened[: len(coming)]


def _holds(policy: str, other: str, steps: Sequence[Any]) -> None:
    story = Watched(organisation(policy))
    story.watch = Watch()
    play(story, (other, policy), [("event", "trigger", {}), *steps])
    story.now = max(story.now, story.incident.decided_at if story.incident else story.now)
    _foretold_is_what_comes(story)


_quick = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
_fresh = settings(_quick, derandomize=False, print_blob=True, phases=[Phase.generate, Phase.shrink])


@_quick
@given(policy=organisations, other=organisations, steps=histories)
def test_the_promises_hold_after_every_decision(policy, other, steps):
    _holds(policy, other, steps)


def _play(number: int) -> None:
    seed(number)(_fresh(given(policy=organisations, other=organisations, steps=histories)(_holds)))()


@pytest.mark.timeout(SHORT_SECONDS * 8)
def test_the_promises_hold_after_every_decision_of_histories_that_nobody_has_seen():
    assert play_for(SHORT_SECONDS, _play) > 0


@pytest.mark.long
@pytest.mark.timeout(LONG_SECONDS * 2)
def test_the_promises_hold_after_every_decision_of_very_many_histories():
    assert play_for(LONG_SECONDS, _play) > 0
