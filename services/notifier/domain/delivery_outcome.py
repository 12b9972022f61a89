"""The state of a delivery after an attempt, and what is reported to the router."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import uuid5

from services.notifier.domain.delivery import Delivery, State
from services.notifier.domain.plan import NAMESPACE
from services.notifier.domain.retries import next_attempt
from shared.events import DeliveryReport


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state after an attempt; `next_attempt_at` only if it is pending."""

    state: State
    reason: str = ""
    next_attempt_at: datetime | None = None


def after_failure(
    delivery: Delivery, reason: str, retry_after: float | None, jitter: float, now: datetime
) -> Verdict:
    """Pending again, or failed for good when its time or its attempts are used up."""
    at = next_attempt(
        now,
        is_urgent=delivery.is_urgent,
        attempts=delivery.attempts,
        give_up_at=delivery.give_up_at,
        retry_after=retry_after,
        jitter=jitter,
    )
    if at is None:
        return Verdict("failed", f"given up after {delivery.attempts} attempts: {reason}")
    return Verdict("pending", reason, at)


def report(
    delivery: Delivery, state: str, reason: str, *, unreachable: bool, now: datetime
) -> DeliveryReport | None:
    """The report to the router about a delivery in this state; None where it needs none.

    For a page, every final outcome: the first success says that it reached its recipient, the last failure
    that it reached nobody. For a notice only failures; for a call its outcome.
    """
    if delivery.is_test or not delivery.incident_id or delivery.is_state:
        return None  # an announcement, or what notifies nobody: no incident waits for it
    outcome: Literal["sent", "delivered", "failed"]
    page: Literal["", "reached", "unreachable"] = ""
    match state:
        case "sent" | "delivered":
            if not delivery.is_urgent:
                return None
            outcome = "sent" if state == "sent" else "delivered"
            page = "reached" if delivery.is_page else ""
        case "failed":
            outcome, page = "failed", "unreachable" if unreachable and delivery.is_page else ""
        case _:
            return None
    notice = delivery.event if delivery.notice_id else ""
    return _report(delivery, outcome, now, outcome=outcome, page=page, event=notice, reason=reason[:1_000])


def digest_reports(delivery: Delivery, state: str, reason: str, now: datetime) -> list[DeliveryReport]:
    """Of a digest that reached nobody: one report to each incident that it lists."""
    digest = delivery.content.digest
    if digest is None or state != "failed":
        return []
    told = [entry.newest for entry in digest.entries]
    about = [(replace(delivery, incident_id=each.incident.id), each.notice) for each in told]
    return [
        _report(
            one, f"failed/{one.incident_id}", now, outcome="failed", event=notice.event, reason=reason[:1_000]
        )
        for one, notice in about
        if notice is not None
    ]


def superseded(delivery: Delivery, newer: str, now: datetime) -> DeliveryReport:
    """The report about a page that was never sent because a newer one replaces it."""
    why = f"superseded by page {newer}"
    return _report(delivery, "superseded", now, outcome="cancelled", superseded_by=newer, reason=why)


def _report(delivery: Delivery, end: str, now: datetime, **said: Any) -> DeliveryReport:
    """The part that all reports about a delivery share; `end` is in the id, so that each is reported once."""
    return DeliveryReport(
        report_id=str(uuid5(NAMESPACE, f"{delivery.id}/{end}")),
        incident_id=delivery.incident_id,
        page_id=delivery.page_id,
        notice_id=delivery.notice_id,
        delivery_id=delivery.id,
        recipient=delivery.recipient,
        channel=delivery.channel,
        contact=delivery.contact,
        attempts=delivery.attempts,
        at=now,
        **said,
    )
