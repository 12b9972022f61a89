"""May a delivery go out once more because somebody asks for it?

A message goes again if it is still wanted and there is somewhere to send it to. Nothing is sent by hand that
a notifier would not send by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.notifier.domain.contacts import contacts_of
from services.notifier.domain.delivery import Delivery, State
from services.notifier.domain.retries import gives_up_at
from shared.events import Recipient
from shared.policy import Bundle

_IN_THE_POLICY: Final = frozenset({"user", "team", "call"})  # the message brings the contacts of all others


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a delivery stands: its own state, and what has become of its page and its endpoint."""

    state: State
    waits_for_others: bool = False  # for the log to be read to its end, or for the outcome of pages
    settled: bool = False
    settled_why: str = ""
    settled_by: str = ""
    superseded_by: str = ""  # the newer page
    disabled_because: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it does not go again. `kind` stays the same across releases; `detail` says what to do."""

    kind: str
    detail: str


def with_present_contact(delivery: Delivery, bundle: Bundle) -> Delivery | None:
    """The delivery to where its contact leads now: a mistake may have been mended; None: it is gone."""
    if delivery.recipient_kind not in _IN_THE_POLICY:
        return delivery
    recipient = Recipient(kind=delivery.recipient_kind, name=delivery.recipient)  # type: ignore[arg-type]
    for contact in contacts_of(recipient, bundle):
        if (contact.name, contact.channel) == (delivery.contact, delivery.channel):
            return replace(delivery, address=contact.address, secret=contact.secret)
    return None


def refusal(delivery: Delivery, present: Delivery | None, standing: Standing) -> Refusal | None:
    """Why it must not go again; None when it may."""
    return _unfinished(standing) or _unwanted(delivery, standing) or _nowhere(delivery, present, standing)


def _unfinished(standing: Standing) -> Refusal | None:
    if standing.state == "sending":
        return Refusal("delivery-under-way", "an attempt is under way: its outcome is known within seconds")
    if standing.state == "pending" and standing.waits_for_others:
        return Refusal("delivery-waits", "it is decided within seconds whether it is wanted at all")
    return None


def _unwanted(delivery: Delivery, standing: Standing) -> Refusal | None:
    if delivery.is_urgent and standing.settled:
        by = f" by {standing.settled_by}" if standing.settled_by else ""
        return Refusal("page-settled", f"nobody needs it any more: {standing.settled_why or 'settled'}{by}")
    if delivery.is_page and standing.superseded_by:
        newer = standing.superseded_by
        has_it = f"GET /v1/deliveries?page={newer} has it"
        return Refusal("page-superseded", f"page {newer} has taken its place: {has_it}")
    return None


def _nowhere(delivery: Delivery, present: Delivery | None, standing: Standing) -> Refusal | None:
    if present is None:
        who = f"{delivery.recipient_kind} {delivery.recipient}"
        lacks = f"{who} has no contact {delivery.contact!r} on {delivery.channel} in the policy in force"
        return Refusal("contact-gone", f"{lacks}: add it, or reach them by another contact")
    if standing.disabled_because:
        why = f"its endpoint is disabled ({standing.disabled_because})"
        path = f"DELETE /v1/deliveries/endpoints?delivery={delivery.id}"
        by = f"{path}, or ladder deliveries enable {delivery.id}"
        return Refusal("endpoint-disabled", f"{why}. When it works again, an admin enables it: {by}")
    return None


def due_again(present: Delivery, now: datetime) -> Delivery:
    """The delivery as it goes out: at once, and with as much time as a new one has."""
    page, notice = present.content.page, present.content.notice
    until = gives_up_at(
        is_page=present.is_page,
        created_at=now,
        act_by=page.act_by if page else None,
        until=notice.until if notice else None,
    )
    return replace(present, next_attempt_at=now, give_up_at=max(present.give_up_at, until))
