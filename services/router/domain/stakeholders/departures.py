"""Who has left a subscription of the policy: nobody is told by it who said that they want to hear no more.

It is kept by the target that means them (`customer`, `team:management`, a bare address), not by the
subscription's place, condition, events or words: whoever edits the policy subscribes nobody again.
"""

from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from services.router.domain.model.context import Left
from shared.events import AN_ADDRESS, Recipient
from shared.policy.model.addresses import place
from shared.policy.model.targets import AddressTarget, Target


def named(target: Target) -> str:
    """A subscription as whoever is meant by this target leaves it; no address stands in it."""
    return AN_ADDRESS if isinstance(target, AddressTarget) else target.text


def who_stays(left: AbstractSet[Left], recipient: Recipient, subscription: str) -> Recipient | None:
    """The recipient without the addresses that have left; None when nothing remains."""
    if not left:
        return recipient
    kind = recipient.kind
    if kind not in ("customer", "address"):
        return None if Left(subscription, kind, recipient.name) in left else recipient
    name = recipient.name if kind == "customer" else ""
    stays = tuple(
        contact
        for contact in recipient.contacts
        if Left(subscription, kind, name, place(contact.channel, contact.address)) not in left
    )
    if len(stays) == len(recipient.contacts):
        return recipient
    return replace(recipient, contacts=stays) if stays else None
