"""What is wrong with a bundle, or will not work: each finding with its place, all of them at once.

An error stops a bundle; a warning says what will not happen although the bundle is sound. Each kind has a
code that stays the same from release to release (docs/findings.md).
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
Severity: TypeAlias = Literal["error", "warning"]
SHAPE: Final = "L100"  # it cannot be read, or does not fit the shape of a bundle
NAMES: Final = "L101"  # a name that does not exist, or stands for two things
EXPRESSION: Final = "L102"  # an expression that does not compile, or can never be evaluated
TEMPLATE: Final = "L103"  # a template that does not render


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """Where something stands; line and column count from 1. Line 0: the file as a whole, or none."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class PolicyError:
    """One finding: where, what was found, what was expected, and the nearest known name if any.

    What is no matter of found and expected is `said` in a sentence, with what would `mend` it.
    """

    place: Location
    path: str
    found: str = ""
    expected: str = ""
    hint: str = ""
    code: str = SHAPE
    severity: Severity = "error"
    said: str = ""
    mend: str = ""

    @property
    def message(self) -> str:
        """Without the place: `found 'user:annna', expected a user (ana, petra); did you mean 'user:ana'?`."""
        near = f"; did you mean {self.hint!r}?" if self.hint else ""
        return (self.said or f"found {self.found}, expected {self.expected}") + near

    @property
    def mending(self) -> str:
        """What would mend it, or ''."""
        return self.mend or (f"write {self.hint!r}" if self.hint else "")

    @property
    def sentence(self) -> str:
        """The path, what is the matter, and what would mend it."""
        about = f"{self.path}: " if self.path else ""
        return about + self.message + (f"; {self.mend}" if self.mend else "")

    def __str__(self) -> str:
        kind = "" if self.severity == "error" else f"{self.severity}: "
        where = f"{self.place}: " if self.place.file else ""
        return f"{where}{kind}{self.sentence}"

    @property
    def line(self) -> str:
        """As `ladder check` prints it: with its code."""
        return f"{self} [{self.code}]"


class PolicyErrors(Exception):  # noqa: N818 - it holds all of them
    """The bundle cannot be used; `errors` in the order of the files."""

    def __init__(self, errors: Sequence[PolicyError]) -> None:
        self.errors: Final = tuple(sorted(errors, key=lambda error: error.place))
        super().__init__(str(self))

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding whose place is still a path; `line` and `column` count inside the value's text (0: all)."""

    path: Path
    found: str = ""
    expected: str = ""
    hint: str = ""
    at_key: bool = False
    line: int = 0
    column: int = 0
    code: str = SHAPE
    severity: Severity = "error"
    said: str = ""
    mend: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether a key is required and not there."""
        return self.at_key and self.found == "nothing"


def located(finding: Finding, place: Location) -> PolicyError:
    """The finding at its place."""
    return PolicyError(
        place,
        dotted(finding.path),
        finding.found,
        finding.expected,
        finding.hint,
        finding.code,
        finding.severity,
        finding.said,
        finding.mend,
    )


def as_written(path: Path, tree: Any) -> Path:
    """The path without the numbers of members that stand alone, where their list was left out."""
    kept: list[str | int] = []
    for part in path:
        if isinstance(part, int) and isinstance(tree, dict):
            continue
        kept.append(part)
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            tree = None
    return tuple(kept)


def dotted(path: Path) -> str:
    """`policies.checkout.levels[1].notify[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value as an error shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" + (f" of {', '.join(map(str, list(value)[:4]))}" if value else " without entries")
    if isinstance(value, list):
        if not value or any(isinstance(each, dict | list) for each in value):
            return f"a list of {len(value)}" if value else "an empty list"
        value = f"[{', '.join(map(shown, value))}]"
        return value if len(value) <= 80 else f"{value[:77]}…"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def nearest(word: str, known: Any) -> str:
    """The known name that was probably meant, or ''."""
    return next(iter(difflib.get_close_matches(word, [str(each) for each in known], n=1)), "")
