"""Conditions of a bundle: CEL by cel-expr-python, checked at load, fast when a decision is made.

Seen of the library (0.1.3), and relied on here:
- a name with a dot can be declared (`customer.id`), so that `customer.nmae` is an error at load;
- an expression that fails gives an ERROR value rather than an exception, except for the iteration budget
  and text that is no UTF-8, which raise RuntimeError;
- a list whose member fails is an ERROR as a whole: then halves are evaluated, down to the culprit;
- values are converted when they are read, so a wrong one hurts only the conditions that read it;
- an exception in a function is an ERROR value too; `x || true` absorbs errors as CEL says;
- nesting is limited to 32.

`expressions` of one bundle are used by one thread at a time: its functions read a holder that each
evaluation fills.
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

from shared.policy.cel.explanations import ExpressionError, explained, suggestion
from shared.policy.cel.names import ABSENT, NUMBERS, TEXTS, calls, mentioned
from shared.policy.cel.text_functions import TextFunctions
from shared.policy.model.calendar_names import ALWAYS


@dataclass(frozen=True, slots=True)
class Failed:
    """The expression could not be evaluated (mostly a missing attribute). False where a bool is asked for."""

    reason: str

    def __bool__(self) -> bool:
        return False


Evaluation: TypeAlias = bool | Failed
ExpressionPlace: TypeAlias = tuple[str, str]
"""Where an expression stands: the content hash of its bundle, and the path in it (`routes[1].when`)."""
_BOOLS: Final = {bool}


@dataclass(slots=True)
class _Holder:
    """The answers of the decision under way; the library's functions are bound once and ask here."""

    open: Callable[[str], bool]
    on_call: Callable[[str], str]

    def ask_open(self, name: str) -> bool:
        return self.open(name)

    def ask_on_call(self, name: str) -> str:
        return self.on_call(name)


def _closed(_: str) -> bool:
    return False


