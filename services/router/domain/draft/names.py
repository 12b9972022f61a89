"""Who is meant, as a recipient, and how whoever acts appears in a timeline."""

from shared.events import Contact, IncidentEvent, Recipient


def user(name: str) -> Recipient:
    """A user as a recipient."""
    return Recipient(kind="user", name=name)


def at_address(channel: str, address: str) -> Recipient:
    """Whoever is reached there; the contact has the channel's name."""
    contact = Contact(name=channel, channel=channel, address=address)
    return Recipient(kind="address", name=address, contacts=(contact,))


def sender(event: IncidentEvent) -> str:
    """How a sender appears in a timeline."""
    return f"integration:{event.integration}"
