"""Names in an event that the policy does not know."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.intake.formats.lenient import Mapper
from shared.events import IncidentEvent

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "number": (int, float),
    "string": (str,),
    "datetime": (str,),
    "list": (list,),
    "boolean": (bool,),
    "object": (dict,),
}


def with_unknown_names(
    event: IncidentEvent, kinds: Mapping[str, Mapping[str, str]], services: frozenset[str]
) -> IncidentEvent:
    """The event, with notes about a kind or service that the policy does not know, and missing attributes.

    `kinds` maps each kind to the attributes that it must carry and their types.
    """
    kind, service = event.kind, event.service
    if (kind is None or (kind in kinds and not kinds[kind])) and (service is None or service in services):
        return event
    mapper = Mapper(list(event.notes))
    if service is not None and service not in services:
        mapper.note(f"service {service!r} is not in the policy")
    if kind is not None and kind not in kinds:
        mapper.note(f"kind {kind!r} is not in the policy")
    elif kind is not None and event.action == "trigger":
        for name, wanted in kinds[kind].items():
            if not _is(wanted, event.attributes.get(name)):
                mapper.note(f"kind {kind!r} should carry attributes.{name} ({wanted})")
    return msgspec.structs.replace(event, notes=tuple(mapper.notes))


def _is(wanted: str, value: Any) -> bool:
    return isinstance(value, _TYPES.get(wanted, (object,))) and not (
        isinstance(value, bool) and wanted == "number"
    )
