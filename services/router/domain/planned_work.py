"""Planned work that silences what somebody subscribed to: they hear when it begins and when it is over.

It is about no incident. A subscription to `maintenance` is told where its condition and that of the work can
hold for one incident; a customer, where one of the two names them (`customer.id == 'acme'`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.router.domain.draft.draft import LADDER, derived_id
from services.router.domain.draft.recipients import Directory
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Chain, Then
from services.router.domain.muting import suppression
from services.router.domain.stakeholders import departures
from shared.events import Announced, Recipient
from shared.policy import Subscription
from shared.policy.cel import overlap
from shared.policy.model.targets import Target

EVENT = "maintenance"


@dataclass(frozen=True, slots=True)
class Work:
    """Work under way: `key` tells it from others, `until` is the end of this time that it is done."""

    key: str
    name: str
    when: str
    then: Then
    until: datetime


def under_way(context: Context, now: datetime) -> Iterator[Work]:
    """One-off and recurring maintenance, and windows of the policy, that silence something now."""
    for work in context.overlay.maintenance:
        if (until := suppression.end_of(work, now)) is not None:
            yield Work(f"maintenance {work.id}", work.name, work.when, work.then, until)
    for rule in context.live.suppress.rules:
        spec = rule.spec
        if spec.window is not None and (until := suppression.closing(spec.window, now)) is not None:
            yield Work(f"rule {spec.name}", spec.name, spec.when, spec.then, until)


def announced(context: Context, work: Work, now: datetime, *, over: bool) -> Iterator[Announced]:
    """Who is told that it has begun, or is over; each once, however many of their subscriptions want it."""
    told: set[tuple[str, str]] = set()
    for rule in context.live.subscriptions.rules:
        spec = rule.spec
        if EVENT not in spec.events or not overlap.may_both_hold(work.when, spec.when):
            continue
        directory = Directory(context, context.live.spec, _stands_for(context, work, spec, now), now)
        for target in spec.who:
            recipients = _hearing(directory, context, target, told)
            for inside in (True, False):
                some = tuple(each for each in recipients if (each.kind in ("user", "team")) is inside)
                if some:
                    yield _message(work, target, some, now, over=over, inside=inside, where=rule.where)


def _hearing(
    directory: Directory, context: Context, target: Target, told: set[tuple[str, str]]
) -> list[Recipient]:
    hearing = []
    for found in directory.resolve((target,)).found:
        who = (found.recipient.kind, found.recipient.name)
        stays = departures.who_stays(context.overlay.left, found.recipient, departures.named(target))
        if stays is not None and who not in told:
            told.add(who)
            hearing.append(stays)
    return hearing


def _stands_for(context: Context, work: Work, spec: Subscription, now: datetime) -> Incident:
    """An incident that both would match, for targets that ask it: its customer, its service."""
    demanded = overlap.both(work.when, spec.when)
    only = {name: next(iter(values)) for name, values in demanded.items() if len(values) == 1}
    return Incident(
        id="",
        integration=LADDER,
        dedup_key=work.key,
        policy_hash=context.live.hash,
        title=work.name,
        opened_at=now,
        touched_at=now,
        decided_at=now,
        chain=Chain(policy="", since=now),
        customer=only.get("customer.id", ""),
        service=only.get("service", ""),
    )


def _message(
    work: Work,
    target: Target,
    recipients: tuple[Recipient, ...],
    now: datetime,
    *,
    over: bool,
    inside: bool,
    where: str,
) -> Announced:
    by = departures.named(target)
    title, text = (_inside if inside else _outside)(work, over=over)
    return Announced(
        message_id=derived_id(EVENT, work.key, work.until, over, where, target.text, inside),
        at=now,
        event=EVENT,
        title=title,
        text=text,
        reason=f"subscribed to maintenance ({where})" if inside else "",
        recipients=recipients,
        stakeholder=not inside,
        subscription=by,
    )


def _inside(work: Work, *, over: bool) -> tuple[str, str]:
    then = "dropped" if work.then == "drop" else "paged"
    if over:
        return f"Maintenance {work.name} is over", f"What still stands is {then} now: {work.when}"
    until = f"{work.until:%Y-%m-%d} at {work.until:%H:%M} UTC"
    return (
        f"Maintenance {work.name} has begun",
        f"Nobody is notified of what matches until {until}; what still stands is {then} then: {work.when}",
    )


def _outside(work: Work, *, over: bool) -> tuple[str, str]:
    """Nothing internal: neither what it concerns nor who planned it."""
    if over:
        return f"Planned work is over: {work.name}", "From now on you hear of problems as before."
    until = f"{work.until:%Y-%m-%d} at {work.until:%H:%M} UTC"
    return (
        f"Planned work has begun: {work.name}",
        f"It takes until {until}. Until then you do not hear of problems that it may cause.",
    )
