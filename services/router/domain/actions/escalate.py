"""Escalating for expertise or authority (docs/rules.md, rule 4)."""

from services.router.domain.actions import guards
from services.router.domain.draft.draft import Draft
from services.router.domain.escalation import chain
from services.router.domain.lifecycle import late_trigger, ownership, pauses
from services.router.domain.model.decision import Refusal
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import ActionTaken


def unless_it_may_climb(draft: Draft) -> str:
    """Only while somebody can be paged for it."""
    by = draft.incident.suppressed_by
    return guards.unless_it_has_levels(draft) or (f"{by} suppresses it: nobody would be paged" if by else "")


def escalate(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Page the next competent level, a named level, or another policy now, with the note."""
    wanted = signal.arguments
    refusal = _unknown_place(draft, signal)
    if refusal is not None:
        return refusal
    had_it = draft.incident.assignee
    draft.follow(had_it)
    draft.follow(signal.actor.user)
    draft.set(status="triggered", assignee="", duty=None)
    draft.touch()
    draft.cancel_pages("handed up", draft.actor)
    missing = f" ({wanted.because})" if wanted.because else ""
    cause = f"{guards.who(draft, signal)} handed it up{missing}" + guards.because(signal)
    values = {"because": wanted.because} if wanted.because else {}
    reason = Reason("rule 4: handed up by a person", values=values)
    pauses.clear_snooze(draft, "it was handed up")
    late_trigger.over(draft)
    if wanted.policy:
        chain.enter_other(draft, wanted.policy, cause=cause, reason=reason)
    elif wanted.level:
        chain.go_to_level(draft, wanted.level, cause=cause, reason=reason)
    else:
        chain.hand_up(draft, cause=cause, reason=reason)
    ownership.tell_who_had_it(draft, had_it, f"{cause}: it is no longer assigned to you.")
    return None


def _unknown_place(draft: Draft, signal: ActionTaken) -> Refusal | None:
    wanted = signal.arguments
    if wanted.policy and wanted.level:
        return guards.invalid("escalate goes to `level` or to `policy`, not to both")
    if wanted.policy and wanted.policy not in draft.bundle.policies:
        known = ", ".join(draft.bundle.policies)
        return guards.invalid(
            f"policy {wanted.policy!r} is not in the incident's policy bundle; known: {known}"
        )
    if wanted.level and draft.policy.index_of(wanted.level) is None:
        known = ", ".join(level.spec.name for level in draft.policy.levels)
        return guards.invalid(
            f"policy {draft.policy.name} has no level {wanted.level!r}; its levels: {known}"
        )
    return None