def _nobody(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One compiled condition; `where` is its place in the bundle, such as `routes[1].when`."""

    source: str
    where: str
    names: tuple[str, ...] = field(compare=False)
    _owner: "Expressions" = field(compare=False, repr=False)
    _program: Any = field(compare=False, repr=False)

    def evaluate(self, activation: "Activation") -> Evaluation:
        """True or False, or why neither."""
        plain = self._owner._run(self._program, activation)  # noqa: SLF001 - the pair shares one environment
        return plain if type(plain) is bool else activation.keep(self, failure_of(plain))

    @property
    def place(self) -> "ExpressionPlace":
        """Where it stands: in which bundle, and where in it."""
        return self._owner.of, self.where


class Activation:
    """What the expressions of one decision see, built once.

    `values` maps names (`cel/names.py`) to values; what is missing or None is absent ('' or 0). The customer
    is `customer.id`, `customer.name`, `customer.value`. Numbers in attributes, and `customer.value`, are
    seen as doubles. `open` says whether a calendar is open now, `on_call` who is on call ('' for nobody).
    What fails is put into `failures`, by its place, with the reason.
    """

    __slots__ = ("_bound", "_failures", "_functions", "values")

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        open: Callable[[str], bool] = _closed,  # noqa: A002 - the name that expressions know
        on_call: Callable[[str], str] = _nobody,
        failures: MutableMapping[ExpressionPlace, str] | None = None,
    ) -> None:
        self.values: Final = values
        self._failures: Final = failures
        self._functions: Final = (open, on_call)
        self._bound: tuple[Any, int, Any] | None = None

    def used(self, condition: Condition) -> dict[str, object]:
        """The names that the condition mentions, with their values as given; for reasons.

        A missing attribute or label is left out.
        """
        seen: dict[str, object] = {}
        for name in condition.names:
            base, _, key = name.partition(".")
            if base in ("attributes", "labels") and key:
                entries = self.values.get(base) or {}
                if key in entries:
                    seen[name] = entries[key]
            else:
                value = self.values.get(name)
                seen[name] = ABSENT[name] if value is None else value
        return seen

    def keep(self, condition: Condition, failed: Failed) -> Failed:
        """Note that it could not be evaluated."""
        if self._failures is not None:
            self._failures[condition.place] = failed.reason
        return failed

    def bind(self, owner: "Expressions") -> Any:
        """The library's activation for this environment, made when it is first needed."""
        owner.holder.open, owner.holder.on_call = self._functions
        bound = self._bound
        if bound is None or bound[0] is not owner or bound[1] != len(owner.conditions_made):
            native = owner.env.Activation(owner.select(self.values))
            self._bound = bound = (owner, len(owner.conditions_made), native)
        return bound[2]


class Expressions:
    """The environment of one bundle: names, types, functions, and what has been compiled."""

    def __init__(self, calendars: Iterable[str], schedules: Iterable[str], of: str = "") -> None:
        """`of`: the content hash of the bundle."""
        from cel_expr_python import cel  # noqa: PLC0415 - importing a bundle must not load the library

        self.of: Final = of
        self.holder: Final = _Holder(_closed, _nobody)
        self._text: Final = TextFunctions()
        self._known: Final = {"open": frozenset(calendars) | {ALWAYS}, "on_call": frozenset(schedules)}
        self.conditions_made: Final[dict[tuple[str, str], Condition]] = {}
        self._wanted: dict[str, set[str] | None] = {}
        kinds = cel.Type
        self._boolean: Final = (kinds.BOOL, kinds.DYN)
        self.env: Final = cel.NewEnv(
            variables={
                **dict.fromkeys(TEXTS, kinds.STRING),
                **dict.fromkeys(NUMBERS, kinds.INT),
                "acknowledged": kinds.BOOL,
                "customer.value": kinds.DYN,
                "attributes": kinds.Map(kinds.STRING, kinds.DYN),
                "labels": kinds.Map(kinds.STRING, kinds.STRING),
            },
            functions=[
                _function(cel, "open", kinds.BOOL, self.holder.ask_open),
                _function(cel, "on_call", kinds.STRING, self.holder.ask_on_call),
                *self._text.declared(cel),
            ],
        )

    def condition(self, source: str, where: str) -> Condition:
        """Compile one condition.

        Raises ExpressionError for bad syntax, unknown names, calendars and schedules, wrong types, and for
        what is not a condition.
        """
        made = self.conditions_made.get((source, where))
        if made is not None:
            return made
        program = self._compile(source)
        if program.return_type() not in self._boolean:
            raise ExpressionError(f"this is {program.return_type().name().lower()}, not true or false")
        for function, name, column in calls(source):
            self._check_name(function, name, column)
        names = mentioned(source)
        self._want(names)
        made = Condition(source, where, names, self, program)
        self.conditions_made[source, where] = made
        return made

    def conditions(self, sources: Sequence[Condition]) -> "Conditions":
        """These conditions as one list, evaluated at once."""
        return Conditions(self, tuple(sources))

    def select(self, values: Mapping[str, Any]) -> dict[str, object]:
        """What the library is given: only the names that some condition mentions, absent ones filled."""
        chosen: dict[str, object] = {}
        for name, keys in self._wanted.items():
            value = values.get(name)
            if value is None:
                value = ABSENT[name]
            if name == "attributes":
                entries = value if keys is None else {key: value[key] for key in keys if key in value}
                value = doubles(entries)
            elif name == "customer.value" and type(value) is int:
                value = doubles(value)
            chosen[name] = value
        return chosen

    def _run(self, program: Any, activation: Activation) -> Any:
        self._text.begin()
        try:
            return program.eval(activation.bind(self)).plain_value()
        except RuntimeError as err:
            return str(err)

    def _compile(self, source: str) -> Any:
        try:
            return self.env.compile(source)
        except TypeError:
            raise ExpressionError("this text is not valid Unicode") from None
        except RuntimeError as err:
            raise explained(str(err), source) from None

    def _check_name(self, function: str, name: str, column: int) -> None:
        known = self._known[function]
        if name not in known:
            kind = "calendar" if function == "open" else "schedule"
            raise ExpressionError(f"no {kind} {name!r}{suggestion(name, known)}", column)

    def _want(self, names: Iterable[str]) -> None:
        for name in names:
            base, _, key = name.partition(".")
            if base != "attributes":
                self._wanted["labels" if base == "labels" else name] = None
            elif not key:
                self._wanted[base] = None
            else:
                keys = self._wanted.setdefault(base, set())
                if keys is not None:
                    keys.add(key)


class Conditions:
    """A section's conditions, compiled into one list expression: a tenth of the time."""

    def __init__(self, owner: Expressions, conditions: tuple[Condition, ...]) -> None:
        self._owner: Final = owner
        self.all: Final = conditions

    def __len__(self) -> int:
        return len(self.all)

    def evaluate(self, activation: Activation) -> Sequence[Evaluation]:
        """Every condition's outcome, in order."""
        if len(self.all) < 2:
            return [condition.evaluate(activation) for condition in self.all]
        plain = None if self._whole is None else self._owner._run(self._whole, activation)  # noqa: SLF001
        if type(plain) is list:
            if set(map(type, plain)) == _BOOLS:  # the usual case
                return plain
            return [
                value if type(value) is bool else activation.keep(condition, failure_of(value))
                for condition, value in zip(self.all, plain, strict=True)
            ]
        first, second = self._halves
        return [*first.evaluate(activation), *second.evaluate(activation)]

    def first(self, activation: Activation) -> tuple[int | None, Sequence[Evaluation]]:
        """The index of the first true condition (None: none is), and every outcome."""
        outcomes = self.evaluate(activation)
        return next((index for index, outcome in enumerate(outcomes) if outcome is True), None), outcomes

    @cached_property
    def _whole(self) -> Any:
        # Each on a line of its own, so that a comment at its end hides nothing else. A list that nests too
        # deep or is too large does not compile: its halves do.
        try:
            return self._owner.env.compile("[" + ",".join(f"({each.source}\n)" for each in self.all) + "]")
        except RuntimeError:
            return None

    @cached_property
    def _halves(self) -> tuple["Conditions", "Conditions"]:
        middle = len(self.all) // 2
        return Conditions(self._owner, self.all[:middle]), Conditions(self._owner, self.all[middle:])


def _function(cel: Any, name: str, returns: Any, body: Callable[[str], Any]) -> Any:
    overload = cel.Overload(f"{name}_string", returns, [cel.Type.STRING], False, body)
    return cel.FunctionDecl(name, [overload])


def doubles(value: Any) -> Any:
    """Numbers as doubles, however deep: an int beyond a double's range becomes infinite."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if isinstance(value, dict):
        return {key: doubles(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [doubles(inner) for inner in value]
    return value


def failure_of(plain: Any) -> Failed:
    if not isinstance(plain, str):
        return Failed(f"gave {type(plain).__name__}, not true or false")
    _, colon, rest = plain.partition(": ")
    return Failed(rest if colon and plain.partition(":")[0].isupper() else plain)
