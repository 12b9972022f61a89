"""What is different between two bundles, in the policy's own words: `team desk: eva added`.

Works on the canonical JSON (see bundle_json), where durations and targets stand as they are written in YAML
and defaults are left out. Addresses, keys and secrets are never quoted: that they changed is said. Pure.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from shared.json_object import JsonObject

MOST_TOLD: Final = 50
_NAMED: Final = 3  # names in one sentence; more are counted
_LONGEST: Final = 60  # characters of a quoted value
_MOST_ROWS: Final = 1000  # compared row by row
_UNSET: Final = object()
_HIDDEN: Final = frozenset({"keys", "secret", "signing_secret", "webhook", "sha256"})
_ONE: Final[Mapping[str, str]] = {
    "users": "user",
    "teams": "team",
    "schedules": "schedule",
    "calendars": "calendar",
    "customers": "customer",
    "services": "service",
    "kinds": "kind",
    "policies": "policy",
    "integrations": "integration",
    "api_keys": "API key",
    "calls": "call",
    "heartbeats": "heartbeat",
    "templates": "template",
}


def changes(before: bytes, after: bytes) -> list[str]:
    """A sentence for each difference between two bundles as `dump_json` gave them; none where there is none.

    No more than MOST_TOLD, and then how many more there are.
    """
    told = list(_of_sections(json.loads(before), json.loads(after)))
    more = len(told) - MOST_TOLD
    return [*told[:MOST_TOLD], f"and {more} more"] if more > 0 else told


def _of_sections(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """First what came and went, then what is different in what stays."""
    differing = [each for each in dict.fromkeys([*after, *before]) if before.get(each) != after.get(each)]
    for section in differing:
        if section in _ONE:
            yield from _of_entries(section, before.get(section, {}), after.get(section, {}))
    for section in differing:
        old, new = before.get(section, _UNSET), after.get(section, _UNSET)
        if section in _ONE:
            yield from _of_stayed(section, _mapping(old), _mapping(new))
        else:
            yield from _of_value(section, old, new)


def _of_entries(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for verb, names in (
        ("added", [name for name in after if name not in before]),
        ("removed", [name for name in before if name not in after]),
    ):
        if names:
            yield _counted(section, names, verb)


def _of_stayed(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in after:
        if name in before and before[name] != after[name]:
            yield from _of_entry(section, name, before[name], after[name])


def _counted(section: str, names: Sequence[str], verb: str) -> str:
    if len(names) == 1:
        return f"{_ONE[section]} {names[0]} {verb}"
    shown = ", ".join(names[:_NAMED])
    if len(names) <= _NAMED:
        return f"{_plural(section)} {shown} {verb}"
    return f"{len(names)} {_plural(section)} {verb} ({shown}, …)"


def _plural(section: str) -> str:
    return "API keys" if section == "api_keys" else section


def _of_entry(section: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """People and teams are told of by name, everything else by its path."""
    for field in dict.fromkeys([*after, *before]):
        old, new = before.get(field, _UNSET), after.get(field, _UNSET)
        if old == new:
            continue
        if field == "contacts":
            yield from _of_contacts(f"{_ONE[section]} {name}", _mapping(old), _mapping(new))
        elif section == "teams" and field == "members":
            yield from _of_words(f"team {name}", _sequence(old), _sequence(new))
        else:
            yield from _of_value(f"{section}.{name}.{field}", old, new)


def _of_contacts(whose: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*after, *before]):
        if before.get(name) != after.get(name):
            verb = "added" if name not in before else "removed" if name not in after else "changed"
            yield f"{whose}: contact {name} {verb}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _of_value(path: str, before: Any, after: Any) -> Iterator[str]:
    if path.rpartition(".")[2] in _HIDDEN:
        yield f"{path} changed"
    elif isinstance(before, dict) and isinstance(after, dict):
        for field in dict.fromkeys([*after, *before]):
            old, new = before.get(field, _UNSET), after.get(field, _UNSET)
            if old != new:
                yield from _of_value(f"{path}.{field}", old, new)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_list(path, before, after)
    else:
        yield f"{path}: {_quoted(before)} → {_quoted(after)}"


def _of_list(path: str, before: list[Any], after: list[Any]) -> Iterator[str]:
    if not any(isinstance(each, dict | list) for each in (*before, *after)):
        yield from _of_words(path, before, after)
    elif (old := _by_name(before)) is not None and (new := _by_name(after)) is not None:
        yield from _of_named(path, old, new)
    else:
        yield from _of_rows(path, before, after)


def _of_words(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[str]:
    told: list[str] = []
    for verb, these, those in (("added", after, before), ("removed", before, after)):
        others = {_written(each) for each in those}
        words = [_quoted(each) for each in these if _written(each) not in others]
        if len(words) <= _NAMED:
            told += [f"{word} {verb}" for word in words]
        else:
            told.append(f"{len(words)} {verb} ({', '.join(words[:_NAMED])}, …)")
    yield f"{path}: {', '.join(told)}" if told else f"{path}: {_quoted(before)} → {_quoted(after)}"


def _by_name(items: list[Any]) -> JsonObject | None:
    """The entries by their names, where each has one of its own."""
    named = {each["name"]: each for each in items if isinstance(each, dict) and "name" in each}
    return named if len(named) == len(items) else None


def _of_named(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Levels, points, promises: an entry keeps its name when another one comes before it."""
    kept_before = [name for name in before if name in after]
    kept = [name for name in after if name in before]
    if not kept and len(before) == len(after):
        yield from _of_rows(path, list(before.values()), list(after.values()))  # renamed, perhaps
        return
    told = [f"{name} added" for name in after if name not in before]
    told += [f"{name} removed" for name in before if name not in after]
    if kept != kept_before:
        told.append(f"now in the order {', '.join(after)}")
    if told:
        yield f"{path}: {', '.join(told)}"
    for index, (name, entry) in enumerate(after.items()):
        if name in before and before[name] != entry:
            yield from _of_value(f"{path}[{index}]", before[name], entry)


def _of_rows(path: str, before: list[Any], after: list[Any]) -> Iterator[str]:
    """Rows without names, such as routes, where the order counts."""
    if max(len(before), len(after)) > _MOST_ROWS:
        yield f"{path} changed: {len(before)} rows → {len(after)}"
        return
    old, new = [_written(each) for each in before], [_written(each) for each in after]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for verb, low, high, into, end in matcher.get_opcodes():
        if verb == "equal":
            continue
        both = min(high - low, end - into)
        for step in range(both):
            yield from _of_value(f"{path}[{into + step}]", before[low + step], after[into + step])
        for index in range(into + both, end):
            yield f"{path}[{index}] added: {_quoted(after[index])}"
        for index in range(low + both, high):
            yield f"{path}[{index}] removed: {_quoted(before[index])}"


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _quoted(value: Any) -> str:
    if value is _UNSET:
        return "unset"
    text = " ".join(_flow(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _flow(value: Any) -> str:
    """As YAML has it on one line."""
    match value:
        case dict():
            return f"{{{', '.join(f'{name}: {_shown(name, each)}' for name, each in value.items())}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case bool() | None:
            return json.dumps(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def _shown(name: str, value: Any) -> str:
    return "…" if name in _HIDDEN else _flow(value)
