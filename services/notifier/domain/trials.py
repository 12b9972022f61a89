"""A test page: the whole of a person's rules for one loudness, with their delays, as a real page would go.

It belongs to an incident that no router knows, so nothing is reported of it. Quiet hours do not delay it: the
person who asks for it is there.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from services.notifier.domain import quiet_hours
from services.notifier.domain.contacts import actor_name
from services.notifier.domain.delivery import TEST, Delivery
from services.notifier.domain.personal_rules import Loudness, steps_of
from services.notifier.domain.plan import plan
from shared.events import IncidentChanged, IncidentSnapshot, Page, Recipient
from shared.policy import Bundle
from shared.policy.model.durations import format_duration

HURRY: Final = timedelta(seconds=10)
"""Between two steps of a test that is in a hurry."""
AT_MOST_EVERY: Final = timedelta(minutes=1)


def deliveries_of(
    identity: str, user: str, loudness: Loudness, by: str, *, hurry: bool, bundle: Bundle, now: datetime
) -> Sequence[Delivery]:
    """Its steps; `by` is who asks for it, as an actor. Empty for a user without contacts."""
    page = _page(identity, user, loudness, bundle, now, by=by)
    message = IncidentChanged(
        message_id=identity,
        at=now,
        actor=by,
        incident=_incident(identity, user, loudness, bundle, now),
        pages=(page,),
    )
    made = [replace(each, event=TEST) for each in plan(message, bundle, now).deliveries]
    return _hurried(made, now) if hurry else made


def waits_until(user: str, bundle: Bundle, now: datetime) -> str:
    """In words: until when quiet hours would delay a page that is not loud; '' if they would not."""
    page = Page(
        page_id="", recipient=Recipient(kind="user", name=user), level="", reason="", loud=False, since=now
    )
    whose = quiet_hours.whose(page, bundle)
    ends = quiet_hours.ends_at(whose, page, _incident("", user, "low", bundle, now), now) if whose else None
    return quiet_hours.in_words(ends, whose) if ends is not None and whose is not None else ""


def _page(identity: str, user: str, loudness: Loudness, bundle: Bundle, now: datetime, *, by: str) -> Page:
    recipient = Recipient(kind="user", name=user)
    steps = [
        f"{step.contact.name} {f'after {format_duration(step.after)}' if step.after else 'at once'}"
        for step in steps_of(recipient, loudness, bundle)
    ]
    return Page(
        page_id=identity,
        recipient=recipient,
        level="",
        reason=f"{actor_name(by, bundle)} asked for it, to try your `{loudness}` rules: {', '.join(steps)}",
        through=TEST,
        by_schedule=True,
        loud=loudness == "high",
        since=now,
    )


def _incident(
    identity: str, user: str, loudness: Loudness, bundle: Bundle, now: datetime
) -> IncidentSnapshot:
    """What the message is about: nothing, and it is over, so that no button offers to take it."""
    return IncidentSnapshot(
        id=identity,
        integration="ladder",
        dedup_key=identity,
        title=f"Test page for {bundle.display(user)}",
        kind=TEST,
        status="closed",
        priority=1 if loudness == "high" else 4,
        tier="",
        policy="",
        opened_at=now,
    )


def _hurried(made: Sequence[Delivery], now: datetime) -> Sequence[Delivery]:
    """The same with seconds between the steps."""
    moments = sorted({each.next_attempt_at for each in made})
    return [replace(each, next_attempt_at=now + HURRY * moments.index(each.next_attempt_at)) for each in made]
