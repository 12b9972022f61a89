"""Grouping incidents that are one problem: the first is the parent, members page nobody (rule 11).

The parent keeps only how many members there are, so that ten thousand weigh no more than ten; members know
their parent. Messages between them go through the log (domain/relations/messages.py).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from services.router.domain.draft.draft import LADDER, Draft, derived_id
from services.router.domain.model import related
from services.router.domain.model.compiled_bundle import Rule
from services.router.domain.model.context import MergeTarget
from services.router.domain.model.decision import Joined, Refusal
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Grouped, Members, Merged
from services.router.domain.model.reason import Reason
from services.router.domain.sla import clocks
from shared.policy.cel.expressions import Failed
from shared.policy.model.escalation import Grouping

BETWEEN_NOTICES: Final = timedelta(minutes=5)  # to whoever has the parent, about new members
_LONGEST_VALUES: Final = 400  # of the values as JSON; longer ones are replaced by their digest


class MatchedGroup(msgspec.Struct, frozen=True):
    """The group that an incident belongs to by its values."""

    rule: Rule[Grouping]
    values: str  # as the group is looked up
    seen: Mapping[str, object]

    @property
    def key(self) -> tuple[str, str]:
        return self.rule.spec.name, self.values


def matched_group(draft: Draft) -> MatchedGroup | None:
    """The group by the first rule that applies; none without a value for each name it groups by.

    Suppressed incidents form groups of their own, one for each thing that suppresses them: nobody is kept
    quiet by a parent that nobody hears of.
    """
    rules = draft.live.grouping
    if not rules.rules or draft.incident.integration == LADDER:
        return None
    for rule in rules.matching(draft.activation):
        seen = _values(draft, rule.spec)
        if any(value not in ("", None) for value in seen.values()) and None not in seen.values():
            written = msgspec.json.encode([*seen.values(), draft.incident.suppressed_by]).decode()
            if len(written) > _LONGEST_VALUES:
                written = derived_id("group", written)
            return MatchedGroup(rule, written, seen)
    return None


def _values(draft: Draft, rule: Grouping) -> Mapping[str, object]:
    """By name; None for a label or attribute that is absent."""
    names = draft.activation.values
    found: dict[str, object] = {}
    for name in rule.by:
        base, _, key = name.partition(".")
        found[name] = names[base].get(key) if base in {"labels", "attributes"} else names.get(name, "")
    return found


def at_opening(draft: Draft) -> None:
    """Join the group that exists, or open one."""
    if not draft.live.grouping.rules:
        return
    _tell_failures(draft)
    found = matched_group(draft)
    if found is not None and found.key in draft.context.groups:
        _join_or_open(draft, found)


def at_reopening(draft: Draft) -> None:
    """Reopened: join the group that exists now, or stay with the parent if that one is still open."""
    before = draft.incident.parent
    found = matched_group(draft)
    draft.set(ended_itself=False)
    if found is None or found.key not in draft.context.groups:
        if before:
            draft.send(before, related.Joined(again=True, late=draft.incident.late is not None))
        return
    draft.set(belongs_to=None)
    _join_or_open(draft, found)
    if before and draft.incident.parent != before:
        draft.send(before, related.Left())


def _join_or_open(draft: Draft, found: MatchedGroup) -> None:
    incident, rule, group = draft.incident, found.rule.spec, draft.context.groups[found.key]
    if group is None or group.parent == incident.id or draft.now > group.joined_at + rule.within:
        draft.joined.append(Joined(*found.key, incident.id, rule.within, incident.title))
        return
    draft.joined.append(Joined(*found.key, group.parent, rule.within, group.title))
    draft.set(belongs_to=Grouped(group.parent))
    why = found.rule.reason(draft.activation)
    reason = Reason(why.rule, why.expression, {**why.values, **found.seen}, why.instead_of)
    text = f"grouped under {group.title} ({group.parent}) by rule {rule.name}: nobody is asked for it alone"
    draft.say("grouped", text, reason, LADDER)
    draft.change("grouped")
    again, late = draft.initial.parent == group.parent, incident.late is not None
    draft.send(group.parent, related.Joined(again=again, late=late))


def keeps_open(draft: Draft) -> bool:
    """Whether it stays open although its sender says it ended, because members are open; it says so."""
    standing = draft.incident.members_open
    if not standing:
        return False
    draft.set(ended_itself=True)
    text = f"its sender says that it is over; it stays open for {count(standing)} grouped under it"
    draft.say("stays", text, Reason("rule 11: resolved when all are"))
    return True


def after(draft: Draft) -> None:
    """Tell the parent what changed in a member, and the members what became of their parent."""
    before, incident = draft.initial, draft.incident
    if incident is before:
        return
    if incident.parent and not incident.merged and incident.parent == before.parent:
        _tell_parent(draft)
    if incident.members:
        _tell_members(draft)


def _tell_parent(draft: Draft) -> None:
    before, incident = draft.initial, draft.incident
    if before.is_open and not incident.is_open:
        if draft.told_by != incident.parent:
            draft.send(incident.parent, related.EndedUnder())
    elif not incident.is_open or incident.late is not None:
        return  # a held member counts once the hold is over
    elif before.late is not None:
        draft.send(incident.parent, related.Changed(counts=True))
    elif incident.priority < before.priority:
        draft.send(incident.parent, related.Changed())


def _tell_members(draft: Draft) -> None:
    """Taking the parent takes all members; the same goes for giving it back, and for its end."""
    before, incident = draft.initial, draft.incident
    if not incident.members_open or not before.is_open:
        return
    if not incident.is_open:
        draft.spread("members", incident.id, related.Over(by=draft.actor))
        draft.set(group=_none_open(incident))
    elif (before.status, who_has(before)) != (incident.status, who_has(incident)):
        draft.spread("members", incident.id, who_has(incident))


def _none_open(incident: Incident) -> Members | None:
    return replace(incident.group, open=0) if incident.group is not None else None


def who_has(incident: Incident) -> related.Stands:
    """What members hear about the parent's owner: who it is, and whether a person took it."""
    return related.Stands(assignee=incident.assignee, person=_by_person(incident))


