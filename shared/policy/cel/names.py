"""Names an expression may use, their types, what stands for absence (docs/policy.md, "When: conditions")."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

TEXTS: Final = (
    *("title", "description", "kind", "source", "severity", "tier", "service", "team", "status"),
    *("waiting_for", "level", "assignee", "customer.id", "customer.name"),
)
NUMBERS: Final = ("impact", "urgency", "priority", "round", "reopened", "events")
MACROS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "has": "has(body.name)",
        "all": "list.all(each, …)",
        "exists": "list.exists(each, …)",
        "exists_one": "list.exists_one(each, …)",
        "map": "list.map(each, …)",
        "filter": "list.filter(each, …)",
    }
)
TEXT_FUNCTIONS: Final[Mapping[str, str]] = MappingProxyType(  # of the CEL strings extension, and json()
    {
        "charAt": "text.charAt(position)",
        "format": "text.format([value, …])",
        "indexOf": "text.indexOf(part) or text.indexOf(part, from)",
        "join": "list.join() or list.join(between)",
        "lastIndexOf": "text.lastIndexOf(part) or text.lastIndexOf(part, until)",
        "lowerAscii": "text.lowerAscii()",
        "replace": "text.replace(old, new) or text.replace(old, new, most)",
        "reverse": "text.reverse()",
        "split": "text.split(between) or text.split(between, most)",
        "substring": "text.substring(from) or text.substring(from, to)",
        "trim": "text.trim()",
        "upperAscii": "text.upperAscii()",
        "strings.quote": "strings.quote(text)",
        "json": "json(text)",
    }
)
_OWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "contains": "text.contains(part)",
        "startsWith": "text.startsWith(part)",
        "endsWith": "text.endsWith(part)",
        "matches": "text.matches(pattern) or matches(text, pattern)",
        "size": "size(value) or value.size()",
        **{
            name: f"{name}(value)"
            for name in (
                "int",
                "uint",
                "double",
                "string",
                "bool",
                "bytes",
                "timestamp",
                "duration",
                "dyn",
                "type",
            )
        },
        **{
            f"get{part}": f"time.get{part}() or time.get{part}(zone)"
            for part in (
                *("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear"),
                *("Hours", "Minutes", "Seconds", "Milliseconds"),
            )
        },
    }
)
USAGES: Final[Mapping[str, str]] = MappingProxyType({**_OWN, **TEXT_FUNCTIONS})
"""How each function is written, macros aside: its arguments are those between the brackets."""
_WRITTEN: Final = re.compile(r"(?:(text|list|value|time)\.)?([\w.]+)\((\[[^\]]*\]|[^)]*)\)")


def _forms() -> Iterator[tuple[str, bool, int]]:
    for usage in USAGES.values():
        for of, name, between in _WRITTEN.findall(usage):
            count = 0 if not between else 1 if between.startswith("[") else between.count(",") + 1
            yield name, bool(of), count


FORMS: Final = frozenset(_forms())
"""(name, whether it is a method, its number of arguments) of each call that there is."""
FUNCTIONS: Final = (
    *("open", "on_call", "has", "size", "int", "double", "string", "timestamp", "duration"),
    *("json", "strings.quote"),
)
METHODS: Final = (
    *("contains", "startsWith", "endsWith", "matches", "size"),
    *("all", "exists", "exists_one", "map", "filter"),
    *(name for name in TEXT_FUNCTIONS if name not in FUNCTIONS),
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
