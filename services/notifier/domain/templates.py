"""The bundle's templates for one message: the incident's fields by the names that expressions use."""

from typing import Any

import msgspec

from shared.events import IncidentSnapshot, Notice
from shared.policy.rendering import BrokenTemplateError, rendered

__all__ = ["BrokenTemplateError", "render"]


class _Customer(str):
    """Writes itself as the customer's id and has `id` and `name`, so that both spellings work."""

    __slots__ = ("id", "name")
    id: str
    name: str


def render(title: str, body: str, incident: IncidentSnapshot, notice: Notice) -> tuple[str, str]:
    """Title and body of a message, at most 10,000 characters each. Raises BrokenTemplateError.

    Takes up to some hundred milliseconds of the processor, whatever the template is: not for the event loop.
    """
    names = _names(incident, notice)
    return rendered(title, names), rendered(body, names)


def _names(incident: IncidentSnapshot, notice: Notice) -> dict[str, Any]:
    customer = _Customer(incident.customer)
    customer.id = incident.customer
    customer.name = incident.customer_name or incident.customer
    fields: dict[str, Any] = msgspec.structs.asdict(incident)
    return fields | {"customer": customer, "text": notice.text, "event": notice.event, "incident": fields}
