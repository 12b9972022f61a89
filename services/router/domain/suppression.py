"""What stops notifying, never recording: windows, silences, maintenance, causes (POLICY.md, rule 11)."""

from collections.abc import Iterator
from datetime import datetime

from services.router.domain.draft import Draft


def at_opening(draft: Draft) -> None:
    """Whether the new incident is suppressed from its first moment: then its clocks do not start yet."""
    del draft


def check(draft: Draft) -> None:
    """Begin or end the suppression of an open incident, as it is now."""
    del draft


def moments(draft: Draft) -> Iterator[datetime]:
    """When to ask again."""
    if draft.incident.suppressed_until is not None:
        yield draft.incident.suppressed_until
