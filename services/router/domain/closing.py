"""From resolved to closed: confirmed, refused, or taken as solved after a silence (POLICY.md, rule 15).

Where the policy has a `close`, the customer is asked to confirm when it is resolved, and once more halfway.
Without it an incident closes when the same problem would open a new one.
"""

from services.router.domain import next_due
from services.router.domain.draft.draft import Draft
from services.router.domain.draft.wording import span
from services.router.domain.lifecycle import reopening, transitions
from services.router.domain.model.parts import Confirmed
from services.router.domain.model.reason import Reason
from services.router.domain.points import points
from shared.events import RelatedChanged
from shared.policy import CustomerTarget

_CUSTOMER = (CustomerTarget(),)


def after(draft: Draft) -> None:
    """Whether this decision resolved it: then the customer is asked to confirm; not what was only held."""
    if draft.initial.late is not None:
        return
    if "resolved" in draft.changes and draft.incident.status == "resolved":
        draft.set(confirm_asked=0)
        if draft.policy.spec.close is not None:
            _ask(draft, "Please confirm that it is solved.")


def check(draft: Draft) -> None:
    """Time has passed since it was resolved."""
    points.check_shares(draft)  # the promise to close goes on
    if draft.now >= next_due.closes_at(draft):
        _close(draft)
        return
    again = next_due.asks_again_at(draft)
    if again is not None and draft.now >= again:
        _ask(draft, "We have not heard from you: please confirm that it is solved.")


def confirm(draft: Draft, rating: int = 0, *, by: str = "the customer") -> None:
    """It is solved, says whoever has to say so; `rating` is 1–5, or 0 for none. Only of a resolved one."""
    draft.set(confirmed=Confirmed(draft.now, rating))
    rated = f", {rating} of 5" if rating else ""
    transitions.close(draft, why=f"confirmed by {by}{rated}", reason=Reason("rule 15: confirmed"))


def refuse(draft: Draft, why: str = "", *, by: str = "the customer") -> None:
    """It is not solved: reopened one level above the one that solved it, with all that happened so far."""
    solved_at = draft.incident.solved_at
    values = {"solved_at": solved_at} if solved_at else {}
    text = f"{by} does not confirm that it is solved" + (f": {why}" if why else "")
    reopening.one_level_up(draft, why=text, reason=Reason("rule 15: refused", values=values))


def came_back(draft: Draft, message: RelatedChanged) -> None:
    """The same key opened a new incident before this one was confirmed: there is nothing to confirm here."""
    if draft.incident.status == "resolved":
        why = f"the same problem came back as incident {message.incident_id}, which goes on with it"
        transitions.close(draft, why=why, reason=Reason("rule 15"))


def _ask(draft: Draft, text: str) -> None:
    close, before = draft.policy.spec.close, len(draft.notices)
    assert close is not None
    resolved = draft.directory.resolve(_CUSTOMER)
    until = next_due.closes_at(draft)
    reason = Reason(f"policies.{draft.policy.name}.close", values={"after": span(close.after)})
    deadline = f" Without an answer we take it as solved on {until:%Y-%m-%d at %H:%M} UTC."
    for found in resolved.found:
        draft.tell(
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
    close, window = draft.policy.spec.close, next_due.reopen_within(draft)
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
