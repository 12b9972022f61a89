"""Automation a policy starts: `calls.NAME`, a signed webhook of type `call` (docs/policy.md, `calls`)."""

from datetime import datetime, timedelta
from typing import Final

from services.router.domain.draft.draft import Draft
from services.router.domain.model.reason import Reason
from shared.events import DeliveryReport, Recipient

STARTS_WITHIN: Final = timedelta(minutes=10)  # later, people are already doing what it would have done


def start(
    draft: Draft, name: str, why: str, *, reason: Reason | None = None, until: datetime | None = None
) -> None:
    """Have the notifier start it; the outcome comes back as a report. `until`: not attempted after that.

    Nothing is started for an incident that is suppressed or grouped (rule 11).
    """
    if name not in draft.live.spec.calls:
        draft.say("call", f"call {name} is not started: the policy in force has no such call", reason)
        return
    if draft.is_muted:
        draft.say("call", f"call {name} is not started: the incident is {draft.stands_still}", reason)
        return
    draft.say("call", f"call {name} is started: {why}", reason)
    recipient = Recipient(kind="call", name=name)
    draft.notify(recipient, "call", reason=why, until=until or draft.now + STARTS_WITHIN)


def reported(draft: Draft, report: DeliveryReport) -> None:
    """Record the outcome of a call."""
    if report.outcome == "failed":
        tries = f" after {report.attempts} attempts" if report.attempts > 1 else ""
        text = f"call {report.recipient} failed{tries}: {report.reason or 'no reason given'}"
    else:
        text = f"call {report.recipient} reached its automation"
    draft.say("call", text, actor="notifier")
