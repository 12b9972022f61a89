"""Who has left a subscription."""

from datetime import datetime

import msgspec


class UnsubscribedItem(msgspec.Struct, frozen=True, kw_only=True):
    """`recipient` is told nothing more by `subscription`: the target of the policy that means them.

    `contact` and `address` say which of a customer's addresses it is; users and rooms leave with all of them.
    """

    id: str
    subscription: str
    recipient: str
    contact: str
    address: str
    at: datetime
    by: str


class UnsubscribedList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first; `next` is the cursor of the following page, null on the last."""

    items: list[UnsubscribedItem]
    next: str | None
