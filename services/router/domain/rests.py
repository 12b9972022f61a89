"""Times in which the levels rest although nobody has it: waiting and snooze (POLICY.md, rule 9)."""

from collections.abc import Iterator
from datetime import datetime

from services.router.domain.draft import Draft


def check(draft: Draft) -> None:
    """End what is over."""
    del draft


def moments(draft: Draft) -> Iterator[datetime]:
    """When the rest ends."""
    if draft.incident.waiting_until is not None:
        yield draft.incident.waiting_until
    if draft.incident.snoozed_until is not None:
        yield draft.incident.snoozed_until
