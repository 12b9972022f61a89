"""Taken, then untouched: the assignee is asked, later the level is paged again (docs/rules.md, rule 6)."""

from datetime import datetime
from typing import Final

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import user
from services.router.domain.draft.stages import Moment
from services.router.domain.draft.wording import span
from services.router.domain.escalation import chain
from services.router.domain.lifecycle import ownership
from services.router.domain.model.reason import Reason


def _at(draft: Draft) -> datetime:
    """When it counts as forgotten; the time runs once more after the assignee was asked."""
    incident = draft.incident
    return (incident.asked_at or incident.touched_at) + draft.policy.spec.forgotten_after


def _ask(draft: Draft) -> None:
    incident, quiet = draft.incident, span(draft.policy.spec.forgotten_after)
    reason = Reason("rule 6: forgotten_after", values={"forgotten_after": quiet})
    if incident.asked_at is None and incident.assignee:
        draft.set(asked_at=draft.now)
        draft.say(
            "asked", f"untouched for {quiet}: {draft.directory.display(incident.assignee)} is asked", reason
        )
        text = f"You took it and nothing has happened for {quiet}. Are you still on it?"
        draft.notify(user(incident.assignee), "inform", text=text, reason="it is assigned to you")
        return
    draft.set(status="triggered", assignee="", asked_at=None, touched_at=draft.now)
    cause = f"it was taken and then untouched for {quiet}"
    chain.restart(draft, cause=cause, reason=reason)
    text = f"Others are asked now because {cause}: it is no longer assigned to you."
    ownership.tell_who_had_it(draft, incident.assignee, text)
    draft.change("escalated")


IS_FORGOTTEN: Final = Moment(
    "it is taken and untouched",
    _at,
    _ask,
    when=lambda draft: draft.is_acknowledged and not draft.stands_still,
)
