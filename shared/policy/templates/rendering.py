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
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import BlockReference, Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from shared.policy.templates.budget import (
    UNITS,
    WIDEST,
    TooCostlyError,
    at_once,
    budget,
    check_bits,
    check_growth,
    check_product,
    check_room,
    check_widths,
    pay,
    size_of,
    weighed,
)

LONGEST: Final = 10_000  # characters of output; the rest is cut
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


class BrokenTemplateError(Exception):
    """The template cannot be rendered; the text says why, `line` where in it (from 1, 0: unknown)."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.line = line


def rendered(source: str, names: Mapping[str, Any]) -> str:
    """The text, at most `LONGEST` characters of it, without blanks around it. Raises BrokenTemplateError."""
    try:
        with budget():
            return _cut(compiled(source).generate(names)).strip()
    except TemplateSyntaxError as err:
        raise BrokenTemplateError(err.message or "it does not parse", err.lineno) from err
    except Exception as err:  # the template is somebody's program: it may fail as it likes
        raise BrokenTemplateError(str(err) or type(err).__name__, _line(err)) from err


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


def _counted(members: Any, weight: int) -> Iterator[Any]:
    """What a loop goes through; each turn is paid for by what stands in the loop."""
    for each in members:
        pay(weight)
        yield each


def _joined(parts: Iterable[Any]) -> str:
    """What stands around `~`."""
    texts = list(map(str, parts))
    check_room(sum(map(len, texts)))
    return "".join(texts)


@pass_context  # so that the compiler does not try it on constants
def _shown(_: Context, value: Any) -> Any:
    """Every piece of output, also what a macro or `{% set %}` keeps."""
    pay(1 + size_of(value) // 16)
    return value


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose arguments and result are weighed. What is lazy is taken at once."""
    own = 1 if getattr(function, "jinja_pass_arg", None) else 0

    @functools.wraps(function)
    def apply(*arguments: Any, **named: Any) -> Any:
        taken = list(arguments)
        for place in range(own, len(taken)):
            taken[place] = weighed(at_once(taken[place]))
        for each in named.values():
            weighed(each)
        if len(taken) > own:
            check_growth(name, taken[own], (*taken[own + 1 :], *named.values()))
        return weighed(at_once(function(*taken, **named)))

    return apply


def _range(*arguments: int) -> range:
    made = range(*arguments)
    if len(made) > WIDEST:
        raise TooCostlyError(f"a range of more than {WIDEST} numbers")
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
            "weighed": weighed,
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
        pay(1 + (size_of(left) + size_of(right)) // 64)
        if operator == "%" and isinstance(left, str | bytes):
            check_widths(left)
        elif operator == "*":
            check_product(left, right)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int) and right > 0:
            check_bits(left.bit_length() * right)
        return weighed(super().call_binop(context, operator, left, right))

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
        pay(1 + (UNITS // 200 if again else 0))
        owner = getattr(__obj, "__self__", None)
        for each in (*args, *kwargs.values(), owner):
            weighed(each)
        if isinstance(owner, str):
            check_growth(getattr(__obj, "__name__", ""), owner, args)
        return weighed(super().call(__context, __obj, *args, **kwargs))


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    return _Environment()


@lru_cache(maxsize=256)
def compiled(source: str) -> Template:
    """Raises TemplateSyntaxError, and what a compiler raises for text that is too deep."""
    return _environment().from_string(source)
