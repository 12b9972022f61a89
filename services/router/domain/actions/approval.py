"""Deciding on an overrun or a conflict within one's authority (docs/rules.md, rule 13: `decide`).

`may_approve` lists what somebody may decide on, and up to which amount. Each name is a kind or an attribute
that the kind declares; `amount_of` says what is at stake.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from services.router.domain.actions import guards
from services.router.domain.draft.draft import Draft
from services.router.domain.lifecycle import transitions
from services.router.domain.model.decision import Refusal
from services.router.domain.model.parts import Approval
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import ActionTaken, Actor
from shared.policy import Bundle

FORECAST: Final = "forecast"  # the number to be approved, for an overrun
_DONE: Final[dict[str, str]] = {"approve": "approved", "reject": "rejected"}


class Stake(msgspec.Struct, frozen=True):
    """What one name in `may_approve` stands for in an incident.

    `amount` is None when there is no number to measure, or when the attribute named in `missing` is absent.
    """

    word: str
    amount: float | None = None
    missing: str = ""


def unless_there_is_a_question(draft: Draft) -> str:
    """Only for kinds that carry something to decide."""
    kind = draft.incident.kind
    has_one = kind in draft.live.spec.kinds and any(_words(draft.live.spec, kind))
    nothing = "" if has_one else f"there is nothing to approve or reject in an incident of kind {kind}"
    return guards.unless_open(draft) or nothing


def _words(bundle: Bundle, kind: str) -> Iterator[str]:
    """The names that give authority over a kind; none when it declares nothing, so nobody may approve it."""
    declared = bundle.kinds[kind].attributes
    if declared or any(kind in user.may_approve for user in bundle.users.values()):
        yield kind
        yield from declared


def amount_of(bundle: Bundle, kind: str, word: str, attributes: dict[str, object]) -> Stake:
    """What is at stake under this name.

    `forecast` if the kind declares that number, else the number of that name, else the largest of the kind's
    numbers. If the kind has none, the name alone is enough.
    """
    declared = bundle.kinds[kind].attributes
    numbers = [name for name, type_ in declared.items() if type_ == "number"]
    measured = [FORECAST] if FORECAST in numbers else [word] if word in numbers else numbers
    amounts = list[float]()
    for name in measured:
        value = attributes.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Stake(word, missing=name)
        amounts.append(float(value))
    return Stake(word, max(amounts, default=None))


def decide(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Approve or reject; either settles it."""
    decision = signal.arguments.decision
    if decision not in _DONE:
        return guards.invalid("decide needs `decision`: approve or reject")
    allowed, why_not = _authority(draft, signal.actor)
    if not allowed:
        return guards.forbidden(why_not)
    _settle(draft, signal, "approve" if decision == "approve" else "reject", allowed)
    return None


def _settle(draft: Draft, signal: ActionTaken, decision: Literal["approve", "reject"], allowed: str) -> None:
    by, note, done = signal.actor.user or signal.actor.name, signal.arguments.note, _DONE[decision]
    draft.set(approval=Approval(decision=decision, by=by, at=draft.now, note=note))
    text = f"{done} by {guards.who(draft, signal)}{guards.because(signal)}"
    draft.say("decided", text, Reason("rule 13: decide", values={"authority": allowed}))
    draft.change("decided")
    draft.outcome = f"It was {done}."
    by, person = signal.actor.user or draft.actor, bool(signal.actor.user)
    transitions.resolve(draft, by=by, text=text, source_time=None, person=person)


def _authority(draft: Draft, actor: Actor) -> tuple[str, str]:
    """What gives this actor authority, or '' with why it is missing and who has it."""
    if actor.role == "admin":
        return "the role admin", ""
    allowed, short = _of_user(draft, actor.user)
    if allowed:
        return allowed, ""
    could = ", ".join(map(draft.directory.display, _who_could(draft, actor.user)))
    onward = f"{could} may: escalate it because of authority" if could else "only the role admin may"
    return "", f"{short}; {onward}"


def _of_user(draft: Draft, name: str) -> tuple[str, str]:
    """What gives this user authority, or '' with what is missing."""
    bundle, incident = draft.live.spec, draft.incident
    user = bundle.users.get(name)
    may = user.may_approve if user is not None else {}
    if user is not None and user.role == "admin":
        return "the role admin", ""
    short = ""
    for word in _words(bundle, incident.kind):
        if word not in may:
            continue
        stake = amount_of(bundle, incident.kind, word, incident.attributes)
        if stake.missing:
            short = (
                short or f"attributes.{stake.missing} is not known, so that no limit can be held against it"
            )
        elif stake.amount is None or stake.amount <= may[word]:
            amount = f": {stake.amount:g} of {may[word]:g}" if stake.amount is not None else ""
            return f"may_approve.{word}{amount}", ""
        else:
            short = (
                short or f"{word} up to {may[word]:g} may be approved by you, this is about {stake.amount:g}"
            )
    return "", short or f"you may not decide about {incident.kind}: nothing in your may_approve covers it"


def _who_could(draft: Draft, asking: str) -> list[str]:
    """Who may decide: the nearest managers who may, otherwise everybody who may."""
    users = draft.live.spec.users
    line = list[str]()
    above = users[asking].manager if asking in users else None
    while above and above in users and above not in line:
        line.append(above)
        above = users[above].manager
    in_line = [name for name in line if _of_user(draft, name)[0]]
    return in_line or [name for name in users if name != asking and _of_user(draft, name)[0]][:5]
