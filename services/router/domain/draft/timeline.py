"""The timeline's kinds of entries: which of them a message tells, too."""

from typing import Final

from services.router.domain.model.vocabulary import EntryKind

# Timeline entries that say what happened to the incident …
TELLING: Final[frozenset[EntryKind]] = frozenset(
    {
        *("opened", "reopened", "paged", "informed", "taken", "resolved", "closed", "escalated", "priority"),
        *(
            "unreachable",
            "breach",
            "warn",
            "point",
            "waiting",
            "resumed",
            "asked",
            "update",
            "seen",
            "nobody",
        ),
        *("handoff", "on_call", "snoozed", "given_back", "decided", "policy", "merged", "late", "silent"),
    }
)
# … and those that explain how it was worked out, which a message leaves out.
WORKINGS: Final[frozenset[EntryKind]] = frozenset(
    {
        *(
            "activate",
            "avoided",
            "awake",
            "call",
            "cause",
            "competence",
            "confirming",
            "customer",
            "delivery",
        ),
        *(
            "dropped",
            "ended",
            "fulfil",
            "grace",
            "grouped",
            "grouping",
            "held",
            "intake",
            "joined",
            "late_over",
        ),
        *("left", "level_skipped", "linked", "muted", "note", "pause", "recorded", "reminded", "repeated"),
        *("resume", "retried", "route", "set", "sla", "stays", "stuck", "subscribed", "suppressed"),
        *("suppression", "tier", "told", "turn", "unsubscribed", "updated", "upstream"),
    }
)
