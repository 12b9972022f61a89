"""Notes, stakeholder updates and subscriptions to one incident (docs/rules.md, rule 13)."""

from typing import Final

from services.router.domain.actions import guards
from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import shown_address
from services.router.domain.model.decision import Refusal
from services.router.domain.model.parts import Subscriber
from services.router.domain.model.signals import ActionTaken
from services.router.domain.stakeholders import updates
from shared.policy.model.addresses import expected
from shared.policy.model.targets import CHANNELS
from shared.security.secret_files import is_secret

MOST_SUBSCRIBERS: Final = 100


def note(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Add a note that stakeholders never see."""
    text = signal.arguments.text or signal.arguments.note
    if not text:
        return guards.invalid("note needs `text`")
    draft.touch()
    draft.say("note", text)
    return None


def unless_they_listen(draft: Draft) -> str:
    """Only until it is closed."""
    if draft.incident.status == "closed":
        return "it is closed: its stakeholders have heard the end of it"
    return ""


def update(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Send the stakeholders an update."""
    if not signal.arguments.text:
        return guards.invalid("update needs `text`: what the stakeholders are to read")
    updates.tell(draft, signal.arguments.text, person=bool(signal.actor.user))
    guards.remark(draft, signal)
    return None


def subscribe(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Subscribe the caller, another user or an address to this incident."""
    refusal = _wrong_subscriber(draft, signal)
    if refusal is not None:
        return refusal
    made = _subscriber(signal)
    known = draft.incident.subscribers
    if made in known:
        return None
    if len(known) >= MOST_SUBSCRIBERS:
        return guards.conflict(f"{MOST_SUBSCRIBERS} have subscribed to it already: it can have no more")
    draft.set(subscribers=(*known, made))
    draft.say("subscribed", f"{_shown(draft, made)} hears how it goes on")
    guards.remark(draft, signal)
    return None


def unless_somebody_subscribed(draft: Draft) -> str:
    """Only while somebody is subscribed to this incident."""
    nobody = "" if draft.incident.subscribers else "nobody has subscribed to this incident"
    return guards.unless_remembered(draft) or nobody


def unsubscribe(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """End a subscription to this one incident."""
    refusal = _wrong_subscriber(draft, signal)
    if refusal is not None:
        return refusal
    gone = _subscriber(signal)
    if gone not in draft.incident.subscribers:
        return None  # nobody has to be told that they will hear nothing
    draft.set(subscribers=tuple(each for each in draft.incident.subscribers if each != gone))
    draft.say("unsubscribed", f"{_shown(draft, gone)} hears of it no longer")
    guards.remark(draft, signal)
    return None


def _subscriber(signal: ActionTaken) -> Subscriber:
    return Subscriber(who=signal.arguments.who or signal.actor.user, via=signal.arguments.via)


def _shown(draft: Draft, subscriber: Subscriber) -> str:
    if subscriber.via:
        return f"{subscriber.via} {shown_address(subscriber.who)}"
    return draft.directory.display(subscriber.who)


def _wrong_subscriber(draft: Draft, signal: ActionTaken) -> Refusal | None:
    made, actor = _subscriber(signal), signal.actor
    if not made.who:
        return guards.invalid("`who` is missing: this key acts for nobody")
    if made.via:
        return _wrong_address(signal, made)
    if made.who not in draft.live.spec.users and signal.action == "subscribe":
        return guards.invalid(
            f"`who` is {made.who!r}, who is not a user; an address needs `via`, its channel"
        )
    if made.who != actor.user and not actor.may("responder"):
        return guards.forbidden(
            f"{signal.action} for somebody else needs the role responder; this key has viewer"
        )
    return None


def _wrong_address(signal: ActionTaken, made: Subscriber) -> Refusal | None:
    if made.via not in CHANNELS:
        return guards.invalid(f"`via` is {made.via!r}; known: {', '.join(CHANNELS)}")
    if not signal.actor.may("lead"):
        said = f"{signal.action} of an address needs the role lead; this key has {signal.actor.role}"
        return guards.forbidden(said)
    if signal.action == "unsubscribe":  # may also be one accepted before addresses were validated
        return None
    wrong = _not_an_address(made.via, made.who)
    return guards.invalid(f"`who` is not {wrong}") if wrong else None


def _not_an_address(channel: str, address: str) -> str:
    """What an address of this channel looks like; '' when this may be one. Secrets are the policy's alone."""
    return "an address" if is_secret(address) else expected(channel, address) or ""
