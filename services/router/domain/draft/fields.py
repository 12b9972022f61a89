"""Fields of the incident: what depends on a change of each."""

from collections.abc import Mapping
from typing import Final

# What expressions see of each field. Other changes keep the activation, which is expensive to build.
SEEN_AS: Final[Mapping[str, frozenset[str]]] = {
    **{
        name: frozenset({name})
        for name in (
            *(
                "title",
                "description",
                "kind",
                "source",
                "severity",
                "impact",
                "urgency",
                "labels",
                "attributes",
            ),
            *("tier", "priority", "assignee", "reopened", "events"),
        )
    },
    "waiting": frozenset({"waiting_for"}),
    "customer": frozenset({"customer.id", "customer.value"}),
    "customer_name": frozenset({"customer.name"}),
    "service": frozenset({"service", "team"}),
    "status": frozenset({"status", "acknowledged"}),
    "acknowledged": frozenset({"acknowledged"}),
    "chain": frozenset({"level", "round"}),
}
# The fields that `is_open`, `is_muted` and `stands_still` depend on.
STANDING: Final = frozenset({"status", "belongs_to", "suppression", "snooze", "waiting", "late"})
GRADE: Final = frozenset({"priority", "severity", "kind"})
FOLLOWED: Final = STANDING | GRADE | {"chain"}  # those of which a draft keeps something
