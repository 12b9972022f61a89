"""The bundle's templates: Jinja in a sandbox, the incident's fields by the names that expressions use."""

from functools import lru_cache
from typing import Any, Final

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.events import IncidentSnapshot, Notice

_LONGEST: Final = 10_000
_environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


class BrokenTemplateError(Exception):
    """The template cannot be rendered for this incident; the text says why."""


class _Customer(str):
    """Writes itself as the customer's id and has `id` and `name`, so that both spellings work."""

    __slots__ = ("id", "name")
    id: str
    name: str


def render(title: str, body: str, incident: IncidentSnapshot, notice: Notice) -> tuple[str, str]:
    """Title and body of a message, at most 10,000 characters each. Raises BrokenTemplateError."""
    names = _names(incident, notice)
    try:
        return (
            _compiled(title).render(names)[:_LONGEST].strip(),
            _compiled(body).render(names)[:_LONGEST].strip(),
        )
    except (
        TemplateError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        MemoryError,
        RecursionError,
    ) as err:
        raise BrokenTemplateError(str(err) or type(err).__name__) from err


@lru_cache(maxsize=256)
def _compiled(source: str) -> Template:
    return _environment.from_string(source)


def _names(incident: IncidentSnapshot, notice: Notice) -> dict[str, Any]:
    customer = _Customer(incident.customer)
    customer.id = incident.customer
    customer.name = incident.customer_name or incident.customer
    fields: dict[str, Any] = msgspec.structs.asdict(incident)
    return fields | {"customer": customer, "text": notice.text, "event": notice.event, "incident": fields}
