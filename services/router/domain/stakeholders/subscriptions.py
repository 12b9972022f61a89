"""Subscribers and followers: who hears of a change without having to act (docs/policy.md, `subscriptions`).

Whoever heard of an incident through a subscription also hears that it ended or came back, even if the
subscription's condition no longer holds or a silence has begun since.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft.draft import NEWS, Draft, derived_id
from services.router.domain.draft.names import at_address, user
from services.router.domain.draft.recipients import Found
from services.router.domain.model.compiled_bundle import Rule
from services.router.domain.model.reason import Reason
from services.router.domain.model.vocabulary import ClockHappening, SubscribedEvent
from services.router.domain.stakeholders import departures
from shared.events import ONE_INCIDENT
from shared.policy import Subscription
from shared.policy.model.targets import Target

EVENTS: Final[tuple[SubscribedEvent, ...]] = (
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
_OVER: Final[frozenset[SubscribedEvent]] = frozenset({"resolved", "closed"})
_ENDS: Final[frozenset[SubscribedEvent]] = _OVER | {"reopened"}
_ELSEWHERE: Final = "It is the same problem as another one that is known, and goes on together with it."
_CLOCK_EVENTS: Final[Mapping[SubscribedEvent, ClockHappening]] = {"at_risk": "warn", "breached": "breach"}
_HEARD: Final = "who heard of it hears how it ends"


def fan_out(draft: Draft) -> None:
    """Tell every matching subscription what this decision changed, and followers of its end."""
    if not draft.changes:
        return
    was_late = draft.incident.late is not None or draft.initial.late is not None
    untold = _untold(draft) if was_late else frozenset[SubscribedEvent]()
    events = [event for event in EVENTS if event in draft.changes and event not in untold]
    if "at_risk" in events and not _targets(draft, "at_risk", inside=True):
        events.remove("at_risk")  # what was at risk is broken by now, and that is told
    if draft.is_muted:
        if "update" in events:
            why = draft.incident.suppressed_by or f"it belongs to incident {draft.incident.parent}"
            draft.say("muted", f"nobody hears the update: {why}", Reason("rule 11"))
        _tell_of_the_end(draft, events)
        return
    if not draft.live.heard.isdisjoint(events):
        _tell_subscribers(draft, events)
    if draft.incident.subscribers:
        _tell_its_own(draft, events)
    if draft.incident.followers:
        _tell_followers(draft, events)


def _untold(draft: Draft) -> frozenset[SubscribedEvent]:
    """Events of a held incident that nobody hears: it may never have come back (rule 16)."""
    if draft.incident.late is not None:
        return frozenset({"opened", "reopened"})
    never = draft.initial.late is not None and draft.incident.status == "resolved"
    return frozenset({"resolved"}) if never else frozenset()


def _tell_subscribers(draft: Draft, events: Sequence[SubscribedEvent]) -> None:
    seen = draft.activation
    matching = tuple(draft.live.subscriptions.matching(seen))
    for rule in matching:
        _tell_by(draft, rule, events, rule.reason(seen))
    ends = [event for event in events if event in _ENDS]
    if ends and draft.incident.told:
        places = {rule.where for rule in matching}
        for rule in _have_heard(draft):
            if rule.where not in places:
                _tell_by(draft, rule, ends, Reason(rule.where, values={"because": _HEARD}))


def _tell_of_the_end(draft: Draft, events: Sequence[SubscribedEvent]) -> None:
    """While nobody is told anything else: it is over, or goes on under another one."""
    ends = [event for event in events if event in _OVER]
    if _is_merged_now(draft):
        ends = ["closed"]
    elif ends and draft.incident.subscribers:
        _tell_its_own(draft, ends)
    if draft.incident.parent and not draft.incident.merged:
        return  # its group tells them
    for rule in _have_heard(draft) if ends else ():
        _tell_by(draft, rule, ends, Reason(rule.where, values={"because": _HEARD}))


def _is_merged_now(draft: Draft) -> bool:
    incident, before = draft.incident, draft.initial
    return incident.belongs_to is not before.belongs_to and incident.merged and not before.merged


def _have_heard(draft: Draft) -> Iterator[Rule[Subscription]]:
    """The subscriptions through which somebody heard of this incident."""
    for rule in draft.live.subscriptions.rules:
        if _named(rule.spec) in draft.incident.told:
            yield rule


def _tell_by(
    draft: Draft, rule: Rule[Subscription], events: Sequence[SubscribedEvent], reason: Reason
) -> None:
    subscription = rule.spec
    merged = draft.incident.belongs_to is not None and _is_merged_now(draft)
    told = [event for event in events if event in subscription.events or merged]
    if not told:
        return
    directory = draft.directory
    hearing = _hearing(draft, rule, reason, news=not NEWS.isdisjoint(told))
    before = len(draft.notices)
    for event in told:
        for found, by in hearing:
            inside = found.recipient.kind in ("user", "team")
            targets = _targets(draft, event, inside=inside)
            if event in _CLOCK_EVENTS and not targets:
                continue
            draft.notify(
                found.recipient,
                event,
                text=_text(draft, event, inside=inside and not subscription.template),
                reason=f"subscribed to {event} ({rule.where})",
                stakeholder=not inside,
                template=subscription.template or "",
                digest=subscription.digest,
                targets=targets,
                paged_since=0 if draft.is_muted else None,
                subscription=by,
            )
    if hearing and len(draft.notices) > before:
        names = ", ".join(directory.shown(found.recipient) for found, _ in hearing)
        draft.say("told", f"{', '.join(told)}: told {names}", reason)
    if hearing and not _ENDS.isdisjoint(subscription.events) and not _OVER.issuperset(told):
        _note(draft, subscription)


def _hearing(
    draft: Draft, rule: Rule[Subscription], reason: Reason, *, news: bool
) -> Sequence[tuple[Found, str]]:
    """Who is told by this subscription, each once, and by which target; not who is paged, or has left.

    `news`: what they are told is what answers a customer.
    """
    paged = [page.recipient for page in draft.pages]
    hearing: dict[tuple[str, str], tuple[Found, str]] = {}
    for target in rule.spec.who:
        resolved, by = draft.directory.resolve((target,)), departures.named(target)
        for gap in resolved.gaps:
            draft.say("nobody", f"{rule.where}: {gap}", reason)
        for found in resolved.found:
            who = (found.recipient.kind, found.recipient.name)
            if who in hearing or found.recipient in paged:
                continue
            stays = departures.who_stays(draft.context.overlay.left, found.recipient, by)
            if stays is None:
                shown = draft.directory.shown(found.recipient)
                draft.say("nobody", f"{rule.where}: {shown} has unsubscribed", reason)
                draft.customer_left |= news and found.recipient.kind == "customer"
            else:
                hearing[who] = replace(found, recipient=stays), by
    return tuple(hearing.values())


def _note(draft: Draft, subscription: Subscription) -> None:
    """Remember a subscription that heard of it, if it is one that hears ends, too."""
    name = _named(subscription)
    if name not in draft.incident.told:
        draft.set(told=(*draft.incident.told, name))


def _named(subscription: Subscription) -> str:
    """How to find it again after a policy change: whom it tells, when, and in which words."""
    return _name(subscription.who, subscription.when, subscription.template or "")


@lru_cache(maxsize=4_096)
def _name(who: tuple[Target, ...], when: str, template: str) -> str:
    return derived_id("subscription", " ".join(target.text for target in who), when, template)[:13]


def _targets(draft: Draft, event: SubscribedEvent, *, inside: bool) -> tuple[str, ...]:
    """The targets at risk or broken; none when there is nothing new to tell.

    A broken promise is no longer at risk. People inside hear each warning; people outside, for whom they all
    read the same, only the first.
    """
    if event not in _CLOCK_EVENTS:
        return ()
    happened = _CLOCK_EVENTS[event]
    meant = dict.fromkeys(each.target for each in draft.clock_events if each.event == happened)
    if event == "breached":
        return tuple(meant)
    before = {clock.target: clock for clock in draft.initial.clocks}
    found = []
    for clock in draft.incident.clocks:
        if clock.target not in meant or clock.breached:
            continue
        earlier = before.get(clock.target)
        warned = earlier is not None and not set(earlier.thresholds).isdisjoint(clock.warn_at)
        if inside or not warned:
            found.append(clock.target)
    return tuple(found)


def _text(draft: Draft, event: SubscribedEvent, *, inside: bool) -> str:
    """What they read beyond the event: nothing internal, except, for people inside, how it was solved."""
    if event == "update":
        return draft.update_text
    if draft.incident.belongs_to is not None and draft.incident.merged:
        return _ELSEWHERE
    if event != "resolved":
        return ""
    return draft.outcome or (draft.sentence("resolved") if inside else "")


def _tell_its_own(draft: Draft, events: Sequence[SubscribedEvent]) -> None:
    """Tell those who subscribed to this one incident; addresses read nothing internal."""
    paged = [page.recipient for page in draft.pages]
    for subscriber in draft.incident.subscribers:
        if subscriber.via:
            recipient = at_address(subscriber.via, subscriber.who)
        elif subscriber.who in draft.live.spec.users and f"user:{subscriber.who}" != draft.actor:
            recipient = user(subscriber.who)
        else:
            continue
        for event in events if recipient not in paged else ():
            outside = bool(subscriber.via)
            text = _text(draft, event, inside=not outside)
            targets = _targets(draft, event, inside=not outside)
            if targets or event not in _CLOCK_EVENTS:
                draft.notify(
                    recipient,
                    event,
                    text=text,
                    reason="you subscribed to it",
                    stakeholder=outside,
                    targets=targets,
                    paged_since=0 if draft.is_muted else None,
                    subscription=ONE_INCIDENT,
                )


def _tell_followers(draft: Draft, events: Sequence[SubscribedEvent]) -> None:
    for event in ("taken", "update"):
        if event in events:
            for name in draft.incident.followers:
                if name in draft.live.spec.users and f"user:{name}" != draft.actor:
                    text, why = _taken_over(draft, event, name) or (draft.update_text, "you follow it")
                    draft.notify(user(name), event, text=text, reason=why)


def _taken_over(draft: Draft, event: SubscribedEvent, name: str) -> tuple[str, str] | None:
    """What the previous owner reads when another took it."""
    now_has_it = draft.incident.assignee
    if event != "taken" or name != draft.initial.assignee or now_has_it in ("", name):
        return None
    return f"{draft.directory.display(now_has_it)} took it over from you.", "it was assigned to you"
