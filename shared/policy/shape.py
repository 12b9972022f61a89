"""From a plain tree to a bundle: what does not fit its shape, in words, and a bundle of all that does."""

import re
import typing
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.policy.errors import Finding, Path, shown
from shared.policy.model import Bundle
from shared.policy.source import nearest
from shared.policy.targets import NAME_PATTERN

_PLACEHOLDERS: Final[Mapping[str, Any]] = {
    "version": 1,
    "last_resort": [{"inbox": "nobody"}],
    "policies": {"none": {"levels": [{"name": "none", "notify": ["assignee"], "acknowledge_within": "1h"}]}},
    "routes": [{"policy": "none"}],
}


@dataclass(frozen=True, slots=True)
class Shaped:
    """The bundle of all entries that have the right shape, and where a list's entries stood before.

    `whole` is True when nothing was left out.
    """

    bundle: Bundle
    whole: bool
    left_out: frozenset[Path]
    indices: Mapping[str, list[int]]

    def original(self, path: Path) -> Path:
        """A path of the bundle as a path of the files."""
        if len(path) > 1 and isinstance(path[1], int) and path[0] in self.indices:
            return (path[0], self.indices[str(path[0])][path[1]], *path[2:])
        return path


def shape(tree: dict[str, Any]) -> tuple[Shaped | None, list[Finding]]:
    """Everything that does not fit, and the bundle without the entries concerned (None: nothing is left)."""
    try:
        return Shaped(
            Bundle.model_validate(tree, by_name=False, by_alias=True),
            whole=True,
            left_out=frozenset(),
            indices={},
        ), []
    except ValidationError as err:
        details = err.errors(include_url=False)
    findings = list(_findings(details, tree))
    return _without(tree, {tuple(each["loc"][:2]) for each in details}), findings


def _without(tree: dict[str, Any], wrong: set[Path]) -> Shaped | None:
    """Leave out the entries that are wrong, so that the others can be checked further."""
    rest = deepcopy(tree)
    indices: dict[str, list[int]] = {}
    for section, value in list(rest.items()):
        if (section,) in wrong or section not in Bundle.model_fields:
            del rest[section]
        elif isinstance(value, dict):
            for name in [name for name in value if (section, name) in wrong]:
                del value[name]
        elif isinstance(value, list):
            indices[section] = [index for index in range(len(value)) if (section, index) not in wrong]
            rest[section] = [value[index] for index in indices[section]]
    for section, placeholder in _PLACEHOLDERS.items():
        if not rest.get(section):
            rest[section] = deepcopy(placeholder)
    if rest["routes"] == _PLACEHOLDERS["routes"]:
        rest["policies"] = {**deepcopy(_PLACEHOLDERS["policies"]), **rest["policies"]}
    try:
        bundle = Bundle.model_validate({key: value for key, value in rest.items() if value})
    except ValidationError:
        return None
    return Shaped(bundle, whole=False, left_out=frozenset(wrong), indices=indices)


def _findings(details: list[ErrorDetails], tree: dict[str, Any]) -> Iterator[Finding]:
    for each in details:
        path, kind = tuple(each["loc"]), each["type"]
        context = each.get("ctx", {})
        if kind == "missing":
            yield Finding(path, "nothing", f"{path[-1]!r}, which is required", at_key=True)
        elif kind == "extra_forbidden":
            known = _keys_at(path[:-1])
            hint = nearest(str(path[-1]), known)
            yield Finding(path, f"the key {path[-1]!r}", f"one of {', '.join(known)}", hint, at_key=True)
        elif path and path[-1] == "[key]":
            expected = _expected(kind, context, each["msg"], path[-2])
            yield Finding(path[:-1], f"the key {shown(path[-2])}", expected, at_key=True)
        else:
            value = _at(tree, path)
            expected = _expected(kind, context, each["msg"], value)
            words = re.findall(r"'([^']+)'", expected) if kind == "literal_error" else []
            yield Finding(
                path, shown(value), expected, nearest(value, words) if isinstance(value, str) else ""
            )


_PLAIN: Final = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "string_unicode": "valid Unicode",
}
_PATTERNS: Final = {
    f"^{NAME_PATTERN}$": "a name of a–z, 0–9, _ and - that begins with a letter or digit",
    "^[0-9a-fA-F]{64}$": "the SHA-256 of a key: 64 hexadecimal digits",
    "^[A-Z]{2}$": "a country of two capital letters, such as CZ",
    r"^(?:https?://\S+|secret:\S+)$": "a URL that begins with http:// or https://, or secret:NAME",
    "^(?:inform|page|none)$": "inform, page or none",
}


_LIMITS: Final = {
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "greater_than": "more than {gt:g}",
    "less_than": "less than {lt:g}",
    "too_short": "at least {min_length} of them",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "some text",
    "literal_error": "{expected}",
    "value_error": "{error}",
}


def _expected(kind: str, context: dict[str, Any], message: str, value: Any) -> str:
    if kind == "string_type":
        return "text: put it in quotes" if isinstance(value, int | float) else "text"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], "text on one line")
    if kind in _LIMITS:
        return _LIMITS[kind].format_map(context)
    return _PLAIN.get(kind, message[:1].lower() + message[1:])


def _at(tree: Any, path: Path) -> Any:
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _keys_at(path: Path) -> list[str]:
    """The keys that the bundle's shape knows at a path."""
    kind: Any = Bundle
    for part in path:
        kind = _inner(kind, part)
    model = _model(kind)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _inner(kind: Any, part: str | int) -> Any:
    model = _model(kind)
    if model is not None:
        for name, field in model.model_fields.items():
            if part in (field.alias, name):
                return field.annotation
        return Any
    for each in _flat(kind):
        arguments = typing.get_args(each)
        if typing.get_origin(each) is dict:
            return arguments[1]
        if typing.get_origin(each) is tuple:
            return arguments[0]
    return Any


def _flat(kind: Any) -> Iterator[Any]:
    """A type without Annotated and unions."""
    if typing.get_origin(kind) is typing.Annotated:
        yield from _flat(typing.get_args(kind)[0])
    elif typing.get_origin(kind) in (typing.Union, type(int | None)):
        for each in typing.get_args(kind):
            yield from _flat(each)
    else:
        yield kind


def _model(kind: Any) -> type[BaseModel] | None:
    for each in _flat(kind):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None
