"""From a plain tree to a bundle, and everything that does not fit its shape, in words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.json_object import JsonObject
from shared.policy.errors import Finding, Path, nearest, shown
from shared.policy.loading.introspection import keys_at, kind_at
from shared.policy.loading.partial import PartialReader
from shared.policy.loading.suggestions import as_name, suggestion_for
from shared.policy.model.bundle import Bundle
from shared.policy.model.integrations import EVENT_FIELDS
from shared.policy.model.signing import HEADER_PATTERN, TOPIC_PATTERN
from shared.policy.model.targets import NAME_PATTERN
from shared.security.secret_files import NAME_PATTERN as SECRET_NAME_PATTERN


@dataclass(frozen=True, slots=True)
class Validated:
    """The bundle, what did not fit, and where.

    With findings the bundle is good for checking only: at the `wrong` paths it holds blanks. A key that was
    probably meant counts as wrong too: what it would say is not known.
    """

    bundle: Bundle
    findings: tuple[Finding, ...] = ()
    wrong: frozenset[Path] = frozenset()


def validate(tree: JsonObject) -> Validated:
    """Everything that does not fit, and the bundle of what does."""
    try:
        return Validated(Bundle.model_validate(tree, by_name=False, by_alias=True))
    except ValidationError as err:
        details = [each for each in err.errors(include_url=False) if not _has_members(each)]
    findings = list(_findings(details, tree))
    hinted = {(*each.path[:-1], each.hint) for each in findings if each.hint and each.at_key}
    wrong = frozenset(each.path for each in findings) | hinted
    partial = PartialReader([_stands(each) for each in details])
    bundle = partial.bundle(tree)
    findings = [each for each in findings if not (each.is_missing and each.path in hinted)]
    return Validated(bundle, tuple(dict.fromkeys([*findings, *partial.findings])), wrong)


def _has_members(error: ErrorDetails) -> bool:
    """Whether a list is called too short only because its members are wrong."""
    return error["type"] == "too_short" and bool(error["input"])


def _stands(error: ErrorDetails) -> Path:
    """The path of what is wrong; for a key, of the mapping that holds it."""
    path = tuple(error["loc"])
    return path[:-2] if path and path[-1] == "[key]" else path


def _findings(details: list[ErrorDetails], tree: JsonObject) -> Iterator[Finding]:
    for each in details:
        path, kind = tuple(each["loc"]), each["type"]
        context = each.get("ctx", {})
        if kind == "missing":
            yield Finding(path, "nothing", f"{path[-1]!r}, which is required", at_key=True)
        elif kind == "extra_forbidden":
            known = keys_at(Bundle, path[:-1])
            hint = nearest(str(path[-1]), known)
            yield Finding(path, f"the key {path[-1]!r}", f"one of {', '.join(known)}", hint, at_key=True)
        elif path and path[-1] == "[key]":
            expected = _expected(kind, context, each["msg"], path[-2])
            key = str(path[-2])
            hint = as_name(key) if "pattern" in context else nearest(key, EVENT_FIELDS)
            yield Finding(path[:-1], f"the key {shown(key)}", expected, hint, at_key=True)
        else:
            value = at(tree, path)
            expected = _expected(kind, context, each["msg"], value) + _with_keys(kind, path, value)
            words = re.findall(r"'([^']+)'", expected) if kind == "literal_error" else []
            near = nearest(value, words) if isinstance(value, str) else ""
            yield Finding(
                path, shown(value), expected, near or suggestion_for(kind_at(Bundle, path), value, tree)
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
    SECRET_NAME_PATTERN: "the name of a file of the secret folder: letters, digits, `.`, `_` and `-`",
    HEADER_PATTERN: "the name of a header, such as X-Signature",
    TOPIC_PATTERN: "the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:alarms",
    "^(?:inform|page|none)$": "inform, page or none",
}


_LIMITS: Final = {
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "greater_than": "more than {gt:g}",
    "less_than": "less than {lt:g}",
    "too_short": "at least {min_length} entry",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "some text",
    "literal_error": "{expected}",
    "value_error": "{error}",
}


def _expected(kind: str, context: Mapping[str, object], message: str, value: Any) -> str:
    if kind == "string_type":
        return "text: put it in quotes" if isinstance(value, int | float) else "text"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(str(context["pattern"]), "text on one line")
    if kind in _LIMITS:
        return _LIMITS[kind].format_map(context)
    return _PLAIN.get(kind, message[:1].lower() + message[1:])


def _with_keys(kind: str, path: Path, value: Any) -> str:
    """What a mapping or a list consists of, for who wrote something else."""
    if kind in ("model_type", "model_attributes_type"):
        return f" with {', '.join(keys_at(Bundle, path))}"
    if kind == "dict_type":
        return " of names"
    return ", each entry behind a dash" if kind == "tuple_type" and isinstance(value, dict) else ""


def at(tree: Any, path: Path) -> Any:
    """What a tree holds at a path; None: nothing."""
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree
