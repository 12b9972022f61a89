"""The bundle's templates, rendered within bounds: Jinja in a sandbox in which every step is paid for.

A template is text of whoever writes the policy, and runs where pages are sent. A thread that renders cannot
be ended, and one operation can take all memory; so nothing here is started that could grow or last:

- every iteration, call, filter, comparison and piece of output costs units by its size, and a rendering has a
  number of them (some tens of milliseconds), the same on every machine;
- no value grows beyond `LARGEST` characters or members, counted to the bottom; what makes more of what goes
  in (`*`, `**`, `%`, `+`, `~`, replace, join, widths) is measured first;
- what is not listed – other filters, other methods of texts and numbers – is not there.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import BlockReference, Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

LONGEST: Final = 10_000  # characters of output; the rest is cut
LARGEST: Final = 100_000  # characters, or members, of one value
UNITS: Final = 50_000  # one is a step of a loop with one node in it, or 64 characters
_WIDEST: Final = 1_000
_MOST_BITS: Final = 1_000
_NAME: Final = "<template>"  # as Jinja calls the file of a template from text
_FILTERS: Final = """
    abs batch capitalize center count d default dictsort e escape filesizeformat first float forceescape
    format groupby indent int items join last length list lower map max min reject rejectattr replace reverse
    round safe select selectattr slice sort string sum title tojson trim truncate unique upper urlencode
    wordcount wordwrap
"""
_METHODS: Final = """
    capitalize casefold count endswith find isalnum isalpha isascii isdecimal isdigit isidentifier islower
    isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix replace
    rfind rpartition rsplit rstrip split splitlines startswith strip swapcase title upper
"""
_OF_TEXTS: Final = frozenset(_METHODS.split())
_WIDTH: Final = re.compile(r"[0-9]{4,}|\*")


class BrokenTemplateError(Exception):
    """The template cannot be rendered; the text says why, `line` where in it (from 1, 0: unknown)."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.line = line


class TooCostlyError(TemplateError):
    """It would take more time, memory or room than a message is worth."""


