"""No loop that goes round for ever is written by hand: what each does about errors is decided in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BY_HAND = {
    "ladder/replay/lanes.py",  # a client: it posts until the server takes it
    "shared/loops/repeat.py",  # the place
    "shared/eventlog/kafka/log.py",  # a generator: it asks `Failures` itself
    "shared/eventlog/postgres/group.py",  # `fetch` ends after its time, and the caller comes again
}


def loops(tree: ast.AST) -> Iterator[ast.While]:
    """Those that go round for ever and take whatever error comes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant):
            handlers = [each for each in ast.walk(node) if isinstance(each, ast.ExceptHandler)]
            caught = {getattr(each.type, "id", "") for each in handlers}
            if caught & {"Exception", "BaseException", ""}:
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
