"""The names an expression may use, their types and what stands for absence (POLICY.md, "Expressions")."""

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final

TEXTS: Final = (
    *("title", "description", "kind", "source", "severity", "tier", "service", "team", "status"),
    *("waiting_for", "level", "assignee", "customer.id", "customer.name"),
)
NUMBERS: Final = ("impact", "urgency", "priority", "round", "reopened", "events")
ALWAYS: Final = "always"  # the calendar that exists by itself
FUNCTIONS: Final = ("open", "on_call", "has", "size", "int", "double", "string", "timestamp", "duration")
METHODS: Final = (
    *("contains", "startsWith", "endsWith", "matches", "size"),
    *("all", "exists", "exists_one", "map", "filter"),
)
ABSENT: Final[MappingProxyType[str, Any]] = MappingProxyType(
    dict.fromkeys(TEXTS, "")
    | dict.fromkeys(NUMBERS, 0)
    | {"acknowledged": False, "customer.value": 0.0, "attributes": {}, "labels": {}}
)
_LITERAL: Final = re.compile(
    r"//[^\n]*|(?:\b[rR])?(?:\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')",
    re.DOTALL,
)
_KEYED: Final = re.compile(r"\b(attributes|labels)\s*\[\s*(?:\"([A-Za-z_]\w*)\"|'([A-Za-z_]\w*)')\s*\]")
_PATH: Final = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*")
_CALLED: Final = re.compile(r"\s*\(")
_CALL: Final = re.compile(r"(?<![\w.])(open|on_call)\s*\(\s*(?:\"([^\"\\]*)\"|'([^'\\]*)')\s*\)")


def mentioned(source: str) -> tuple[str, ...]:
    """The names an expression mentions, in order, as dotted paths: `tier`, `customer.value`, `labels.job`.

    `attributes` alone means that the whole map is used. Read off the text, since the library does not give
    its tree: a name shadowed by a macro's variable may be listed although it is not read.
    """
    found = dict.fromkeys(_names(source))
    return tuple(found)


def _names(source: str) -> Iterator[str]:
    keyed = _KEYED.sub(lambda hit: f"{hit[1]}.{hit[2] or hit[3]}", source)
    bare = without_literals(keyed)
    for hit in _PATH.finditer(bare):
        parts = re.split(r"\s*\.\s*", hit[0])
        if _CALLED.match(bare, hit.end()):
            parts.pop()  # the last word is a function's or a method's
        if not parts:
            continue
        if parts[0] in ("attributes", "labels") or ".".join(parts[:2]) in ABSENT:
            yield ".".join(parts[:2])
        elif parts[0] in ABSENT:
            yield parts[0]


def calls(source: str) -> tuple[tuple[str, str, int], ...]:
    """What the functions are asked for: (function, name, column from 1), where the name is literal."""
    return tuple((hit[1], hit[2] or hit[3] or "", hit.start() + 1) for hit in _CALL.finditer(source))


_HABITS: Final = (  # of other languages: what stands outside of quotes, and what to write here
    (re.compile(r"(?<![=!<>])=(?![=>])"), "to compare is '=='"),
    (re.compile(r"=>|=<"), "the signs are '<=' and '>='"),
    (re.compile(r"<>"), "'is not' is written '!='"),
    (re.compile(r"\band\b|(?<!&)&(?!&)", re.IGNORECASE), "'and' is written '&&'"),
    (re.compile(r"\bor\b|(?<!\|)\|(?!\|)", re.IGNORECASE), "'or' is written '||'"),
    (re.compile(r"\bnot\b", re.IGNORECASE), "'not' is written '!'"),
    (re.compile(r"\bin\s*\("), "a list is written ['a', 'b']"),
    (re.compile(r"[\"']"), "quotes must close"),
)


def advice(source: str) -> str:
    """What to write instead, for an expression that does not parse: `; to compare is '=='`, or ''."""
    bare = _LITERAL.sub(" ", source)
    return "".join(f"; {instead}" for habit, instead in _HABITS if habit.search(bare))


def reads_time(source: str) -> bool:
    """Whether the expression calls a function whose answer changes with the time alone."""
    return re.search(r"(?<![\w.])(?:open|on_call)\s*\(", without_literals(source)) is not None


def without_literals(source: str) -> str:
    """The text with every literal emptied and without comments."""
    return _LITERAL.sub(lambda hit: " " if hit[0].startswith("//") else "''", source)
