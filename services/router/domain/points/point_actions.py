"""What an escalation point does: notify, inform, escalate, set, assign, update, call (rule 10)."""

from services.router.domain.draft.draft import Draft
from services.router.domain.escalation import calls, chain
from services.router.domain.lifecycle import field_changes, ownership, pauses
from services.router.domain.model.compiled_bundle import EscalationPolicy, Rule
from services.router.domain.model.incident_fields import FieldChanges
from services.router.domain.model.reason import Reason
from services.router.domain.stakeholders import updates
from shared.events import Recipient
from shared.policy import AtShare, Do, Point
from shared.policy.model.escalation import SetFields


def fire(draft: Draft, policy: EscalationPolicy, rule: Rule[Point], reason: Reason, cause: str) -> None:
    """Do what the point says."""
    draft.say("point", f"escalation point {rule.spec.name}" + (f": {cause}" if cause else ""), reason)
    if draft.is_muted:
        where = draft.incident.suppressed_by or f"it belongs to incident {draft.incident.parent}"
        draft.say("muted", f"point {rule.spec.name} does nothing: {where}", Reason("rule 11"))
        return
    if not draft.is_open:
        _tell_only(draft, policy, rule, reason)
        return
    for do in rule.spec.do:
        _act(draft, policy, rule.spec, do, reason)


def _tell_only(draft: Draft, policy: EscalationPolicy, rule: Rule[Point], reason: Reason) -> None:
    """It is resolved and only the promise to close runs: people are told, nobody is asked to take it."""
    for do in rule.spec.do:
        if do.notify is not None:
            _inform(draft, rule.spec, Do(inform=do.notify), reason)
        elif do.verb in {"inform", "update", "call"}:
            _act(draft, policy, rule.spec, do, reason)
        else:
            draft.say("point", f"point {rule.spec.name}: no {do.verb}: it is resolved", reason)


def _act(draft: Draft, policy: EscalationPolicy, point: Point, do: Do, reason: Reason) -> None:
    if do.notify is not None:
        _notify(draft, point, do, reason)
    elif do.inform is not None:
        _inform(draft, point, do, reason)
    elif do.escalate is not None:
        _escalate(draft, policy, point, do, reason)
    elif do.set is not None:
        _set(draft, point, do, reason)
    elif do.assign is not None:
        _assign(draft, point, do, reason)
    elif do.update is not None:
        updates.tell(draft, do.update)
    elif do.call is not None:
        calls.start(draft, do.call, f"escalation point {point.name}", reason=reason)


def _set(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    assert do.set is not None
    if not field_changes.change(draft, _wanted(do.set), reason=reason, by_person=False):
        draft.say("point", f"point {point.name} sets nothing: it is so already", reason)


def _wanted(said: SetFields) -> FieldChanges:
    wanted: FieldChanges = {}
    if said.priority is not None:
        wanted["priority"] = said.priority
    if said.kind is not None:
        wanted["kind"] = said.kind
    if said.service is not None:
        wanted["service"] = said.service
    if said.customer is not None:
        wanted["customer"] = said.customer
    if said.attributes:
        wanted["attributes"] = said.attributes
    return wanted


def _assign(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    """Assign it to the first user that the target names."""
    assert do.assign is not None
    resolved = draft.directory.resolve((do.assign,))
    draft.say_unnamed(resolved, reason, f"point {point.name}: ")
    users = [found.recipient.name for found in resolved.found if found.recipient.kind == "user"]
    if not users:
        draft.say("point", f"point {point.name} assigns it to nobody", reason)
    elif users[0] == draft.incident.assignee:
        has_it = draft.directory.display(users[0])
        draft.say("point", f"point {point.name} assigns nothing: {has_it} has it already", reason)
    elif draft.incident.parent:
        draft.say("point", f"point {point.name} assigns nothing: it is grouped under another", reason)
    else:
        ownership.assign(draft, users[0], by=f"escalation point {point.name}", reason=reason)


def _notify(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    resolved = draft.directory.resolve(do.notify or ())
    draft.say_unnamed(resolved, reason, f"point {point.name}: ")
    for found in resolved.found:
        why = f"{found.why} (escalation point {point.name})"
        draft.page(found, through="point", why=why, targets=_targets(point))
    if resolved.found:
        names = ", ".join(draft.directory.shown(found.recipient) for found in resolved.found)
        draft.say("paged", f"point {point.name} pages {names}", reason)
        draft.change("paged")


def _inform(draft: Draft, point: Point, do: Do, reason: Reason) -> None:
    resolved = draft.directory.resolve(do.inform or ())
    draft.say_unnamed(resolved, reason, f"point {point.name}: ")
    for found in resolved.found:
        outside = found.recipient.kind == "customer"  # reads nothing internal
        text = "" if outside else f"Escalation point: {point.name}"
        why = found.why if outside else f"{found.why} (escalation point {point.name})"
        targets = () if outside else _targets(point)
        draft.notify(found.recipient, "inform", text=text, reason=why, stakeholder=outside, targets=targets)
    if resolved.found:
        names = ", ".join(draft.directory.shown(found.recipient) for found in resolved.found)
        draft.say("informed", f"point {point.name} informs {names}", reason)


def _targets(point: Point) -> tuple[str, ...]:
    """The targets whose clock it is about: recipients want to know which promise, and by when."""
    return (point.at.target,) if isinstance(point.at, AtShare) else ()


def _escalate(draft: Draft, policy: EscalationPolicy, point: Point, do: Do, reason: Reason) -> None:
    assert do.escalate is not None
    if draft.policy is not policy:
        text = f"point {point.name} hands up nothing: the incident has left policy {policy.name}"
        draft.say("point", text, reason)
        return
    cause = f"escalation point {point.name} was reached" + (f" ({do.because})" if do.because else "")
    if draft.incident.status == "acknowledged":
        _withdraw_from(draft, point)
    pauses.clear_snooze(draft, f"escalation point {point.name} was reached")
    if do.escalate.next:
        chain.hand_up(draft, cause=cause, reason=reason, may_hold=True)
    elif do.escalate.policy is not None:
        chain.enter_other(draft, do.escalate.policy, cause=cause, reason=reason, may_hold=True)
    elif do.escalate.level is not None:
        chain.go_to_level(draft, do.escalate.level, cause=cause, reason=reason)


def _withdraw_from(draft: Draft, point: Point) -> None:
    """Others are asked to take it now: whoever had it hears so, and follows it."""
    had_it = draft.incident.assignee
    draft.set(status="triggered", assignee="")
    draft.cancel_pages("handed up")
    if had_it in draft.live.spec.users:
        draft.follow(had_it)
        text = f"Escalation point {point.name} handed it up: it is no longer assigned to you."
        recipient = Recipient(kind="user", name=had_it)
        draft.notify(recipient, "inform", text=text, reason="it was assigned to you")
