"""No loop that goes round for ever is written by hand: what each does about errors is decided in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BY_HAND = {
    "shared/loops/repeat.py",  # the place
    "shared/eventlog/kafka/log.py",  # a generator: it asks `Failures` itself
    "shared/eventlog/postgres/group.py",  # `fetch` ends after its time, and the caller comes again
    "shared/eventlog/postgres/append.py",  # it runs while somebody waits to be written, and tells them
}


def loops(tree: ast.AST) -> Iterator[ast.While]:
    """Those that go round again and again and take whatever error comes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.While):
            handlers = [each for each in ast.walk(node) if isinstance(each, ast.ExceptHandler)]
            caught = {ast.unparse(each.type) if each.type else "BaseException" for each in handlers}
            if caught & {"Exception", "BaseException"}:
                yield node


def test_every_loop_leaves_its_errors_to_the_one_place() -> None:
    """A loop of one's own would forget a kind, a metric, a pulse, or to tell somebody."""
    found = {
        str(file.relative_to(PROJECT))
        for folder in ("services", "shared", "ladder")
        for file in (PROJECT / folder).rglob("*.py")
        if list(loops(ast.parse(file.read_text())))
    }
    assert found == BY_HAND
