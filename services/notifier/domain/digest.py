"""Digests: what one subscription tells one address within its time becomes one message.

The first of them begins the digest, which goes out when its time is over. It lists the incidents, the newest
state first, and what happened to each; the end of an incident stands for its beginning.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid5

import msgspec

from services.notifier.domain.delivery import Content, Delivery, Digest, DigestEntry, Earlier
from services.notifier.domain.plan import NAMESPACE
from services.notifier.domain.retries import gives_up_at
from shared.events import IncidentSnapshot, Notice

DIGEST: Final = "digest"  # the event of such a delivery
MOST_LISTED: Final = 10  # incidents; the others are counted
MOST_OF_ONE: Final = 20  # of what happened to one incident
_LONGEST_TEXT: Final = 500
_LONGEST_DESCRIPTION: Final = 2_000
_ENDS: Final = frozenset({"resolved", "closed"})
_ENDED_WITH_IT: Final = frozenset({"opened", "reopened", "taken", "escalated", "at_risk"})


@dataclass(frozen=True, slots=True)
class Collected:
    """A digest whose time is over. `deliveries`: what the listed incidents would have sent, in order."""

    begun_at: datetime
    deliveries: Sequence[Delivery]
    incidents: int


def is_digested(delivery: Delivery) -> bool:
    """Whether it waits for others of its subscription instead of going out by itself."""
    notice = delivery.content.notice
    return notice is not None and notice.digest_seconds > 0 and bool(delivery.incident_id)


def key_of(delivery: Delivery) -> str:
    """What shares one message: subscription, words and address."""
    notice = delivery.content.notice
    assert notice is not None
    words = (notice.subscription, notice.template, notice.stakeholder, notice.digest_seconds)
    to = (delivery.recipient_kind, delivery.recipient, delivery.contact, delivery.channel, delivery.address)
    return str(uuid5(NAMESPACE, f"digest/{words}/{to}"))


def ends_at(delivery: Delivery, now: datetime) -> datetime:
    """When a digest that this one begins goes out; where its reader has quiet hours, not before their end."""
    notice = delivery.content.notice
    assert notice is not None
    return max(now + timedelta(seconds=notice.digest_seconds), delivery.next_attempt_at)


def delivery_of(collected: Collected, now: datetime) -> Delivery:
    """The one message; its id follows from the first that it holds."""
    by_incident: dict[str, list[Delivery]] = {}
    for each in collected.deliveries:
        by_incident.setdefault(each.incident_id, []).append(each)
    newest = sorted(by_incident.values(), key=lambda some: some[-1].content.at, reverse=True)
    entries = tuple(map(_entry, newest[:MOST_LISTED]))
    last = max(collected.deliveries, key=lambda each: each.content.at)
    notice = last.content.notice
    assert notice is not None
    first = min(collected.deliveries, key=lambda each: (each.content.at, each.id))
    identity = str(uuid5(NAMESPACE, f"{first.id}/{DIGEST}"))
    told = Notice(
        notice_id=identity,
        event=DIGEST,
        recipient=notice.recipient,
        text=_in_short(collected),
        reason=notice.reason,
        stakeholder=notice.stakeholder,
        template=notice.template,
        subscription=notice.subscription,
    )
    digest = Digest(since=collected.begun_at, entries=entries, incidents=collected.incidents)
    return Delivery(
        id=identity,
        incident_id="",
        version=0,
        notice_id=identity,
        recipient_kind=last.recipient_kind,
        recipient=last.recipient,
        channel=last.channel,
        contact=last.contact,
        address=last.address,
        secret=last.secret,
        event=DIGEST,
        content=Content(at=now, incident=_about_several(collected, now), notice=told, digest=digest),
        created_at=now,
        next_attempt_at=now,
        give_up_at=gives_up_at(is_page=False, created_at=now, act_by=None),
    )


def _entry(happened: Sequence[Delivery]) -> DigestEntry:
    newest = happened[-1].content
    incident = newest.incident
    if len(incident.description) > _LONGEST_DESCRIPTION:
        incident = msgspec.structs.replace(incident, description=incident.description[:_LONGEST_DESCRIPTION])
    earlier = _still_news([_as_earlier(each.content) for each in happened])[:-1]
    return DigestEntry(newest=msgspec.structs.replace(newest, incident=incident), earlier=tuple(earlier))


def _still_news(happened: Iterable[Earlier]) -> list[Earlier]:
    """Without what the end of the incident stands for."""
    kept: list[Earlier] = []
    for each in happened:
        if each.event in _ENDS:
            kept = [before for before in kept if before.event not in _ENDED_WITH_IT]
        kept.append(each)
    return kept[-MOST_OF_ONE:]


def _as_earlier(content: Content) -> Earlier:
    notice = content.notice
    assert notice is not None
    text = notice.text
    return Earlier(
        at=content.at,
        event=notice.event,
        text=text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…",
    )


def _in_short(collected: Collected) -> str:
    """All that a notifier of an earlier release could say of it, during an upgrade."""
    count = collected.incidents
    named = f"{count:,} incidents" if count > 1 else "one incident"
    return f"There is news of {named} since {collected.begun_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."


def _about_several(collected: Collected, now: datetime) -> IncidentSnapshot:
    """No single incident, as with an announcement."""
    return IncidentSnapshot(
        id="",
        integration="",
        dedup_key="",
        title=f"News of {collected.incidents:,} incident{'' if collected.incidents == 1 else 's'}",
        kind="",
        status="closed",
        priority=5,
        tier="",
        policy="",
        opened_at=now,
    )
