"""The course of an incident, decided by the router's own core, up to the message somebody wants to see. Pure.

Each step is a real decision, played at the moment at which it would be made. Where the policy tells nobody of
what was asked for, the message is made for whoever is to read it, and it says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from ladder.refusal import NotPossibleError
from services.router.domain.decide import decide
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import (
    ActionArguments,
    ActionTaken,
    Actor,
    EventReceived,
    Signal,
    TimerFired,
)
from services.router.domain.model.vocabulary import ActionName
from shared.events import IncidentChanged, IncidentEvent, Notice, Page, Recipient
from shared.policy import Bundle
from shared.policy.model.targets import CustomerTarget

What: TypeAlias = Literal[
    "page",
    "opened",
    "escalated",
    "taken",
    "update",
    "at_risk",
    "breached",
    "handoff",
    "resolved",
    "confirm",
    "closed",
    "reopened",
]
WHATS: Final[tuple[What, ...]] = get_args(What)
CUSTOMER: Final = "customer"  # as whom somebody outside reads it
PUBLIC_URL: Final = "https://ladder.example.com"  # where no Ladder is
UPDATE: Final = "We found the cause and expect it to work again within the hour."
_MOST_DECISIONS: Final = 500
_AFTER: Final = timedelta(minutes=3)  # between two things that people do
_JUST_BEFORE: Final = timedelta(seconds=1)
_NOBODY: Final = "Nobody is paged for this event by this policy."


class NothingToShowError(NotPossibleError):
    """With this event and this policy there is no such message; says why."""

    exit_code = 1
    kind = "nothing-to-show"
    title = "There is no such message"


@dataclass(frozen=True, slots=True)
class Told:
    """A message of the router, and what of it is meant.

    `note`: what was made up, in a sentence; '' if nothing.
    """

    message: IncidentChanged
    asked: Page | Notice
    at: datetime
    note: str = ""


def told(
    events: Sequence[IncidentEvent],
    live: CompiledBundle,
    what: What,
    *,
    to: str = "",
    text: str = UPDATE,
    now: datetime,
) -> Told:
    """The page or notice of these events that `to` – a user, a team, `customer` – would get.

    Without `to`: whoever gets it first. Raises NothingToShowError.
    """
    play = _Play(Context(live=live), now, text)
    for event in events:
        play.see(event)
    if what == "page":
        return _paged(play, to)
    _COURSES[what](play)
    return _noticed(play, what, to)


# --- playing ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Play:
    """Decisions so far, and the messages that they made."""

    context: Context
    now: datetime
    text: str  # of the update that somebody writes
    incident: Incident | None = None
    messages: list[tuple[datetime, IncidentChanged]] = field(default_factory=list)

    def see(self, event: IncidentEvent) -> None:
        self._decide(EventReceived(event))

    def act(self, action: ActionName, arguments: ActionArguments | None = None) -> None:
        """Whoever was paged first does it, before anything else happens. Raises NothingToShowError."""
        paged = self.first_page().recipient
        due = self.incident.next_due_at if self.incident is not None else None
        at = self.now + _AFTER
        self.now = max(min(at, due - _JUST_BEFORE), self.now) if due is not None else at
        user = paged.name if paged.kind == "user" else next(iter(self.context.live.spec.users))
        actor = Actor(f"user:{user}", "admin", user)
        refused = self._decide(ActionTaken(action, actor, arguments or ActionArguments()))
        if refused:
            raise NothingToShowError(f"{action} is not possible: {refused}.")

    def first_page(self) -> Page:
        """Of whoever was paged first. Raises NothingToShowError where nobody ever is."""
        for _, message in self.until(lambda each: bool(each.pages)):
            return message.pages[0]
        raise NothingToShowError(_NOBODY)

    def until(self, is_it: Callable[[IncidentChanged], bool]) -> Iterator[tuple[datetime, IncidentChanged]]:
        """The messages of which this is true; time goes on until there is one. None may ever come."""
        yield from [each for each in self.messages if is_it(each[1])]
        for _ in range(_MOST_DECISIONS):
            incident = self.incident
            if incident is None or incident.next_due_at is None or incident.status == "closed":
                break
            self.now = max(self.now, incident.next_due_at)
            before = len(self.messages)
            self._decide(TimerFired())
            yield from [each for each in self.messages[before:] if is_it(each[1])]

    def _decide(self, signal: Signal) -> str:
        """Take this in; why it is refused, if it is."""
        decision = decide(self.incident, signal, self.context, self.context.live, self.now)
        if decision.refusal is not None:
            return decision.refusal.reason
        if decision.incident is None:
            why = decision.orphan.reason if decision.orphan is not None else "nothing is known of it"
            raise NothingToShowError(f"The event opens no incident: {why}.")
        rotations = {**self.context.rotations, **decision.rotations}
        self.context = replace(self.context, rotations=rotations)
        self.incident = decision.incident
        if decision.message is not None:
            self.messages.append((self.now, decision.message))
        return ""


def _taken(play: _Play) -> None:
    play.act("acknowledge")


def _escalated(play: _Play) -> None:
    play.act("escalate")


def _update(play: _Play) -> None:
    _taken(play)
    play.act("update", ActionArguments(text=play.text))


def _resolved(play: _Play) -> None:
    _taken(play)
    play.act("resolve")


def _closed(play: _Play) -> None:
    _resolved(play)
    if play.incident is not None and play.incident.status != "closed":
        play.act("close")


def _reopened(play: _Play) -> None:
    _resolved(play)
    play.act("reopen")


def _at_risk(play: _Play) -> None:
    _taken(play)
    _clock(play, "warn", "see `slas` and `warn_at`")


def _breached(play: _Play) -> None:
    _taken(play)
    _clock(play, "breach", "see `slas`")


def _clock(play: _Play, event: str, see: str) -> None:
    found = play.until(lambda each: any(clock.event == event for clock in each.clock_events))
    if next(found, None) is None:
        raise NothingToShowError(f"This policy promises nothing of which that could be said: {see}.")


def _handed_over(play: _Play) -> None:
    _taken(play)
    next(play.until(lambda each: "handoff" in each.changes), None)


_COURSES: Final[Mapping[What, Callable[[_Play], None]]] = {
    "opened": lambda _: None,
    "escalated": _escalated,
    "taken": _taken,
    "update": _update,
    "at_risk": _at_risk,
    "breached": _breached,
    "handoff": _handed_over,
    "resolved": _resolved,
    "confirm": _resolved,
    "closed": _closed,
    "reopened": _reopened,
}


# --- finding what is meant --------------------------------------------------------------------------------


def _paged(play: _Play, to: str) -> Told:
    paged: dict[str, None] = {}
    for at, message in play.until(lambda each: bool(each.pages)):
        for page in message.pages:
            if _is(page.recipient, to):
                return Told(message, page, at)
            paged[page.recipient.name] = None
    if not paged:
        raise NothingToShowError(_NOBODY)
    raise NothingToShowError(f"{to} is not paged for this event by this policy; {', '.join(paged)} would be.")


def _noticed(play: _Play, what: What, to: str) -> Told:
    """The notice as the policy makes it; otherwise one in its place, for whom it is to be."""
    found = [
        (at, message, notice)
        for at, message in play.messages
        for notice in message.notices
        if notice.event == what
    ]
    for at, message, notice in reversed(found):
        if _is(notice.recipient, to):
            return Told(message, notice, at)
    at, message = play.messages[-1]
    like = found[-1][2] if found else None
    recipient = _recipient(play, to)
    if what == "handoff" and recipient.kind == "customer":
        raise NothingToShowError("A handoff is told to people of the policy only.")
    notice = _made_up(message, what, recipient, like, play)
    note = f"The policy tells {recipient.name} nothing of this: so it would read if it did."
    return Told(msgspec.structs.replace(message, notices=(notice,)), notice, at, note)


def _is(recipient: Recipient, to: str) -> bool:
    return not to or recipient.name == to or (to == CUSTOMER and recipient.kind == "customer")


def _recipient(play: _Play, to: str) -> Recipient:
    """Who is meant by a name. Raises NothingToShowError for one that the policy lacks."""
    bundle = play.context.live.spec
    if not to:
        return play.first_page().recipient
    if to in bundle.users:
        return Recipient(kind="user", name=to)
    if to in bundle.teams:
        return Recipient(kind="team", name=to)
    incident = play.incident
    if to == CUSTOMER or to in bundle.customers:
        known = incident.customer if incident is not None and incident.customer else CUSTOMER
        return Recipient(kind="customer", name=to if to in bundle.customers else known)
    raise NothingToShowError(f"{to} is neither a user nor a team nor a customer of the policy.")


def _made_up(
    message: IncidentChanged, what: What, recipient: Recipient, like: Notice | None, play: _Play
) -> Notice:
    """What they would be told; `like`: what somebody else is."""
    outside, bundle = recipient.kind == "customer", play.context.live.spec
    identity, reason = f"{message.message_id}/preview", "" if outside else f"subscribed to {what}"
    if like is not None and like.stakeholder == outside:
        return msgspec.structs.replace(like, notice_id=identity, recipient=recipient, reason=reason)
    text = play.text if what == "update" else ""
    if what == "handoff":
        reason, text = "on call now", _takes_over(bundle.display(message.incident.assignee))
    return Notice(
        notice_id=identity,
        event=what,
        recipient=recipient,
        text=text,
        reason=reason,
        stakeholder=outside,
        template=_template(bundle, what) if outside else "",
        targets=tuple(clock.target for clock in message.clock_events if clock.event in ("warn", "breach")),
    )


def _takes_over(who: str) -> str:
    return (
        f"You are on call now, and this is open. {who} took it and is off now; "
        f"it stays with {who} until somebody takes it over."
    )


def _template(bundle: Bundle, what: What) -> str:
    """In whose words the policy tells customers of it; '' for Ladder's own."""
    for subscription in bundle.subscriptions:
        if any(isinstance(who, CustomerTarget) for who in subscription.who) and what in subscription.events:
            return subscription.template or ""
    return ""
