"""Who hears of a change without being asked to act: subscribers (POLICY.md, `subscriptions`), followers."""

from collections.abc import Sequence
from typing import Final

from services.router.domain.draft import Draft
from services.router.domain.lifecycle import user
from services.router.domain.reason import Reason
from shared.events import Contact, Recipient

EVENTS: Final = (
    "opened",
    "escalated",
    "update",
    "at_risk",
    "breached",
    "taken",
    "resolved",
    "closed",
    "reopened",
)


def fan_out(draft: Draft) -> None:
    """Tell every subscription that matches of what this decision changed, and the followers of its end."""
    untold = _untold(draft)
    events = [event for event in EVENTS if event in draft.changes and event not in untold]
    if draft.incident.is_muted:
        if "update" in events:
            why = draft.incident.suppressed_by or f"it belongs to incident {draft.incident.parent}"
            draft.say("muted", f"nobody hears the update: {why}", Reason("rule 11"))
        return
    if not draft.live.heard.isdisjoint(events):
        _tell_subscribers(draft, events)
    if draft.incident.subscribers:
        _tell_its_own(draft, events)
    _tell_followers(draft, events)


def _untold(draft: Draft) -> frozenset[str]:
    """What nobody hears of a held one: perhaps it never came back, and its end was heard before (rule 16)."""
    if draft.incident.late is not None:
        return frozenset({"opened", "reopened"})
    never = draft.initial.late is not None and draft.incident.status == "resolved"
    return frozenset({"resolved"}) if never else frozenset()


def _tell_subscribers(draft: Draft, events: Sequence[str]) -> None:
    for rule in draft.live.subscriptions.matching(draft.activation):
        subscription = rule.spec
        told = [event for event in events if event in subscription.events]
        if not told:
            continue
        resolved = draft.directory.resolve(subscription.who)
        reason = rule.reason(draft.activation)
        for gap in resolved.gaps:
            draft.say("nobody", f"{rule.where}: {gap}", reason)
        paged = [page.recipient for page in draft.pages]
        hearing = [found for found in resolved.found if found.recipient not in paged]
        for event in told:
            for found in hearing:
                draft.tell(
                    found.recipient,
                    event,
                    text=_text(draft, event),
                    reason=f"subscribed to {event} ({rule.where})",
                    stakeholder=True,
                    template=subscription.template or "",
                    digest=subscription.digest,
                )
        if hearing:
            names = ", ".join(draft.directory.shown(found.recipient) for found in hearing)
            draft.say("told", f"{', '.join(told)}: told {names}", reason)


def _text(draft: Draft, event: str) -> str:
    """What they read beyond the event itself; nothing internal."""
    if event == "update":
        return draft.update_text
    return draft.outcome if event == "resolved" else ""


def _tell_its_own(draft: Draft, events: Sequence[str]) -> None:
    """Those who subscribed to this one incident; addresses read nothing internal."""
    paged = [page.recipient for page in draft.pages]
    for subscriber in draft.incident.subscribers:
        if subscriber.via:
            contact = Contact(name=subscriber.via, channel=subscriber.via, address=subscriber.who)
            recipient = Recipient(kind="address", name=subscriber.who, contacts=(contact,))
        elif subscriber.who in draft.live.bundle.users and f"user:{subscriber.who}" != draft.actor:
            recipient = user(subscriber.who)
        else:
            continue
        for event in events if recipient not in paged else ():
            outside, text = bool(subscriber.via), _text(draft, event)
            reason = "you subscribed to it"
            draft.tell(recipient, event, text=text, reason=reason, stakeholder=outside)


def _tell_followers(draft: Draft, events: Sequence[str]) -> None:
    for event in ("taken", "update"):
        if event in events:
            for name in draft.incident.followers:
                if name in draft.live.bundle.users and f"user:{name}" != draft.actor:
                    draft.tell(user(name), event, text=draft.update_text, reason="you follow it")
