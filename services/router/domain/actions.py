"""What people do to an incident, each checked against role and state (POLICY.md, rules 3, 4 and 13).

An action that is not possible is a value: why, and what is possible instead.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from services.router.domain import chain, handoff, lifecycle
from services.router.domain.decision import Refusal
from services.router.domain.draft import Draft
from services.router.domain.incident import Incident
from services.router.domain.reason import Reason
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
    if incident.status == "acknowledged" and not incident.assignee:
        return _OF_STATUS["triggered"]  # a machine acknowledged it: a person may still take it
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
    if not incident.is_open:
        return _conflict(draft, f"it is {incident.status} already; there is nothing to take")
    page = next((each for each in incident.pages if each.page_id == signal.arguments.page), None)
    if page is not None and page.through == "point":
        draft.touch()
        draft.say("seen", f"{_who(draft, signal)} has seen the page; the levels go on", Reason("rule 3"))
        return None
    assignee = signal.arguments.assignee or signal.actor.user
    if assignee and assignee not in draft.live.bundle.users:
        return Refusal("invalid", f"assignee {assignee!r} is not a user of the policy in force")
    if incident.assignee:
        return _acknowledge_taken(draft, signal, assignee)
    if assignee:
        lifecycle.take(draft, assignee, by=draft.actor)
        _note(draft, signal)
    elif incident.status == "triggered":  # once the levels rest, saying it again rests them no longer
        lifecycle.rest(draft, draft.actor)
        _note(draft, signal)
    return None


def _acknowledge_taken(draft: Draft, signal: ActionTaken, assignee: str) -> Refusal | None:
    incident = draft.incident
    if incident.assignee == assignee:
        return None  # taking it twice is taking it
    if assignee and handoff.was_asked(incident, assignee):
        draft.follow(incident.assignee)
        lifecycle.take(draft, assignee, by=draft.actor)
        _note(draft, signal)
        return None
    if _was_asked_to_join(incident, signal):
        _join(draft, signal)
        return None
    return _conflict(draft, f"it is taken already, by {draft.directory.display(incident.assignee)}")


def _was_asked_to_join(incident: Incident, signal: ActionTaken) -> bool:
    return any(
        page.joins
        and (page.page_id == signal.arguments.page or (page.user and page.name == signal.actor.user))
        for page in incident.pages
    )


def _join(draft: Draft, signal: ActionTaken) -> None:
    """Whoever was asked to join answers: the assignee keeps it, the one who joins hears how it goes on."""
    draft.touch()
    draft.follow(signal.actor.user)
    keeps = draft.directory.display(draft.incident.assignee)
    draft.say("seen", f"{_who(draft, signal)} joins; {keeps} keeps it", Reason("rule 3"))
    _note(draft, signal)


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
    draft.follow(incident.assignee)
    draft.follow(signal.actor.user)
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
        chain.hand_up(draft, cause=cause, reason=reason)
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
