"""The worked policies of deploy/policy/situations, and what happens under them, told as stories."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.decision import Decision
from services.router.domain.model.signals import ActionArguments, ActionTaken, Actor
from shared.policy import load
from tests.domain.switchboard import Switchboard
from tests.domain.tale import compiled
from tests.rules.crowd import Crowd

SITUATIONS = Path(__file__).parents[2] / "deploy" / "policy" / "situations"


@cache
def policy_of(situation: str) -> CompiledBundle:
    return compiled(load(SITUATIONS / f"{situation}.yaml"))


def situation(name: str, year: int, month: int, day: int, hour: int, minute: int = 0) -> Crowd:
    """Nothing has happened yet, at that moment in UTC."""
    return Crowd(Switchboard(policy_of(name), datetime(year, month, day, hour, minute, tzinfo=UTC)))


def customer_says(story: Crowd, key: str, action: str, **arguments: object) -> Decision:
    """The customer follows the link in a message."""
    actor = Actor("customer:acme", "responder", "")
    signal = ActionTaken(action, actor, ActionArguments(**arguments), "link")  # type: ignore[arg-type]
    return story._decide(signal, story.of(key).id)


def clock(story: Crowd, key: str, target: str) -> tuple[str, bool]:
    """Its state, and whether its promise was broken."""
    [found] = [each for each in story.of(key).clocks if each.target == target]
    return found.state, found.breached


def told(story: Crowd, key: str, who: str) -> list[str]:
    """Which events somebody heard of, in order; of a person both what was paged and told stands elsewhere."""
    return [
        notice.event for notice in story.notices(key) if who in {notice.recipient.name, notice.recipient.kind}
    ]
