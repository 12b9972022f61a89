"""Findings about a policy, at their places in the files: of this release, and of the Ladder it is for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ladder.client.options import connect
from shared.clock import utcnow
from shared.policy import Installation, LoadResult, PolicyError, PolicyErrors, check, dump_json
from shared.policy.checks.report import ReportFormat, reported
from shared.policy.errors import Location, dotted

_NOWHERE: Final = Location("", 0, 0)


def checked(path: Path, style: ReportFormat = "text", server: str = "", api_key: str = "") -> tuple[int, str]:
    """Exit status and text of `ladder check`; with a server, including what only the server knows."""
    looked = check(path, Installation(now=utcnow()))
    if server and looked.loads:
        with connect(server, api_key) as connection:
            answer = connection.check_policy(dump_json(looked.sound))
        looked = replace(looked, findings=tuple(placed(answer["findings"], looked)))
    return reported(path, looked, style)


def fit_to_apply(path: Path) -> LoadResult:
    """The bundle and its findings. Raises PolicyErrors if it has errors, including those that would load."""
    looked = check(path, Installation(now=utcnow()))
    if looked.errors:
        raise PolicyErrors(looked.errors)
    return looked


def warned(answer: Mapping[str, Any], looked: LoadResult) -> list[str]:
    """The warnings for whoever applied the bundle, one a line."""
    if "findings" not in answer:  # an older release
        return [f"warning: {sentence}" for sentence in answer.get("warnings") or ()]
    return [each.line for each in placed(answer["findings"], looked)]


def placed(findings: Sequence[Mapping[str, Any]], looked: LoadResult) -> list[PolicyError]:
    """A server's findings, which refer to one document, at their places in the files.

    The same finding has its exact place; others that of the value that they are about.
    """
    exact = {(each.code, each.path, each.message): each for each in looked.findings}
    values = looked.source.values if looked.source is not None else {}
    near = {dotted(path): place for path, place in values.items()}
    made = []
    for each in findings:
        same = exact.get((each["code"], each["path"], each["message"]))
        made.append(same or _read(each, near.get(each["path"], _NOWHERE)))
    return sorted(made, key=lambda each: (not each.place.line, each.place))


def _read(one: Mapping[str, Any], place: Location) -> PolicyError:
    guess = "; did you mean " in one["message"]  # then the sentence says what would mend it
    return PolicyError(
        place,
        one["path"],
        code=one["code"],
        severity=one["severity"],
        said=one["message"],
        mend="" if guess else one["mend"],
    )
