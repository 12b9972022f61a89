"""What an integration makes of a body: `ignore`, `each`, and `map` with its conditions.

Expressions over what was sent, which has no types to check against. They see the body's own fields by their
bare names, the whole of it as `body`, the request's headers as `headers` and, with `each`, the member that
this event is made of as `item`. One thread at a time uses one of these.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from shared.json_object import JsonObject
from shared.policy.cel.explanations import ExpressionError, explained, suggestion
from shared.policy.cel.expressions import doubles, failure_of
from shared.policy.cel.text_functions import TextFunctions
from shared.policy.model.integrations import EVENT_FIELDS

GAVE_NULL: Final = "it gives null"  # of a mapping: said on purpose, no failure
NAMES: Final = ("body", "headers", "item")
NO_ITEM: Final[Any] = object()  # null is a member, too
MOST_SEARCHED: Final = 512 * 1024 * 1024  # characters that one evaluation may search: seconds
_SEARCH: Final = re.compile(r"\.\s*(?:matches|contains)\s*\(")
_LOOP: Final = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(")
_MOST_TOLD: Final = 20
_LONGEST_TOLD: Final = 160
_NOTHING: Final[Mapping[str, str]] = {}
_KINDS: Final[Mapping[str, str]] = {
    "string": "a text",
    "int64": "a whole number",
    "uint64": "a whole number",
    "double": "a decimal",
    "bool": "true or false",
    "list": "a list",
    "map": "a map",
    "null_type": "null",
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the expressions gave, by field, and why the others gave nothing.

    `where` is the place of these expressions in the integration: `map`, or `map[1].map`.
    """

    values: Mapping[str, Any]
    failed: Mapping[str, str]
    where: str = "map"


@dataclass(frozen=True, slots=True)
class Ignored:
    """The integration's `ignore` is true of it."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """No condition of `map` is true of it: each, and why it could not be evaluated ('': it is false)."""

    tried: Sequence[tuple[str, str]]

    @property
    def reason(self) -> str:
        """In words for the sender."""
        said = [
            f"map[{index}].when ({_shortened(when)}): {_shortened(why) or 'false'}"
            for index, (when, why) in enumerate(self.tried[:_MOST_TOLD])
        ]
        more = len(self.tried) - len(said)
        said += [f"and {more} more"] if more else []
        return f"no `when` of the integration's map is true: {'; '.join(said)}"


MappingResult: TypeAlias = Mapped | Ignored | Unmatched


class BodyView:
    """One body, or one member of it, as the expressions see it."""

    __slots__ = ("_activation", "_env", "_exact", "_names", "own")

    def __init__(self, env: Any, names: Mapping[str, Any], own: "BodyView | None" = None) -> None:
        """`own`: the same, for a sender whose object has a field `body` or `headers`, as that field."""
        self._env, self._names, self.own = env, names, own
        self._activation = env.Activation(dict(names))
        self._exact = True

    def value(self, program: Any) -> tuple[Any, str]:
        """What it gives, as JSON has it, and '' – or None, and why nothing.

        A whole number beyond 64 bits, which the library cannot hold, is seen as a double.
        """
        value, why = self._value(program)
        if self._exact and "out of range" in why:
            self._activation = self._env.Activation(_in_range(dict(self._names)))
            self._exact = False
            value, why = self._value(program)
        return value, why

    def _value(self, program: Any) -> tuple[Any, str]:
        try:
            value = program.eval(self._activation)
            plain = _of_json(value.plain_value())
        except RuntimeError as err:
            return None, str(err)
        if value.type().name() == "ERROR":
            return None, self._missing(failure_of(plain).reason)
        return plain, ""

    def _missing(self, reason: str) -> str:
        """In words for whoever wrote the mapping, who knows of no activation."""
        top = re.fullmatch(r'No value with name "(.*?)" found in Activation', reason)
        if top:
            if top[1] == "item":
                return "nothing named 'item' was sent, and there is no `each` that makes one"
            return f"nothing named {top[1]!r} was sent{suggestion(top[1], self._names)}"
        if reason == "Applying SELECT to non-message type":
            return "a field was asked of what has none: null, a text, a number or a list"
        unfit = re.fullmatch(r"No matching overloads found : (?:\((.*?)\)\.)?(\S+?)(\(.*\))?", reason)
        if unfit:
            return _unfit(*unfit.groups())
        inner = re.fullmatch(r"Key not found in map : (.*)", reason)
        return f"no field {inner[1]} was sent" if inner else reason


@dataclass(frozen=True, slots=True)
class _Row:
    when: str
    condition: Any  # None: always
    fields: Mapping[str, Any]
    where: str


class BodyMapping:
    """An integration's expressions, compiled."""

    def __init__(
        self,
        rows: Sequence[tuple[str, Mapping[str, str]]],
        *,
        listed: bool = False,
        ignore: str | None = None,
        each: str | None = None,
    ) -> None:
        """`rows`: condition and fields; `listed`: they were written as a list. Raises ExpressionError."""
        from cel_expr_python import cel  # noqa: PLC0415 - importing a bundle must not load the library

        self._text: Final = TextFunctions()
        self._env: Final = cel.NewEnv(functions=self._text.declared(cel))
        self._ignore: Final = None if ignore is None else self._compile(ignore)
        self._each: Final = None if each is None else self._compile(each)
        self.each: Final = each
        sources = [
            ignore or "",
            each or "",
            *(source for when, fields in rows for source in (when, *fields.values())),
        ]
        self._searches: Final = any(_SEARCH.search(each) and _LOOP.search(each) for each in sources)
        self._simple: Final = not listed and ignore is None and each is None
        self._rows: Final = [
            _Row(
                when,
                None if when.strip() == "true" else self._compile(when),
                {name: self._compile(source) for name, source in fields.items()},
                f"map[{index}].map" if listed else "map",
            )
            for index, (when, fields) in enumerate(rows)
        ]

    def view(
        self,
        sent: Mapping[str, Any],
        headers: Mapping[str, str] = _NOTHING,
        *,
        item: Any = NO_ITEM,
        body: Mapping[str, Any] | None = None,
    ) -> BodyView:
        """What there is to see; `sent` is the object whose fields have bare names, and else the body."""
        self._text.begin()
        names = {**sent, "body": sent if body is None else body, "headers": headers}
        if item is not NO_ITEM:
            names["item"] = item
        elif self.each is not None:
            names.pop("item", None)  # the body as a whole has none
        hidden = self._simple and ("body" in sent or "headers" in sent)
        return BodyView(self._env, names, BodyView(self._env, {**names, **sent}) if hidden else None)

    def is_too_much(self, body: Any) -> bool:
        """Whether an expression could search a text of this body too long, for each member of a list.

        Nothing can stop the library while it does.
        """
        if not self._searches:
            return False
        text, members = _largest(body)
        return text * members > MOST_SEARCHED

    def ignores(self, seen: BodyView) -> bool:
        """Whether `ignore` is true of it. One that cannot be evaluated ignores nothing: the safe side."""
        return self._ignore is not None and seen.value(self._ignore)[0] is True

    def members(self, seen: BodyView) -> Sequence[Any] | str:
        """What `each` gives, null being an empty list; or why it gives no list."""
        value, why = seen.value(self._each)
        if why:
            return why
        if value is None:
            return ()
        return value if isinstance(value, list) else f"it gives {_kind(value)}, not a list"

    def outcome(self, seen: BodyView) -> MappingResult:
        """What becomes of it, by the first row whose condition is true."""
        if self.ignores(seen):
            return Ignored()
        tried: list[tuple[str, str]] = []
        for row in self._rows:
            if row.condition is not None:
                value, why = seen.value(row.condition)
                if value is not True:
                    why = why or ("" if value is False else f"it gives {_kind(value)}, not true or false")
                    tried.append((row.when, why))
                    continue
            return _mapped(row, seen)
        return Unmatched(tried) if tried else Mapped({}, {})

    def _compile(self, source: str) -> Any:
        try:
            return self._env.compile(source, disable_check=True)
        except TypeError:
            raise ExpressionError("this text is not valid Unicode") from None
        except RuntimeError as err:
            raise explained(str(err), source) from None


