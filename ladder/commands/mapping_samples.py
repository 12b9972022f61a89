"""The sample bodies that a policy names, mapped: what `ladder check` shows of them, and what fails."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ladder.commands.try_map import event_lines
from services.intake.dry_run import read_post
from services.router.api.shapes.dry_run import said
from shared.http.problems import Problem
from shared.policy import Bundle, PolicyError, PolicyErrors, load
from shared.policy.checks.report import entry
from shared.policy.errors import Finding
from shared.policy.loading.source import Source, read
from shared.policy.model.integrations import Sample

_LARGEST: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mapped:
    """One sample, and the events that come of it."""

    integration: str
    file: str
    events: Sequence[Mapping[str, Any]]
    ignored: int

    def lines(self) -> Iterator[str]:
        """For a reader."""
        count = len(self.events)
        ignored = f", {self.ignored} ignored" if self.ignored else ""
        yield f"{self.integration}: {self.file}: {count} event{'' if count == 1 else 's'}{ignored}"
        for event in self.events:
            yield from (f"  {line}" for line in event_lines(event))


def with_samples(policy: Path, style: str, found: tuple[int, str], now: datetime) -> tuple[int, str]:
    """What `ladder check` prints, and its exit status, with the samples of a policy that is sound."""
    status, text = found
    if status:
        return found
    try:
        bundle = load(policy)
    except PolicyErrors:  # it was changed in this moment
        return found
    if not any(each.samples for each in bundle.integrations.values()):
        return found
    mapped, errors = _all(bundle, read(policy), now)
    told = _document(text, mapped, errors) if style == "json" else _told(text, style, mapped, errors)
    return int(bool(errors)), told


def _told(text: str, style: str, mapped: Sequence[Mapped], errors: Sequence[PolicyError]) -> str:
    if style == "github":
        told = [f"::error file={each.place.file},line={each.place.line}::{each.message}" for each in errors]
        return "\n".join([text, *told])
    if errors:
        count = f"{len(errors)} sample{'' if len(errors) == 1 else 's'} of the policy cannot be mapped"
        return "\n".join([*map(str, errors), count])
    shown = [line for each in mapped for line in each.lines()]
    return "\n".join([text, "", "Its samples:", *shown])


def _document(text: str, mapped: Sequence[Mapped], errors: Sequence[PolicyError]) -> str:
    document = json.loads(text)
    document["samples"] = [
        {"integration": each.integration, "file": each.file, "ignored": each.ignored, "events": each.events}
        for each in mapped
    ]
    if errors:
        document["ok"] = False
        document["errors"] = [*document.get("errors", ()), *map(_entry, errors)]
        document["findings"] = [*document.get("findings", ()), *map(entry, errors)]
    return json.dumps(document, indent=2, ensure_ascii=False)


def _entry(error: PolicyError) -> dict[str, str | int]:
    return entry(error) | {"found": error.found, "expected": error.expected, "hint": error.hint}


def _all(bundle: Bundle, source: Source, now: datetime) -> tuple[list[Mapped], list[PolicyError]]:
    mapped: list[Mapped] = []
    errors: list[PolicyError] = []
    for name, integration in bundle.integrations.items():
        for index, sample in enumerate(integration.samples):
            path = ("integrations", name, "samples", index)
            beside = Path(source.place(path).file).parent
            try:
                mapped.append(_one(bundle, name, sample, beside, now))
            except (OSError, Problem) as err:
                expected = f"a body that the integration maps: {_why(err)}"
                errors.append(source.error(Finding(path, repr(sample.file), expected)))
    return mapped, errors


def _one(bundle: Bundle, name: str, sample: Sample, beside: Path, now: datetime) -> Mapped:
    with (beside / sample.file).open("rb") as stream:
        body = stream.read(_LARGEST + 1)
    events, ignored = read_post(bundle, name, body, sample.headers, now)
    return Mapped(name, sample.file, [said(event) for event in events], ignored)


def _why(err: OSError | Problem) -> str:
    if isinstance(err, OSError):
        return err.strerror or str(err)
    faults = [f"{fault.field}: {fault.reason}" for fault in err.faults[:5]]
    return "; ".join(faults) or err.title
