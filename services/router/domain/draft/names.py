"""Who is meant, as a recipient, and how whoever acts appears in a timeline."""

from shared.events import IncidentEvent, Recipient


def user(name: str) -> Recipient:
    """A user as a recipient."""
    return Recipient(kind="user", name=name)


def sender(event: IncidentEvent) -> str:
    """How a sender appears in a timeline."""
    return f"integration:{event.integration}"
