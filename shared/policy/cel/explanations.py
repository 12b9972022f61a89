"""Why an expression cannot be used, in the words of whoever wrote it: its place, what may be meant."""

import re
from collections.abc import Iterable
from typing import Final

from shared.policy.cel.names import ABSENT, FUNCTIONS, MACROS, METHODS, USAGES, advice
from shared.policy.errors import nearest

_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): (.*?)(?=\n|$)", re.DOTALL)
_OPERATOR: Final = re.compile(r"'(?:_?([^\w']+)_?|([\w]+))' applied to '(\(.*?\))'")


class ExpressionError(ValueError):
    """The expression cannot be used; `line` and `column` count from 1 inside its text."""

    def __init__(self, message: str, column: int = 1, line: int = 1) -> None:
        super().__init__(message)
        self.message: Final = message
        self.column: Final = column
        self.line: Final = line


def explained(text: str, source: str) -> ExpressionError:
    """The library's first complaint, in our words, with its place."""
    found = _PLACE.search(text)
    if found is None:
        return ExpressionError(text.partition(" [")[0])
    line, column, message = int(found[1]), int(found[2]), found[3]
    if message.startswith("Syntax error"):
        expected = message.find(" expecting ")
        said = message[:expected] if expected > 0 else message
        return ExpressionError(said + advice(source), max(column, 1), max(line, 1))
    unknown = re.match(r"undeclared reference to '([^']+)'", message)
    if unknown:
        return _unknown(unknown[1], source, line, column)
    operator = _OPERATOR.search(message)
    if operator:
        symbol = operator[1] or operator[2]
        message = f"{symbol.strip('_')!r} does not take {operator[3]}"
    return ExpressionError(message, max(column, 1), max(line, 1))


def _unknown(name: str, source: str, line: int, column: int) -> ExpressionError:
    column -= len(name.rpartition(".")[0])
    misused = _misused(name, source.split("\n")[line - 1], column)
    if misused is not None:
        return ExpressionError(*misused, line)
    if re.search(rf"(?<![\w.]){re.escape(name)}\s*\(", source):
        start = column - len(name.rpartition(".")[2])
        return ExpressionError(f"no function {name!r}{suggestion(name, FUNCTIONS)}", start, line)
    if f".{name}" in source:
        return ExpressionError(f"no method {name!r}{suggestion(name, METHODS)}", column, line)
    return ExpressionError(f"no name {name!r}{_instead_of(name)}", column, line)


def _misused(name: str, line: str, column: int) -> tuple[str, int] | None:
    """How a function that there is would be written, and where it stands; None: there is none of this name.

    The library names the bracket behind it, and of `strings.quote` the first word.
    """
    inside = re.match(r"\.(\w+)", line[column - 1 + len(name) :])
    if inside and f"{name}.{inside[1]}" in USAGES:
        name = f"{name}.{inside[1]}"
    usage = USAGES.get(name) or MACROS.get(name)
    if usage is None:
        return None
    begin = column - len(name) if line[column - 1 : column] == "(" else column
    return f"{name!r} is written {usage}", max(begin, 1)


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'tier'?`, or nothing."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def _instead_of(name: str) -> str:
    """What may have been meant by a name that nobody knows."""
    base, dot, rest = name.partition(".")
    near = suggestion(name, (*ABSENT, *(f"{each}.{rest}" for each in ("attributes", "labels") if dot)))
    if near or dot:
        return near
    if base.lower() in ("true", "false"):
        return f"; did you mean {base.lower()!r}?"
    return f"; text stands in quotes ({name!r}), what was sent is attributes.{name}"
