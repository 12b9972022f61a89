"""Who hears of a change without being asked to act: subscribers (POLICY.md, `subscriptions`), followers."""

from collections.abc import Sequence
from typing import Final

from services.router.domain.draft import Draft
from services.router.domain.lifecycle import user

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
    events = [event for event in EVENTS if event in draft.changes]
    if not draft.live.heard.isdisjoint(events):
        _tell_subscribers(draft, events)
    _tell_followers(draft, events)


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
                    text=draft.update_text if event == "update" else "",
                    reason=f"subscribed to {event} ({rule.where})",
                    stakeholder=True,
                    template=subscription.template or "",
                    digest=subscription.digest,
                )
        if hearing:
            names = ", ".join(draft.directory.shown(found.recipient) for found in hearing)
            draft.say("told", f"{', '.join(told)}: told {names}", reason)


def _tell_followers(draft: Draft, events: Sequence[str]) -> None:
    for event in ("taken", "update"):
        if event in events:
            for name in draft.incident.followers:
                if name in draft.live.bundle.users and f"user:{name}" != draft.actor:
                    draft.tell(user(name), event, text=draft.update_text, reason="you follow it")
