"""The words of decisions, each a closed list, so that a misspelt or forgotten one is found.

They are stored, sent and shown: never rename one. A new kind of entry also needs its place in messages
(`draft/timeline.py`) and in forecasts (`forecast`).
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypedDict

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

# What one incident tells another one; `relations.messages` has an answer to each.
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


class Taker(TypedDict):
    """Who has an incident, if anybody, and whether a person took it."""

    assignee: str
    person: bool


class RelatedValues(TypedDict, total=False):
    """What comes with a relation, as JSON; the ones it comes with are named."""

    again: bool  # joined: it was a member before
    late: bool  # joined: it is held and does not count yet
    counts: bool  # changed: it is held no longer
    open: bool  # left: it still stood
    of: str  # refused: the relation that was
    to: str  # moved: where to
    by: str  # over: the actor
    assignee: str  # stands
    person: bool
    action: str  # repeated, moved: of the event
    said: str
    worse: bool | str  # its own priority rose; '' where nobody said
    followers: Sequence[str]  # absorbed
    subscribers: Sequence[dict[str, Any]]
    events: int
    resolved: bool
    member: str  # unnamed: which one it is about
    doubt: str
