"""The words of decisions, each a closed list, so that a misspelt or forgotten one is found.

They are stored, sent and shown: never rename one. A new kind of entry also needs its place in messages
(`draft/timeline.py`) and in forecasts (`forecast`).
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

ClockHappening: TypeAlias = Literal["activate", "pause", "resume", "fulfil", "warn", "breach"]

# Kinds of timeline entries.
EntryKind: TypeAlias = (
    ClockHappening
    | Literal[
        "asked",
        "avoided",
        "awake",
        "call",
        "cause",
        "closed",
        "competence",
        "confirming",
        "customer",
        "decided",
        "delivery",
        "dropped",
        "ended",
        "escalated",
        "given_back",
        "grace",
        "grouped",
        "grouping",
        "handoff",
        "held",
        "informed",
        "intake",
        "joined",
        "late",
        "late_over",
        "left",
        "level_skipped",
        "linked",
        "merged",
        "muted",
        "nobody",
        "note",
        "on_call",
        "opened",
        "paged",
        "point",
        "policy",
        "priority",
        "recorded",
        "reminded",
        "reopened",
        "repeated",
        "resolved",
        "resumed",
        "retried",
        "route",
        "seen",
        "set",
        "silent",
        "sla",
        "snoozed",
        "stays",
        "stuck",
        "subscribed",
        "suppressed",
        "suppression",
        "taken",
        "tier",
        "told",
        "turn",
        "unreachable",
        "unsubscribed",
        "update",
        "updated",
        "upstream",
        "waiting",
    ]
)

# What a decision changed, as its message names it.
Change: TypeAlias = Literal[
    "at_risk",
    "avoided",
    "awake",
    "breached",
    "changed",
    "closed",
    "decided",
    "dropped",
    "escalated",
    "grouped",
    "handoff",
    "left",
    "merged",
    "opened",
    "paged",
    "policy",
    "priority",
    "reopened",
    "resolved",
    "resumed",
    "sla",
    "snoozed",
    "stuck",
    "suppressed",
    "taken",
    "unacknowledged",
    "update",
    "waiting",
]

# How a page came about; `shared.events.LOOKING` says which of them only ask to look.
Through: TypeAlias = Literal[
    "level", "finally", "assignee", "point", "handoff", "worse", "silence", "last_resort"
]

# Why pages are called off.
CalledOff: TypeAlias = Literal["taken", "resolved", "merged", "suppressed", "snoozed", "waiting", "handed up"]

# What one incident tells another one; `model.related` says what comes with each.
Relation: TypeAlias = Literal[
    "absorbed",
    "came_back",
    "cause_ended",
    "changed",
    "ended",
    "joined",
    "left",
    "look",
    "moved",
    "over",
    "refused",
    "repeated",
    "stands",
    "unnamed",
]

# Why an action is refused; the API has a status for each.
RefusalKind: TypeAlias = Literal["forbidden", "conflict", "invalid"]

# Why the levels stand still although nothing is solved; '' when they move.
StandsStill: TypeAlias = Literal["", "grouped", "suppressed", "snoozed", "waiting", "held"]

# The changes that subscriptions and followers hear of.
SubscribedEvent: TypeAlias = Literal[
    "opened", "escalated", "update", "at_risk", "breached", "taken", "resolved", "closed", "reopened"
]

# What people hear of an incident without being asked to take it; the outgoing webhook has a type for each.
NoticeEvent: TypeAlias = SubscribedEvent | Literal["inform", "confirm", "handoff", "call"]

# What people can do to an incident; `actions` has what each does.
ActionName: TypeAlias = Literal[
    "acknowledge",
    "unacknowledge",
    "assign",
    "resolve",
    "reopen",
    "confirm",
    "refuse",
    "close",
    "escalate",
    "snooze",
    "wait",
    "resume",
    "set",
    "reapply",
    "decide",
    "merge",
    "note",
    "update",
    "subscribe",
    "unsubscribe",
]
_ACTIONS: Final[Mapping[str, ActionName]] = {name: name for name in get_args(ActionName)}


class UnknownAction(str):
    """A word that names no action: whoever asked for it hears which there are."""

    __slots__ = ()


def action_named(word: str) -> ActionName | UnknownAction:
    """The action of that name."""
    return _ACTIONS.get(word) or UnknownAction(word)
