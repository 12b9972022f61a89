"""Single values laid over an event, bounded and cleaned as each field needs it.

What cannot be used leaves the field as it was, with a note.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.intake.cleaning import as_text, bounded, cut
from services.intake.formats.contract import DESCRIPTION_LENGTH, LABELS, NAME_LENGTH, TITLE_LENGTH
from services.intake.formats.foreign import Mapper
from shared.events import IncidentEvent
from shared.policy.expressions import GAVE_NULL

_LENGTHS: Final[Mapping[str, int]] = {
    "title": TITLE_LENGTH,
    "description": DESCRIPTION_LENGTH,
    "source": TITLE_LENGTH,
    "kind": NAME_LENGTH,
    "customer": NAME_LENGTH,
    "tier": NAME_LENGTH,
    "service": NAME_LENGTH,
    "waiting_for": NAME_LENGTH,
}
_REASON_LENGTH: Final = 200
_ACTIONS: Final = ("trigger", "acknowledge", "resolve", "update", "note")


def overridden(event: IncidentEvent, values: Mapping[str, Any], failed: Mapping[str, str]) -> IncidentEvent:
    """The event with these values; `failed`: the fields whose mapping gave nothing, and why."""
    mapper = Mapper(list(event.notes))
    for name, why in failed.items():
        mapper.note(f"the mapping of {name} gave nothing: {why}")
    opens = values.get("action", event.action) == "trigger"  # a blank severity is an error there
    changes: dict[str, Any] = {}
    labels, attributes = dict(event.labels), dict(event.attributes)
    for name, value in values.items():
        base, _, inner = name.partition(".")
        if value is None or (value == "" and not (name == "severity" and opens)):
            mapper.note(f"{name} was given no value")
        elif base == "labels" and inner and (inner in labels or len(labels) < LABELS):
            labels[inner] = mapper.label(inner, value)
        elif base == "attributes" and inner:
            attributes[inner] = value
        else:
            changes |= _field(name, value, mapper)
    if attributes != event.attributes:
        attributes = bounded(attributes, mapper.notes)
    return msgspec.structs.replace(
        event,
        **changes,
        labels=labels,
        attributes=attributes,
        notes=tuple(mapper.notes),
        unmapped={name: cut(why, _REASON_LENGTH) for name, why in failed.items() if why != GAVE_NULL},
    )


def _field(name: str, value: Any, mapper: Mapper) -> dict[str, Any]:
    """The field with its value, or nothing (with a note) when the value cannot be used."""
    if name in _LENGTHS:
        return {name: mapper.text(name, value, _LENGTHS[name])}
    if name == "dedup_key":
        return {name: mapper.key(name, value)}
    if name == "severity":
        return {name: mapper.severity(value)}
    if name == "occurred_at":
        at = mapper.time(name, value)
        return {name: at} if at else {}
    allowed: tuple[Any, ...] = _ACTIONS if name == "action" else (1, 2, 3)
    if value not in allowed or isinstance(value, bool):
        mapper.note(f"{name} cannot be {as_text(value)!r}")
        return {}
    return {name: value if name == "action" else int(value)}
