"""What people can do to an incident, checked against role and state (docs/rules.md, rules 3, 4, 13).

A refused action is a value, not an exception: it says why, and what is possible instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from services.router.domain.actions import (
    approval,
    escalate,
    fields,
    guards,
    notes_and_updates,
    ownership,
    pauses,
    resolution,
)
from services.router.domain.draft.draft import Draft
from services.router.domain.model.decision import Refusal
from services.router.domain.model.signals import ActionTaken, Actor
from services.router.domain.model.vocabulary import ActionName, UnknownAction
from services.router.domain.muting import grouping
from shared.policy.model.base import Role

__all__ = ["ACTIONS", "act", "possible"]


class Action(msgspec.Struct, frozen=True):
    """One action: the role it needs, what it does, and why the state forbids it ('' when it does not).

    `answers`: it may also answer a page while the state forbids the action itself, and checks that on its
    own.
    """

    role: Role
    blocked: Callable[[Draft], str]
    do: Callable[[Draft, ActionTaken], Refusal | None]
    answers: bool = False


ACTIONS: Final[Mapping[ActionName, Action]] = {
    "acknowledge": Action("responder", ownership.unless_free, ownership.acknowledge, answers=True),
    "unacknowledge": Action("responder", ownership.unless_acknowledged, ownership.unacknowledge),
    "assign": Action("responder", guards.unless_it_has_levels, ownership.assign),
    "resolve": Action("responder", guards.unless_open, resolution.resolve),
    "reopen": Action("responder", resolution.unless_it_may_come_back, resolution.reopen),
    "confirm": Action("responder", guards.unless_resolved, resolution.confirm),
    "refuse": Action("responder", resolution.unless_it_may_come_back, resolution.refuse),
    "close": Action("lead", guards.unless_resolved, resolution.close),
    "escalate": Action("responder", escalate.unless_it_may_climb, escalate.escalate),
    "snooze": Action("responder", guards.unless_it_has_levels, pauses.snooze),
    "wait": Action("responder", guards.unless_it_has_levels, pauses.wait),
    "resume": Action("responder", pauses.unless_it_rests, pauses.resume),
    "set": Action("responder", guards.unless_open, fields.set_fields),
    "reapply": Action("lead", fields.unless_the_policy_changed, fields.reapply),
    "decide": Action("responder", approval.unless_there_is_a_question, approval.decide),
    "merge": Action("lead", grouping.unless_it_may_merge, resolution.merge),
    "note": Action("responder", guards.never, notes_and_updates.note),
    "update": Action("responder", notes_and_updates.unless_they_listen, notes_and_updates.update),
    "subscribe": Action("viewer", guards.unless_remembered, notes_and_updates.subscribe),
    "unsubscribe": Action(
        "viewer", notes_and_updates.unless_somebody_subscribed, notes_and_updates.unsubscribe
    ),
}


def possible(draft: Draft, actor: Actor) -> tuple[ActionName, ...]:
    """The actions open to this actor on the incident as it stands."""
    return tuple(
        name for name, action in ACTIONS.items() if actor.may(action.role) and not action.blocked(draft)
    )


def act(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Carry out the action, or return why it is refused; a refused action leaves the draft untouched."""
    refusal = _act(draft, signal)
    return replace(refusal, possible=possible(draft, signal.actor)) if refusal is not None else None


def _act(draft: Draft, signal: ActionTaken) -> Refusal | None:
    if isinstance(signal.action, UnknownAction):
        return guards.invalid(f"unknown action {signal.action!r}; known: {', '.join(sorted(ACTIONS))}")
    action = ACTIONS[signal.action]
    if not signal.actor.may(action.role):
        said = f"{signal.action} needs the role {action.role}; this key has {signal.actor.role}"
        return guards.forbidden(said)
    blocked = "" if action.answers else action.blocked(draft)
    if blocked:
        return guards.conflict(blocked)
    draft.actor = signal.actor.name
    return action.do(draft, signal)
