"""What people do to an incident, each checked against role and state (POLICY.md, rules 3, 4 and 13).

An action that is not possible is a value: why, and what is possible instead.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from services.router.domain import chain, lifecycle
from services.router.domain.decision import Reason, Refusal
from services.router.domain.draft import Draft
from services.router.domain.incident import Incident
from services.router.domain.signals import ActionTaken, Role

Act: TypeAlias = Callable[[Draft, ActionTaken], Refusal | None]
_OF_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "triggered": ("acknowledge", "resolve", "escalate", "note", "update"),
    "acknowledged": ("resolve", "escalate", "note", "update"),
    "resolved": ("note", "update"),
    "closed": ("note",),
}
_STAKEHOLDER_TEXT: Final = "update needs `text`: what the stakeholders are to read"


def possible(incident: Incident) -> tuple[str, ...]:
    """What can be done to the incident as it is."""
    return _OF_STATUS[incident.status]


def act(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Do it, or say why not; a refused action leaves the draft untouched."""
    if signal.action not in ACTIONS:
        said = f"unknown action {signal.action!r}; known: {', '.join(sorted(ACTIONS))}"
        return Refusal("invalid", said, possible(draft.incident))
    needed, do = ACTIONS[signal.action]
    if not signal.actor.may(needed):
        return Refusal(
            "forbidden", f"{signal.action} needs the role {needed}; this key has {signal.actor.role}"
        )
    draft.actor = signal.actor.name
    return do(draft, signal)


def _conflict(draft: Draft, why: str) -> Refusal:
    return Refusal("conflict", why, possible(draft.incident))


def _acknowledge(draft: Draft, signal: ActionTaken) -> Refusal | None:
    incident = draft.incident
    page = next((each for each in incident.pages if each.page_id == signal.arguments.page), None)
    if page is not None and page.through == "point" and incident.is_open:
        draft.touch()
        draft.say("seen", f"{_who(draft, signal)} has seen the page; the levels go on", Reason("rule 3"))
        return None
    assignee = signal.arguments.assignee or signal.actor.user
    if not incident.is_open:
        return _conflict(draft, f"it is {incident.status} already; there is nothing to take")
    if assignee and assignee not in draft.live.bundle.users:
        return Refusal("invalid", f"assignee {assignee!r} is not a user of the policy in force")
    if incident.status == "acknowledged" and incident.assignee:
        if incident.assignee == assignee:
            return None  # taking it twice is taking it
        return _conflict(draft, f"it is taken already, by {draft.directory.display(incident.assignee)}")
    if assignee:
        lifecycle.take(draft, assignee, by=draft.actor)
    else:
        lifecycle.rest(draft, draft.actor)
    _note(draft, signal)
    return None


def _resolve(draft: Draft, signal: ActionTaken) -> Refusal | None:
    if not draft.incident.is_open:
        return _conflict(draft, f"it is {draft.incident.status} already")
    text = f"resolved by {_who(draft, signal)}"
    if signal.arguments.note:
        text += f": {signal.arguments.note}"
    lifecycle.resolve(draft, by=signal.actor.user or draft.actor, text=text, source_time=None)
    return None


def _escalate(draft: Draft, signal: ActionTaken) -> Refusal | None:
    incident, asked = draft.incident, signal.arguments
    if not incident.is_open:
        return _conflict(draft, f"it is {incident.status}: nothing to hand up")
    refusal = _unknown_place(draft, signal)
    if refusal is not None:
        return refusal
    follower = incident.assignee or signal.actor.user
    if follower and follower not in incident.followers:
        draft.set(followers=(*incident.followers, follower))
    draft.set(status="triggered", assignee="")
    draft.touch()
    draft.settle("handed up", draft.actor)
    because = f" ({asked.because})" if asked.because else ""
    cause = f"{_who(draft, signal)} handed it up{because}" + (f": {asked.note}" if asked.note else "")
    reason = Reason(
        "rule 4: handed up by a person", values={"because": asked.because} if asked.because else {}
    )
    if asked.policy:
        chain.enter_other(draft, asked.policy, cause=cause, reason=reason)
    elif asked.level:
        chain.go_to_level(draft, asked.level, cause=cause, reason=reason)
    else:
        _up(draft, cause, reason)
    return None


def _unknown_place(draft: Draft, signal: ActionTaken) -> Refusal | None:
    asked = signal.arguments
    if asked.policy and asked.policy not in draft.policy.ladders:
        known = ", ".join(draft.policy.ladders)
        return Refusal(
            "invalid", f"policy {asked.policy!r} is not in the incident's policy bundle; known: {known}"
        )
    if asked.level and draft.ladder.index_of(asked.level) is None:
        known = ", ".join(rung.spec.name for rung in draft.ladder.rungs)
        return Refusal(
            "invalid", f"policy {draft.ladder.name} has no level {asked.level!r}; its levels: {known}"
        )
    return None


def _up(draft: Draft, cause: str, reason: Reason) -> None:
    """The next level up that handles it; at the top, `finally`: handing up never starts a new round."""
    position = draft.incident.chain
    index = position.lowest if position.state == "assignee" else position.level + 1
    chain.climb(draft, index, draft.ladder.spec.rounds, cause=cause, reason=reason)
    draft.change("escalated")


def _note_action(draft: Draft, signal: ActionTaken) -> Refusal | None:
    text = signal.arguments.text or signal.arguments.note
    if not text:
        return Refusal("invalid", "note needs `text`")
    draft.touch()
    draft.say("note", text)
    return None


def _update(draft: Draft, signal: ActionTaken) -> Refusal | None:
    text = signal.arguments.text
    if not text:
        return Refusal("invalid", _STAKEHOLDER_TEXT)
    if draft.incident.status == "closed":
        return _conflict(draft, "it is closed: its stakeholders have heard the end of it")
    draft.touch()
    draft.update_text = text
    draft.say("update", text)
    draft.change("update")
    _note(draft, signal)
    return None


def _note(draft: Draft, signal: ActionTaken) -> None:
    if signal.arguments.note:
        draft.say("note", signal.arguments.note)


def _who(draft: Draft, signal: ActionTaken) -> str:
    return draft.directory.display(signal.actor.user) if signal.actor.user else signal.actor.name


ACTIONS: Final[Mapping[str, tuple[Role, Act]]] = {
    "acknowledge": ("responder", _acknowledge),
    "resolve": ("responder", _resolve),
    "escalate": ("responder", _escalate),
    "note": ("responder", _note_action),
    "update": ("responder", _update),
}
