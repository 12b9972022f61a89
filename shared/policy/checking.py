"""What `ladder check` prints: errors as text, JSON or a forge's annotations, and what is not in force yet."""

import json
from pathlib import Path
from typing import Final, Literal, TypeAlias

from shared.policy.bundle_json import content_hash
from shared.policy.errors import PolicyError, PolicyErrors
from shared.policy.in_force import not_in_force
from shared.policy.loading import load
from shared.policy.model import Bundle

ReportFormat: TypeAlias = Literal["text", "json", "github"]
NOT_PROVED: Final = (
    "Syntax, names and types are checked. "
    "That every minute is covered by somebody reachable is not proved yet."
)


def report(path: Path, style: ReportFormat = "text") -> tuple[int, str]:
    """The exit status (1 with errors, otherwise 0) and the whole text to print."""
    try:
        bundle = load(path)
    except PolicyErrors as err:
        return 1, _errors(err, style)
    return 0, _sound(path, bundle, style)


def _errors(err: PolicyErrors, style: ReportFormat) -> str:
    if style == "json":
        return _json({"ok": False, "errors": [_entry(error) for error in err.errors]})
    if style == "github":
        return "\n".join(_annotation("error", error) for error in err.errors)
    count = len(err.errors)
    return f"{err}\n{count} {'error' if count == 1 else 'errors'}"


def _sound(path: Path, bundle: Bundle, style: ReportFormat) -> str:
    later = not_in_force(bundle)
    if style == "json":
        found = {"ok": True, "errors": [], "hash": content_hash(bundle)}
        return _json(found | {"not_in_force": later, "not_proved": NOT_PROVED})
    if style == "github":
        return "\n".join(
            f"::notice file={_property(str(path))}::{_escaped(each)}" for each in [*later, NOT_PROVED]
        )
    lines = [f"{path} is sound; hash {content_hash(bundle)[:12]}", *later, NOT_PROVED]
    return "\n".join(lines)


def _entry(error: PolicyError) -> dict[str, str | int]:
    return {
        "file": error.place.file,
        "line": error.place.line,
        "column": error.place.column,
        "path": error.path,
        "found": error.found,
        "expected": error.expected,
        "hint": error.hint,
        "message": error.message,
    }


def _annotation(kind: str, error: PolicyError) -> str:
    """A workflow command: docs.github.com, "Workflow commands for GitHub Actions"."""
    place = error.place
    where = f"file={_property(place.file)}"
    if place.line:
        where += f",line={place.line},col={place.column}"
    return f"::{kind} {where}::{_escaped(f'{error.path}: {error.message}' if error.path else error.message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