class _Purse:
    def __init__(self) -> None:
        self.left = UNITS

    def pay(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise TooCostlyError("it takes too many steps")


_purse: ContextVar[_Purse | None] = ContextVar("_purse", default=None)


def rendered(source: str, names: Mapping[str, Any]) -> str:
    """The text, at most `LONGEST` characters of it, without blanks around it. Raises BrokenTemplateError."""
    before = _purse.set(_Purse())
    try:
        return _cut(compiled(source).generate(names)).strip()
    except TemplateSyntaxError as err:
        raise BrokenTemplateError(err.message or "it does not parse", err.lineno) from err
    except Exception as err:  # the template is somebody's program: it may fail as it likes
        raise BrokenTemplateError(str(err) or type(err).__name__, _line(err)) from err
    finally:
        _purse.reset(before)


def _cut(pieces: Iterator[str]) -> str:
    taken, length = [], 0
    for piece in pieces:
        taken.append(piece)
        length += len(piece)
        if length > LONGEST:
            break
    return "".join(taken)[:LONGEST]


def _line(err: BaseException) -> int:
    """The last line of the template that the error passed."""
    line, trace = 0, err.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _pay(units: int) -> None:
    purse = _purse.get()
    if purse is not None:  # None: Jinja works out a constant while it compiles
        purse.pay(units)


def _weighed(value: Any) -> Any:
    """The value, when all of it is within bounds; its size is paid for."""
    _pay(1 + _size(value) // 64)
    return value


def _size(value: Any, room: int = LARGEST) -> int:
    """Characters and members, to the bottom. Raises TooCostlyError beyond the room."""
    match value:
        case str() | bytes():
            size = len(value)
        case int():
            size = value.bit_length() // 3
            if value.bit_length() > _MOST_BITS:
                raise TooCostlyError("a number becomes too large")
        case Mapping():
            size = _sum((each for pair in value.items() for each in pair), room)
        case list() | tuple() | set() | frozenset():
            size = _sum(value, room)
        case _:
            size = 8
    if size > room:
        raise TooCostlyError("a value becomes too large")
    return size


def _sum(members: Iterable[Any], room: int) -> int:
    size = 0
    for each in members:
        size += 8 + _size(each, room - size)
    return size


def _counted(members: Any, weight: int) -> Iterator[Any]:
    """What a loop goes through; each turn is paid for by what stands in the loop."""
    for each in members:
        _pay(weight)
        yield each


def _joined(parts: Iterable[Any]) -> str:
    """What stands around `~`."""
    texts = list(map(str, parts))
    _room(sum(map(len, texts)))
    return "".join(texts)


@pass_context  # so that the compiler does not try it on constants
def _shown(_: Context, value: Any) -> Any:
    """Every piece of output, also what a macro or `{% set %}` keeps."""
    _pay(1 + _size(value) // 16)
    return value


def _room(size: int) -> None:
    if size > LARGEST:
        raise TooCostlyError("a text or list becomes too large")


def _within(name: str, *numbers: Any) -> None:
    for number in numbers:
        if isinstance(number, int | float) and abs(number) > _WIDEST:
            raise TooCostlyError(f"{name}: a width or number beyond {_WIDEST}")


def _measured(name: str, text: Any, arguments: tuple[Any, ...]) -> None:
    """What would grow is not begun."""
    match name, arguments:
        case ("replace", (old, new, *_)):
            found = str(text).count(str(old)) if str(old) else len(str(text)) + 1
            _room(len(str(text)) + found * len(str(new)))
        case ("join", (between, *_)) if isinstance(text, list | tuple):
            _room(sum(len(str(each)) for each in text) + len(text) * len(str(between)))
        case ("format", _):
            _formatted(text)
        case ("indent", (width, *_)):
            _within(name, width if isinstance(width, int | float) else len(str(width)))
            lines = str(text).count("\n") + 1
            _room(len(str(text)) + lines * (width if isinstance(width, int) else len(str(width))))
        case ("batch" | "slice" | "center" | "wordwrap" | "round", _):
            _within(name, *arguments)


def _formatted(pattern: Any) -> None:
    if isinstance(pattern, str | bytes) and _WIDTH.search(str(pattern)):
        raise TooCostlyError("format: a width of more than three digits, or one that is given apart")


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose arguments and result are weighed. What is lazy is taken at once."""
    own = 1 if getattr(function, "jinja_pass_arg", None) else 0

    @functools.wraps(function)
    def apply(*arguments: Any, **named: Any) -> Any:
        taken = list(arguments)
        for place in range(own, len(taken)):
            taken[place] = _weighed(_at_once(taken[place]))
        for each in named.values():
            _weighed(each)
        if len(taken) > own:
            _measured(name, taken[own], (*taken[own + 1 :], *named.values()))
        return _weighed(_at_once(function(*taken, **named)))

    return apply


def _at_once(value: Any) -> Any:
    if not isinstance(value, Iterator):
        return value
    taken: list[Any] = []
    for each in value:
        _pay(1)
        _room(len(taken))
        taken.append(each)
    return taken


def _range(*arguments: int) -> range:
    made = range(*arguments)
    if len(made) > _WIDEST:
        raise TooCostlyError(f"a range of more than {_WIDEST} numbers")
    return made


class _Metered(NodeTransformer):
    """Puts the meters where Jinja offers no hook: loops, comparisons, `~`, slices, lists and mappings."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - as Jinja names them
        weight = nodes.Const(_weight(node))
        self.generic_visit(node)
        node.iter = self._filtered(node.iter, "counted", [weight])
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = self._filtered(node.expr, "weighed")
        for operand in node.ops:
            operand.expr = self._filtered(operand.expr, "weighed")
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if node.name not in ("defined", "undefined"):
            node.node = self._filtered(node.node, "weighed")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self._filtered(node.node, "weighed")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._filtered(nodes.List(node.nodes, lineno=node.lineno), "joined")

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._filtered(node, "weighed")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._filtered(node, "weighed")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._filtered(node, "weighed") if node.ctx == "load" else node

    @staticmethod
    def _filtered(node: Any, name: str, arguments: list[Any] | None = None) -> nodes.Filter:
        return nodes.Filter(node, name, arguments or [], [], None, None, lineno=node.lineno)


def _weight(node: nodes.Node) -> int:
    """How much one turn does: its nodes, and its plain text."""
    inside = list(node.find_all(nodes.Node))
    return (
        1 + len(inside) + sum(len(each.data) // 16 for each in inside if isinstance(each, nodes.TemplateData))
    )


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%", "//"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, finalize=_shown, optimized=False)
        self.filters = {name: _bounded(name, self.filters[name]) for name in _FILTERS.split()} | {
            "weighed": _weighed,
            "counted": _counted,
            "joined": _bounded("joined", _joined),
        }
        self.globals = {name: self.globals[name] for name in ("dict", "namespace", "joiner", "cycler")}
        self.globals["range"] = _range

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        self._whole = _weight(parsed)
        metered: nodes.Template = _Metered().visit(parsed)
        metered.set_environment(self)
        return metered

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _pay(1 + (_size(left) + _size(right)) // 64)
        if operator == "%" and isinstance(left, str | bytes):
            _formatted(left)
        elif operator == "*":
            _product(left, right)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int) and right > 0:
            _number(left.bit_length() * right)
        return _weighed(super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if not super().is_safe_attribute(obj, attr, value):
            return False
        if not callable(value):
            return True
        return attr in _OF_TEXTS if isinstance(obj, str) else not isinstance(obj, int | float | bytes)

    def wrap_str_format(self, value: Any) -> None:
        """`'…'.format()` is not there: its widths can be made of anything."""

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063
        # The double underscores keep a template's own keyword arguments apart, as in Jinja.
        again = isinstance(__obj, Macro | BlockReference) or getattr(__obj, "__name__", "") == "loop"
        _pay(1 + (UNITS // 200 if again else 0))
        owner = getattr(__obj, "__self__", None)
        for each in (*args, *kwargs.values(), owner):
            _weighed(each)
        if isinstance(owner, str):
            _measured(getattr(__obj, "__name__", ""), owner, args)
        return _weighed(super().call(__context, __obj, *args, **kwargs))


def _product(left: Any, right: Any) -> None:
    for many, times in ((left, right), (right, left)):
        if isinstance(times, int) and isinstance(many, str | bytes | list | tuple):
            _room(_size(many) * max(times, 0))
            return
    if isinstance(left, int) and isinstance(right, int):
        _number(left.bit_length() + right.bit_length())


def _number(bits: int) -> None:
    if bits > _MOST_BITS:
        raise TooCostlyError("a number becomes too large")


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    return _Environment()


@lru_cache(maxsize=256)
def compiled(source: str) -> Template:
    """Raises TemplateSyntaxError, and what a compiler raises for text that is too deep."""
    return _environment().from_string(source)
