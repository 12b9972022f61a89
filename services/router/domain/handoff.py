"""When the shift of whoever took it ends: the incoming person hears of it (POLICY.md, rule 20)."""

from collections.abc import Iterator
from datetime import datetime

from services.router.domain.draft import Draft


def begin(draft: Draft) -> None:
    """Somebody has just taken it: remember the shift they took it on, if a schedule named them."""
    del draft


def check(draft: Draft) -> None:
    """Hand it over when the shift has ended."""
    del draft


def moments(draft: Draft) -> Iterator[datetime]:
    """The end of the shift."""
    if draft.incident.duty is not None and draft.incident.status == "acknowledged":
        yield draft.incident.duty.until
