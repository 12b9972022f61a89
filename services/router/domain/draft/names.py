"""Users and addresses as recipients, and senders as a timeline names them."""

from shared.events import Contact, IncidentEvent, Recipient


def user(name: str) -> Recipient:
    """A user as a recipient."""
    return Recipient(kind="user", name=name)


def at_address(channel: str, address: str) -> Recipient:
    """Whoever is reached at an address; the contact has the channel's name."""
    contact = Contact(name=channel, channel=channel, address=address)
    return Recipient(kind="address", name=address, contacts=(contact,))


def sender(event: IncidentEvent) -> str:
    """A sender as a timeline names it."""
    return f"integration:{event.integration}"
