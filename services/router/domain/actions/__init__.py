"""What people do to an incident, each checked against role and state (POLICY.md, rules 3, 4, 13).

An action that is not possible is a value: why, and what is possible instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

import msgspec

from services.router.domain import grouping
from services.router.domain.actions import (
    approving,
    asked,
    ending,
    handing,
    resting,
    setting,
    taking,
    telling,
)
from services.router.domain.decision import Refusal
from services.router.domain.draft import Draft
from services.router.domain.signals import ActionTaken, Actor, Role

__all__ = ["ACTIONS", "act", "possible"]


class Action(msgspec.Struct, frozen=True):
    """Who may do it, why the incident as it is forbids it ('' when it does not), and what it does.

    `answers`: it may answer a page although the state forbids the action itself; it looks for itself.
    """

    role: Role
    blocked: Callable[[Draft], str]
    do: Callable[[Draft, ActionTaken], Refusal | None]
    answers: bool = False


Table: TypeAlias = Mapping[str, Action]
ACTIONS: Final[Table] = {
    "acknowledge": Action("responder", taking.unless_free, taking.acknowledge, answers=True),
    "unacknowledge": Action("responder", taking.unless_acknowledged, taking.unacknowledge),
    "assign": Action("responder", asked.unless_on_a_ladder, taking.assign),
    "resolve": Action("responder", asked.unless_open, ending.resolve),
    "reopen": Action("responder", ending.unless_it_may_come_back, ending.reopen),
    "confirm": Action("responder", asked.unless_resolved, ending.confirm),
    "refuse": Action("responder", ending.unless_it_may_come_back, ending.refuse),
    "close": Action("lead", asked.unless_resolved, ending.close),
    "escalate": Action("responder", handing.unless_it_may_climb, handing.escalate),
    "snooze": Action("responder", asked.unless_on_a_ladder, resting.snooze),
    "wait": Action("responder", asked.unless_on_a_ladder, resting.wait),
    "resume": Action("responder", resting.unless_it_rests, resting.resume),
    "set": Action("responder", asked.unless_open, setting.set_fields),
    "reapply": Action("lead", setting.unless_the_policy_changed, setting.reapply),
    "decide": Action("responder", approving.unless_there_is_a_question, approving.decide),
    "merge": Action("lead", grouping.unless_it_may_merge, ending.merge),
    "note": Action("responder", asked.never, telling.note),
    "update": Action("responder", telling.unless_they_listen, telling.update),
    "subscribe": Action("viewer", asked.unless_remembered, telling.subscribe),
    "unsubscribe": Action("viewer", telling.unless_somebody_subscribed, telling.unsubscribe),
}


def possible(draft: Draft, actor: Actor) -> tuple[str, ...]:
    """What this actor can do to the incident as it is."""
    return tuple(
        name for name, action in ACTIONS.items() if actor.may(action.role) and not action.blocked(draft)
    )


def act(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Do it, or say why not; a refused action leaves the draft untouched."""
    refusal = _act(draft, signal)
    return replace(refusal, possible=possible(draft, signal.actor)) if refusal is not None else None


def _act(draft: Draft, signal: ActionTaken) -> Refusal | None:
    action = ACTIONS.get(signal.action)
    if action is None:
        return asked.invalid(f"unknown action {signal.action!r}; known: {', '.join(sorted(ACTIONS))}")
    if not signal.actor.may(action.role):
        said = f"{signal.action} needs the role {action.role}; this key has {signal.actor.role}"
        return asked.forbidden(said)
    blocked = "" if action.answers else action.blocked(draft)
    if blocked:
        return asked.conflict(blocked)
    draft.actor = signal.actor.name
    return action.do(draft, signal)
