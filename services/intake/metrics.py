"""What intake counts."""

from functools import lru_cache
from typing import Final

from prometheus_client import Counter, Histogram

ACCEPTED: Final = Counter(
    "ladder_intake_events_accepted",
    "Events that the log acknowledged.",
    ["integration", "format"],
)
IGNORED: Final = Counter(
    "ladder_intake_events_ignored",
    "What an integration's `ignore` dropped.",
    ["integration"],
)
BEATS: Final = Counter("ladder_intake_beats", "Beats that the log acknowledged.", ["heartbeat"])
REFUSED: Final = Counter(
    "ladder_intake_posts_refused",
    "Posts that were not accepted, by the last part of the problem's type.",
    ["format", "reason"],
)
PUBLISHING: Final = Histogram(
    "ladder_intake_publish_seconds",
    "From handing events to the log until it acknowledged them.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


@lru_cache(maxsize=10_000)
def accepted(integration: str, kind: str) -> Counter:
    """The counter of one integration; looking labels up takes longer than counting."""
    return ACCEPTED.labels(integration, kind)
