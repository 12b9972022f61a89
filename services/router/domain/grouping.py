"""Incidents that are one problem: the first is the parent, the others have no ladder (POLICY.md, rule 11)."""

from services.router.domain.draft import Draft


def at_opening(draft: Draft) -> None:
    """Join the group that stands, or open one."""
    del draft


def after(draft: Draft) -> None:
    """Tell the parent what changed in a member; on a parent: priority, and its end when all have ended."""
    del draft
