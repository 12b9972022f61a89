"""Correcting an incident by hand: set, reapply (docs/rules.md, rules 13, 14 and 17)."""

from collections.abc import Iterable

from services.router.domain.actions import guards
from services.router.domain.draft.draft import Draft
from services.router.domain.lifecycle import event_fields, field_changes, policy_change
from services.router.domain.model.decision import Refusal
from services.router.domain.model.incident_fields import FieldChanges
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import ActionTaken


def set_fields(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Set fields and re-evaluate everything that depends on them."""
    changes = signal.arguments.changes
    refusal = _wrong(draft, changes) or _above_the_role(draft, signal)
    if refusal is not None:
        return refusal
    reason = Reason(f"rule 13: set by {guards.who(draft, signal)}", values=dict(changes))
    if field_changes.change(draft, changes, reason=reason, by_person=True):
        draft.touch()
        guards.remark(draft, signal)
    return None


def _above_the_role(draft: Draft, signal: ActionTaken) -> Refusal | None:
    wanted, now = signal.arguments.changes.get("priority"), draft.incident.priority
    if wanted is not None and wanted > now and not signal.actor.may("lead"):
        lowers = f"to lower a priority (from {now} to {wanted}) needs the role lead"
        return guards.forbidden(f"{lowers}; this key has {signal.actor.role}")
    return None


def _wrong(draft: Draft, changes: FieldChanges) -> Refusal | None:
    """Why these changes cannot be made; None when they can."""
    bundle = draft.live.spec
    if not changes:
        return guards.invalid(f"set needs at least one of {', '.join(field_changes.FIELDS)}")
    kind, service = changes.get("kind"), changes.get("service")
    if kind is not None and kind not in {*bundle.kinds, "incident"}:
        return guards.invalid(
            f"kind {kind!r} is not in the policy; known: {_listed({'incident', *bundle.kinds})}"
        )
    if service and service not in bundle.services:
        return guards.invalid(f"service {service!r} is not in the policy; known: {_listed(bundle.services)}")
    named = changes.get("attributes") or {}
    if named and event_fields.too_large(field_changes.merged_attributes(draft.incident.attributes, named)):
        return guards.invalid("`attributes` would grow too large")
    return None


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    return ", ".join(known[:20]) + (", …" if len(known) > 20 else "") or "none"


def unless_the_policy_changed(draft: Draft) -> str:
    """Only while the incident follows a policy bundle other than the one in force."""
    same = "it follows the policy in force already" if draft.live.hash == draft.incident.policy_hash else ""
    return guards.unless_open(draft) or same


def reapply(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Move the incident to the policy in force (rule 17)."""
    draft.touch()
    policy_change.reapply(draft, cause=f"{guards.who(draft, signal)} applied the policy in force")
    guards.remark(draft, signal)
    return None
