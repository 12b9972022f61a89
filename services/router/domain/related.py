"""What one incident hears of another one: of its group, its cause, what it was merged into."""

from services.router.domain.draft import Draft
from shared.events import RelatedChanged


def told(draft: Draft, message: RelatedChanged) -> None:
    """Take it in."""
    del draft, message
