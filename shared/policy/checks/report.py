"""What `ladder check` prints: findings as text, JSON or a forge's annotations; what is not in force."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from shared.json_object import JsonObject
from shared.policy.checks.check import check
from shared.policy.checks.installation import NOWHERE, Installation
from shared.policy.checks.not_implemented import not_in_force
from shared.policy.errors import PolicyError
from shared.policy.loading.load import LoadResult
from shared.policy.model.bundle_json import content_hash

ReportFormat: TypeAlias = Literal["text", "json", "github"]
NOT_PROVED: Final = (
    "Syntax, names and types are checked. "
    "That every minute is covered by somebody reachable is not proved yet."
)


def report(path: Path, style: ReportFormat = "text", installation: Installation = NOWHERE) -> tuple[int, str]:
    """The exit status (1 with errors, otherwise 0) and the whole text to print."""
    return reported(path, check(path, installation), style)


def reported(path: Path, looked: LoadResult, style: ReportFormat = "text") -> tuple[int, str]:
    """The same of a bundle that was looked at."""
    status = 1 if looked.errors else 0
    if style == "json":
        return status, _json(_document(looked))
    told = [*not_in_force(looked.sound), NOT_PROVED] if looked.loads else []
    if style == "github":
        notices = (f"::notice file={_property(str(path))}::{_escaped(each)}" for each in told)
        return status, "\n".join([*map(_annotation, looked.findings), *notices])
    lines = [each.line for each in looked.findings]
    if lines:
        lines.append(counted(looked.findings))
    if not status:
        lines.append(f"{path} is sound; hash {content_hash(looked.sound)[:12]}")
    return status, "\n".join(lines if status else [*lines, *told])


def counted(findings: Iterable[PolicyError]) -> str:
    """`1 error, 2 warnings`."""
    said = [each.severity for each in findings]
    counts = [(said.count(severity), severity) for severity in ("error", "warning")]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count)


def entry(finding: PolicyError) -> dict[str, str | int]:
    """A finding as JSON, the same wherever findings are told."""
    return {
        "severity": finding.severity,
        "code": finding.code,
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "path": finding.path,
        "message": finding.message,
        "mend": finding.mending,
    }


def _document(looked: LoadResult) -> Mapping[str, Any]:
    found: JsonObject = {
        "ok": not looked.errors,
        "findings": [entry(each) for each in looked.findings],
        "errors": [_error(each) for each in looked.errors],
    }
    if not looked.loads:
        return found
    later, of = not_in_force(looked.sound), content_hash(looked.sound)
    return found | {"hash": of, "not_in_force": later, "not_proved": NOT_PROVED}


def _error(error: PolicyError) -> dict[str, str | int]:
    return entry(error) | {"found": error.found, "expected": error.expected, "hint": error.hint}


def _annotation(finding: PolicyError) -> str:
    """A workflow command: docs.github.com, "Workflow commands for GitHub Actions"."""
    place = finding.place
    where = f"file={_property(place.file)}"
    if place.line:
        where += f",line={place.line},col={place.column}"
    return f"::{finding.severity} {where},title={finding.code}::{_escaped(finding.sentence)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
