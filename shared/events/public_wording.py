"""What customers and subscribers outside read of an incident, in mails and on pages.

Nothing internal is in it: no people, no reasons, no notes. A template of the policy may show more: it has the
names of `names`, which docs/policy.md lists.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from shared.events import CUSTOMERS_OWN, IncidentSnapshot

_HAPPENED: Final[Mapping[str, str]] = {
    "opened": "We know of this problem, and those who solve such problems have been told.",
    "escalated": "We brought in more people to solve it.",
    "update": "There is news.",
    "at_risk": "It may take us longer than we promised.",
    "breached": "It is taking us longer than we promised.",
    "taken": "Somebody is working on it.",
    "resolved": "The problem is resolved.",
    "closed": "It is closed.",
    "reopened": "The problem came back; we look at it again.",
    "inform": "For your information.",
    "confirm": "Please confirm that it is solved.",
}
_TAKEN: Final[Mapping[str, str]] = {
    "opened": "We know of this problem and are working on it.",
    "breached": "It is taking us longer than we promised. We are still working on it.",
}
_STATE: Final[Mapping[str, str]] = {
    "triggered": "reported",
    "acknowledged": "being worked on",
    "resolved": "resolved",
    "closed": "closed",
}


def is_taken(incident: IncidentSnapshot) -> bool:
    """Whether somebody works on it: a person has it. What a machine acknowledged nobody has taken."""
    return incident.status == "acknowledged" and bool(incident.assignee)


def happened(event: str, *, taken: bool) -> str:
    """What happened, in a sentence. That we work on it is said only where somebody has taken it."""
    return (_TAKEN.get(event) if taken else None) or _HAPPENED.get(event, "There is news.")


def state(status: str, *, taken: bool) -> str:
    """Where it stands, in words."""
    return _STATE["triggered"] if status == "acknowledged" and not taken else _STATE[status]


class _Customer(str):
    """Writes itself as the customer's id and has `id` and `name`, so that both spellings work."""

    __slots__ = ("id", "name")
    id: str
    name: str


def names(
    incident: IncidentSnapshot,
    event: str,
    *,
    text: str = "",
    taken_by: str = "",
    promise: str = "",
    link: str,
) -> Mapping[str, object]:
    """What a template can name: the incident's fields, and what this message is about."""
    customer = _Customer(incident.customer)
    customer.id = incident.customer
    customer.name = incident.customer_name or incident.customer
    fields: dict[str, object] = msgspec.structs.asdict(incident)
    for name in CUSTOMERS_OWN:
        del fields[name]
    taken = is_taken(incident)
    return fields | {
        "customer": customer,
        "incident": fields,
        "text": text,
        "event": event,
        "happened": happened(event, taken=taken),
        "state": state(incident.status, taken=taken),
        "taken_by": taken_by,
        "promise": promise,
        "link": link,
    }
