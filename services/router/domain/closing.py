"""From resolved to closed: confirmed, refused, or taken as solved after a silence (docs/rules.md, rule 15).

Where the policy has a `close`, the customer is asked to confirm when the incident is resolved and once more
halfway. Without one it closes once the same problem would open a new incident.
"""

from datetime import datetime, timedelta
from typing import Final

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.stages import Moment
from services.router.domain.draft.wording import span
from services.router.domain.lifecycle import reopening, transitions
from services.router.domain.model.parts import Confirmed
from services.router.domain.model.reason import Reason
from shared.events import RelatedChanged
from shared.policy import CustomerTarget

_CUSTOMER = (CustomerTarget(),)


def closes_at(draft: Draft) -> datetime:
    """When a resolved incident closes if nobody says anything.

    As soon as a trigger of its key would open a new one; with a `close`, not before its silence is over (rule
    15).
    """
    close, window = draft.policy.spec.close, reopen_within(draft)
    return (draft.incident.resolved_at or draft.now) + (max(window, close.after) if close else window)


def asks_again_at(draft: Draft) -> datetime | None:
    """When the customer is asked once more to confirm (halfway); None when that is past or not wanted."""
    close = draft.policy.spec.close
    if close is None or draft.incident.confirm_asked != 1 or draft.incident.resolved_at is None:
        return None
    return draft.incident.resolved_at + close.after / 2


def reopens_until(draft: Draft) -> datetime:
    """Until when a trigger of the same key reopens a resolved incident; later it opens a new one."""
    return (draft.incident.resolved_at or draft.now) + reopen_within(draft)


def reopen_within(draft: Draft) -> timedelta:
    """How long a trigger of the same key reopens: the integration's setting, else the policy's (rule 15)."""
    integration = draft.live.spec.integrations.get(draft.incident.integration)
    said = integration.reopens_within if integration is not None else None
    return draft.policy.spec.reopen_within if said is None else said


def after(draft: Draft) -> None:
    """Ask the customer to confirm if this decision resolved the incident; not when it was only held."""
    if draft.initial.late is not None:
        return
    if "resolved" in draft.changes:
        draft.set(confirm_asked=0)
        if draft.policy.spec.close is not None:
            _ask(draft, "Please confirm that it is solved.")


def confirm(draft: Draft, rating: int = 0, *, by: str = "the customer") -> None:
    """The solution is confirmed; `rating` is 1–5, or 0 for none. Only for a resolved incident."""
    draft.set(confirmed=Confirmed(draft.now, rating))
    rated = f", {rating} of 5" if rating else ""
    transitions.close(draft, why=f"confirmed by {by}{rated}", reason=Reason("rule 15: confirmed"))


def refuse(draft: Draft, why: str = "", *, by: str = "the customer") -> None:
    """It is not solved: reopen one level above the one that solved it, keeping its history."""
    solved_at = draft.incident.solved_at
    values = {"solved_at": solved_at} if solved_at else {}
    text = f"{by} does not confirm that it is solved" + (f": {why}" if why else "")
    reopening.one_level_up(draft, why=text, reason=Reason("rule 15: refused", values=values))


def came_back(draft: Draft, message: RelatedChanged) -> None:
    """Its key opened a new incident before this one was confirmed: there is nothing left to confirm."""
    if draft.incident.status == "resolved":
        why = f"the same problem came back as incident {message.incident_id}, which goes on with it"
        transitions.close(draft, why=why, reason=Reason("rule 15"))


def _ask(draft: Draft, text: str) -> None:
    close, before = draft.policy.spec.close, len(draft.notices)
    assert close is not None
    resolved = draft.directory.resolve(_CUSTOMER)
    until = closes_at(draft)
    reason = Reason(f"policies.{draft.policy.name}.close", values={"after": span(close.after)})
    deadline = f" Without an answer we take it as solved on {until:%Y-%m-%d at %H:%M} UTC."
    for found in resolved.found:
        draft.notify(
            found.recipient,
            "confirm",
            text=text + deadline,
            reason=found.why,
            stakeholder=True,
            template=close.template or "",
        )
    draft.set(confirm_asked=draft.incident.confirm_asked + 1)
    if len(draft.notices) > before:
        names = ", ".join(draft.directory.shown(found.recipient) for found in resolved.found)
        draft.say("confirming", f"{names} is asked to confirm until {until:%Y-%m-%d %H:%M} UTC", reason)
    else:
        gaps = "; ".join(resolved.gaps) or "nobody is told of it"
        draft.say("confirming", f"nobody can be asked to confirm: {gaps}", reason)


def _close(draft: Draft) -> None:
    close, window = draft.policy.spec.close, reopen_within(draft)
    if close is not None and close.after >= window:
        silence = span(close.after)
        reason = Reason(f"policies.{draft.policy.name}.close", values={"after": silence})
        transitions.close(draft, why=f"resolved, and {silence} without an answer", reason=reason)
        return
    why = (
        f"resolved for {span(window)}"
        if window
        else "resolved, and the same problem would open a new incident"
    )
    transitions.close(draft, why=why, reason=Reason("rule 15", values={"reopen_within": span(window)}))


def _ask_again(draft: Draft) -> None:
    _ask(draft, "We have not heard from you: please confirm that it is solved.")


CLOSES: Final = Moment("a resolved one closes", closes_at, _close, when=lambda draft: draft.is_resolved)
ASKS_AGAIN: Final = Moment(
    "the customer is asked once more to confirm",
    asks_again_at,
    _ask_again,
    when=lambda draft: draft.is_resolved,
)