def _by_person(incident: Incident) -> bool:
    return bool(incident.assignee) and incident.taken_by_person_at is not None


def merge(draft: Draft, into: str) -> Refusal | None:
    """End it under another incident, which from now on hears what its key says (rules 13, 15).

    A resolved incident can be merged, too: it was the same problem.
    """
    refusal = _no_merge(draft, into)
    if refusal is not None:
        return refusal
    incident, other = draft.incident, draft.context.merge_targets[into]
    if incident.parent:
        draft.send(incident.parent, related.Left(open=incident.is_open))
    if incident.members:
        draft.spread("members", incident.id, related.Moved(to=into))
    moving = dict.fromkeys((*incident.followers, *filter(None, [incident.assignee])))
    absorbed = related.Absorbed(
        followers=tuple(moving),
        subscribers=incident.subscribers,
        events=incident.events,
        resolved=not incident.is_open,
    )
    draft.send(into, absorbed)
    already = "" if incident.is_open else "; it was resolved already"
    draft.say("merged", f"merged into {other.title} ({into}){already}", Reason("rule 13: merge"))
    clocks.cancel_all(draft, f"it is merged into {into}")
    draft.set(
        belongs_to=Merged(into),
        status="closed",
        closed_at=draft.now,
        waiting=None,
        snooze=None,
        late=None,
        group=_none_open(incident),
    )
    draft.touch()
    draft.set_chain(due=None, state="resting")
    if incident.is_open:  # those asked have already heard of the end of a resolved one
        draft.cancel_pages("merged", draft.actor)
    draft.change("merged")
    return None


def _no_merge(draft: Draft, into: str) -> Refusal | None:
    """Why it cannot be merged into that incident; None when it can."""
    other = draft.context.merge_targets.get(into)
    if other is None and into != draft.incident.id:
        return Refusal("invalid", f"merge needs `into`: no incident has the id {into!r}")
    why = unless_it_may_merge(draft) or (_why_not(draft, other) if other is not None else _ITSELF)
    return Refusal("conflict", why) if why else None


_ITSELF: Final = "it cannot be merged into itself"


def unless_it_may_merge(draft: Draft) -> str:
    """Why it cannot be merged into any other incident; '' when it can. Resolved ones can."""
    incident = draft.incident
    if incident.merged:
        return f"it is merged into {incident.parent}"
    return "it is closed already" if incident.status == "closed" else ""


def _why_not(draft: Draft, other: MergeTarget) -> str:
    if other.id == draft.incident.id:
        return _ITSELF
    if other.parent == draft.incident.id and other.merged:
        return "that one is merged into this one already"
    if other.parent == draft.incident.id:
        return "that one is grouped under this one: merge that one into this one instead"
    if other.parent:
        how = "merged into" if other.merged else "grouped under"
        return f"that one is {how} {other.parent}: merge into {other.parent}"
    open_already = other.status in {"triggered", "acknowledged"}
    return "" if open_already else f"that one is {other.status}: only an open one can take it"


def count(number: int) -> str:
    """`1 incident`, `3 incidents`."""
    return f"{number:,} incident{'' if number == 1 else 's'}"


def _tell_failures(draft: Draft) -> None:
    rules = draft.live.grouping
    for rule, outcome in zip(rules.rules, rules.outcomes(draft.activation), strict=True):
        if isinstance(outcome, Failed):
            text = f"rule {rule.spec.name} groups nothing: it could not be evaluated: {outcome.reason}"
            draft.say("grouping", text, rule.reason(draft.activation), LADDER)
