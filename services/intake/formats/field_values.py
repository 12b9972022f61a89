"""Single values that replace those of an event, bounded and cleaned as each field needs it.

A value that cannot be used leaves the field as it was, with a note.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.intake.formats.contract import (
    DESCRIPTION_LENGTH,
    LABEL_LENGTH,
    LABELS,
    NAME_LENGTH,
    TITLE_LENGTH,
)
from services.intake.formats.lenient import LinkSent, Mapper, link_of
from services.intake.formats.sanitize import as_text, bounded, cut
from shared.events import IncidentEvent, Link
from shared.json_object import JsonObject
from shared.policy.cel.body_mapping import GAVE_NULL

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


_NAMED: Final = ("name", "key", "tag")
_LINK: Final = frozenset({"href", "text", "image"})


def overridden(
    event: IncidentEvent, values: Mapping[str, Any], failed: Mapping[str, str], where: str = "map"
) -> IncidentEvent:
    """The event with these values; `failed`: the fields whose mapping gave nothing, and why.

    A whole map of labels or attributes is merged into the event's; a single one wins over it. `where`
    is the place of the expressions in the integration: `map`, or `map[1].map`.
    """
    mapper = Mapper(list(event.notes))
    for name, why in failed.items():
        mapper.note(f"the mapping of {name} gave nothing: {why}")
    opens = values.get("action", event.action) == "trigger"  # there a blank severity means `error`
    changes: JsonObject = {}
    labels, attributes = dict(event.labels), dict(event.attributes)
    for name, value in sorted(values.items(), key=lambda each: "." in each[0]):
        base, _, inner = name.partition(".")
        if value is None or (value == "" and not (name == "severity" and opens)):
            mapper.note(f"{name} was given no value")
        elif base == "labels" and inner and (inner in labels or len(labels) < LABELS):
            labels[inner] = mapper.label(inner, value)
        elif base == "attributes" and inner:
            attributes[inner] = value
        elif name == "labels":
            labels |= _labels(mapper, value, LABELS - len(labels))
        elif name == "attributes":
            attributes |= _attributes(mapper, value)
        elif name == "links":
            changes[name] = _links(mapper, event, value)
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
        unmapped={
            _place(where, name): cut(why, _REASON_LENGTH) for name, why in failed.items() if why != GAVE_NULL
        },
    )


def _place(where: str, name: str) -> str:
    """The expression's place after `map`: `title`, or `[1].map.title`."""
    return name if where == "map" else f"{where.removeprefix('map')}.{name}"


def _labels(mapper: Mapper, value: Any, room: int) -> dict[str, str]:
    """Labels from a map or from a list of pairs, as many as the event has room for."""
    sent = {key: text for key, text in sorted(mapper.texts("labels", _paired(value)).items()) if key}
    if len(sent) > room:
        mapper.note(f"{len(sent) - room} labels beyond {LABELS} were left out")
    return {cut(key, LABEL_LENGTH): mapper.label(key, text) for key, text in list(sent.items())[:room]}


def _paired(value: Any) -> Any:
    """A list of pairs (`[name, value]`, or objects as `_pair` reads them) as a map; all else as it is."""
    if not isinstance(value, list):
        return value
    found: JsonObject = {}
    for each in value:
        pair = each
        if isinstance(each, Mapping):
            pair = _pair({key.lower(): text for key, text in each.items()})
        if not isinstance(pair, list) or len(pair) != 2:
            return value  # not a map: the caller notes it
        found[as_text(pair[0])] = pair[1]
    return found


def _pair(said: Mapping[str, Any]) -> Any:
    """`[name, value]` of an object with `value` and `name`, `key` or `tag` (or one other field), or None."""
    named = next((key for key in _NAMED if key in said), None)
    if named is None and len(said) == 2:
        named = next(key for key in said if key != "value")
    return None if named is None or "value" not in said else [said[named], said["value"]]


def _attributes(mapper: Mapper, value: Any) -> JsonObject:
    if isinstance(value, Mapping):
        return {key: value[key] for key in sorted(value)}
    mapper.note("attributes is not a map")
    return {}


def _links(mapper: Mapper, event: IncidentEvent, value: Any) -> tuple[Link, ...]:
    """The event's links and: an address, `{href, text, image}`, `{text: address, …}`, or a list of these."""
    found: list[LinkSent] = [(link.href, link.text, link.image) for link in event.links]
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, Mapping) and "href" in each and _LINK.issuperset(each):
            found.append(link_of(each))
        elif isinstance(each, Mapping):
            found += [(address, text, False) for text, address in sorted(each.items())]
        elif isinstance(each, str):
            found.append((each, "", False))
        elif each is not None:
            mapper.note(f"link {cut(as_text(each), 64)!r} was left out")
    return mapper.links(list({as_text(link[0]): link for link in found}.values()))


def _field(name: str, value: Any, mapper: Mapper) -> JsonObject:
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
