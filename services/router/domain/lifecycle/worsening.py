"""An incident that gets worse is news for its assignee (docs/rules.md, rule 14).

Priority, severity or kind: each rise is told once, loudly if it made the incident loud. A severity or kind
that goes back and forth is news only when it is worse than ever since the incident opened. It pages nobody
else by itself. While only a machine has acknowledged it nobody would hear: the pause ends, and the level is
asked again.
"""

from collections.abc import Iterator
from typing import Final

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.names import user
from services.router.domain.draft.recipients import Found
from services.router.domain.escalation import chain
from services.router.domain.lifecycle import classify
from services.router.domain.model.incident import Incident
from services.router.domain.model.reason import Reason

THROUGH: Final = "worse"
_PLAIN: Final = "incident"  # no kind in particular: a change to it is no news
_KINDS_KEPT: Final = 20


def check(draft: Draft) -> None:
    """Tell the assignee what this decision made worse, unless they did it; else ask the level again."""
    before, incident = draft.initial, draft.incident
    if not before.version or not incident.is_open:
        return
    rises = [*_priority(before, incident), *_severity(draft), *_kind(draft)]
    if rises and incident.assignee and incident.assignee == before.assignee:
        _tell(draft, ", ".join(rises))
    elif rises and _a_machine_has_it(before) and _a_machine_has_it(incident):
        _ask_again(draft, ", ".join(rises))


def _a_machine_has_it(incident: Incident) -> bool:
    return incident.status == "acknowledged" and not incident.assignee


def _ask_again(draft: Draft, rises: str) -> None:
    """What a machine acknowledged has become worse: end the pause, unless it stands still."""
    reason = Reason("rule 14: growing worse ends a machine's rest", values={"rises": rises})
    if draft.stands_still:
        why = draft.incident.suppressed_by or f"it is {draft.stands_still}"
        draft.say("muted", f"nobody is asked although it grew worse ({rises}): {why}", reason)
        return
    draft.set(status="triggered")
    chain.restart(draft, cause=f"it grew worse while only a machine had it: {rises}", reason=reason)
    draft.change("escalated")


def _priority(before: Incident, incident: Incident) -> Iterator[str]:
    if incident.priority < before.priority:
        yield f"priority {before.priority} → {incident.priority}"


def _severity(draft: Draft) -> Iterator[str]:
    before, now = draft.initial.severity, draft.incident.severity
    if now == before or now is None:
        return
    worst = draft.incident.severest or before or "error"  # one without a severity counts as an error
    is_worse = classify.OF_SEVERITY[now] < classify.OF_SEVERITY[worst]
    draft.set(severest=now if is_worse else worst)
    if is_worse:
        yield f"severity {before or 'not given'} → {now}"


def _kind(draft: Draft) -> Iterator[str]:
    before, now = draft.initial.kind, draft.incident.kind
    if now == before:
        return
    known = draft.incident.kinds or (before,)
    if now not in known:
        draft.set(kinds=(*known, now)[-_KINDS_KEPT:])
        if now != _PLAIN:
            yield f"kind {before} → {now}"


def _tell(draft: Draft, rises: str) -> None:
    name = draft.incident.assignee
    if draft.actor == f"user:{name}" or name not in draft.live.spec.users:
        return
    who, became_loud = draft.directory.display(name), _became_loud(draft)
    reason = Reason("rule 14: growing worse is news", values={"became_loud": became_loud})
    if draft.is_muted:
        where = draft.incident.suppressed_by or f"it belongs to incident {draft.incident.parent}"
        draft.say("muted", f"{who} does not hear that it grew worse ({rises}): {where}", Reason("rule 11"))
    elif became_loud:
        why = f"it is assigned to you and grew worse: {rises}"
        draft.page(Found(user(name), why), through=THROUGH, why=why, joins=True)
        draft.say("paged", f"{who}, who has it, is paged: it grew worse and is loud now: {rises}", reason)
        draft.change("paged")
    else:
        text = f"It grew worse: {rises}."
        draft.notify(user(name), "inform", text=text, reason="it is assigned to you")
        draft.say("informed", f"{who}, who has it, hears that it grew worse: {rises}", reason)


def _became_loud(draft: Draft) -> bool:
    """Whether the rules for `high` apply now and did not before; if that cannot be evaluated, they do."""
    loud = draft.live.loud
    return loud is not None and draft.loud and loud.evaluate(draft.seen_before(draft.initial)) is False