def _mapped(row: _Row, seen: BodyView) -> Mapped:
    found: JsonObject = {}
    failed: dict[str, str] = {}
    for name, program in row.fields.items():
        value, why = seen.value(program)
        if seen.own is not None and (why or value is None or _is_odd(name, value)):
            value, why = _instead(seen.own.value(program), (value, why))
        if why or value is None:
            failed[name] = why or GAVE_NULL
        else:
            found[name] = value
    return Mapped(found, failed, row.where)


def _is_odd(name: str, value: Any) -> bool:
    """Whether a whole map stands where a text does: what was meant is the sender's own field `body`."""
    return isinstance(value, dict) and name in EVENT_FIELDS


def _instead(own: tuple[Any, str], whole: tuple[Any, str]) -> tuple[Any, str]:
    """Policies from before `body` was a name say it of the sender's own field: where that gives something."""
    return whole if own[1] or own[0] is None else own


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A `map` alone."""

    sources: Mapping[str, str]
    _mapping: BodyMapping = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ExpressionError; use each field alone to learn which it is."""
        object.__setattr__(self, "_mapping", BodyMapping([("true", self.sources)]))

    def evaluate(self, body: Mapping[str, Any]) -> JsonObject:
        """Field → value, for each expression that gives one; what fails or gives null is left out."""
        return dict(self.read(body)[0])

    def read(self, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """Field → value, for each expression that gives one; field → why, for the others."""
        outcome = self._mapping.outcome(self._mapping.view(body))
        return (outcome.values, outcome.failed) if isinstance(outcome, Mapped) else ({}, {})


def _largest(body: Any) -> tuple[int, int]:
    """The lengths of the longest text and of the longest list or map in it, however deep they lie."""
    text, members, left = 0, 0, [body]
    while left:
        value = left.pop()
        if isinstance(value, str):
            text = max(text, len(value))
        elif isinstance(value, dict | list):
            members = max(members, len(value))
            left += value.values() if isinstance(value, dict) else value
    return text, members


def _unfit(of: str | None, function: str, given: str | None) -> str:
    """In words: a function or operator was given values of kinds that it does not take."""
    name = {"!_": "'!'", "-_": "'-'", "@in": "'in'", "<jump_condition>": "'? :'"}.get(function)
    name = name or (f"{function.strip('_')!r}" if function.startswith("_") else function)
    kinds = [each.strip() for each in ([of] if of else []) + (given or "()")[1:-1].split(",") if each.strip()]
    found = ", ".join(_KINDS.get(each, each) for each in kinds)
    return f"{name} does not take {found or 'what was sent'}"


def _of_json(value: Any) -> Any:
    """Times, durations, bytes and keys of maps as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return msgspec.to_builtins(value, str_keys=True)


def _in_range(value: Any) -> Any:
    """The same tree with every whole number that the library cannot hold as a double."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        return doubles(value)
    if isinstance(value, dict):
        return {key: _in_range(inner) for key, inner in value.items()}
    return [_in_range(inner) for inner in value] if isinstance(value, list) else value


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_TOLD else f"{text[: _LONGEST_TOLD - 1]}…"


def _kind(value: Any) -> str:
    names = {str: "a text", bool: "true or false", dict: "a map", list: "a list"}
    return "null" if value is None else names.get(type(value), "a number")
