"""Whether two conditions can hold for one incident, as far as they say so themselves.

`service == 'checkout'` and `service in ['mail', 'search']` cannot; of everything else it is assumed that they
can. Only what all of a condition demands is looked at: what stands between `&&`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from shared.policy.cel.syntax_tree import Node, Tree, literal

Fixed: TypeAlias = Mapping[str, frozenset[str]]
"""By name (`service`, `customer.id`): the values that it has to have one of."""
_EQUAL: Final = "_==_"
_AND: Final = "_&&_"
_IN: Final = frozenset({"@in", "_in_", "in"})


def may_both_hold(one: str, other: str) -> bool:
    """Whether some incident may match both."""
    return all(values for values in both(one, other).values())


def both(one: str, other: str) -> Fixed:
    """What an incident that matches both has to have; an empty set where no value will do."""
    found = dict(fixed(one))
    for name, values in fixed(other).items():
        found[name] = found[name] & values if name in found else values
    return found


@lru_cache(maxsize=4_096)
def fixed(source: str) -> Fixed:
    """What this condition demands; nothing of one that does not parse."""
    try:
        root = Tree(_env(), source).root
    except (RuntimeError, TypeError):
        return {}
    found: dict[str, frozenset[str]] = {}
    for name, values in _demanded(root):
        found[name] = found[name] & values if name in found else values
    return found


@lru_cache(maxsize=1)
def _env() -> Any:
    from cel_expr_python import cel  # noqa: PLC0415 - importing a bundle must not load the library

    return cel.NewEnv()


def _demanded(node: Node) -> Iterator[tuple[str, frozenset[str]]]:
    if node.kind != "call" or len(node.parts) != 2:
        return
    first, second = node.parts
    if node.name == _AND:
        yield from _demanded(first)
        yield from _demanded(second)
    elif node.name == _EQUAL:
        for named, said in ((first, second), (second, first)):
            name, value = _path(named), literal(said)
            if name and value is not None:
                yield name, frozenset({value})
    elif node.name in _IN and second.kind == "list":
        values = [literal(part) for part in second.parts]
        if (name := _path(first)) and None not in values:
            yield name, frozenset(value for value in values if value is not None)


def _path(node: Node) -> str:
    """`customer.id` of a name or a field of one; '' of everything else."""
    if node.kind == "name":
        return node.name.removeprefix(".")
    if node.kind == "select" and len(node.parts) == 1:
        of = _path(node.parts[0])
        return f"{of}.{node.name}" if of else ""
    return ""
