"""What the folders promise: a sentence about each, and its place in an import contract (pyproject.toml)."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_PROJECT: Final = Path(__file__).parent.parent
_ROOMS: Final = ("ladder", "services/intake", "services/router", "services/notifier", "shared")


def test_every_folder_stands_in_an_import_contract() -> None:
    contracts = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {name for contract in contracts for name in _named(contract)}
    assert not sorted(set(_folders()) - named), "give it a layer among its neighbours"


def test_every_package_says_what_it_is_about() -> None:
    inits = [init for room in ("services", "shared", "ladder") for init in _files(room, "__init__.py")]
    silent = [str(init.parent) for init in inits if not ast.get_docstring(ast.parse(init.read_text()))]
    assert not silent, "its __init__.py wants a sentence"


def test_the_map_names_files_that_are_there_and_the_readme_says_the_same() -> None:
    text, readme = ((_PROJECT / name).read_text() for name in ("docs/architecture.md", "README.md"))
    named = set(re.findall(r"`((?:services|shared|ladder|tests|\.ci)/[\w./-]+)`", text + readme))
    lost = {name for name in named if not (_PROJECT / name).exists()}
    there = [f"/{path.relative_to(_PROJECT)}" for room in ("services", "shared") for path in _files(room)]
    short = set(re.findall(r"`([\w/]+\.py)`", text)) - named
    lost |= {name for name in short if not any(path.endswith(f"/{name}") for path in there)}
    assert not lost, f"the map names what is not there: {', '.join(sorted(lost))}"
    rows = {row.split(" | ")[0]: row.replace("docs/", "") for row in readme.splitlines() if row[:2] == "| "}
    for row in text.partition("## Where to change what")[2].splitlines():
        subject = row.split(" | ")[0]
        assert rows.get(subject, row) == row.replace("docs/", ""), subject


def _files(room: str, name: str = "*.py") -> Iterator[Path]:
    return (_PROJECT / room).rglob(name)


def _folders() -> Iterator[str]:
    """Every package with modules of its own; migrations are Alembic's."""
    for room in _ROOMS:
        for init in (_PROJECT / room).rglob("__init__.py"):
            if init.parent.name != "migrations" and len(list(init.parent.glob("*.py"))) > 1:
                yield ".".join(init.parent.relative_to(_PROJECT).parts)


def _named(contract: dict[str, Any]) -> Iterator[str]:
    """What a contract speaks of; that nothing goes in circles holds everywhere and gives nobody a place."""
    yield from contract.get("modules", ())
    layers = [
        name.strip() for layer in contract.get("layers", ()) for name in layer.replace(":", "|").split("|")
    ]
    for container in contract.get("containers", ()):
        yield container
        yield from (f"{container}.{name}" for name in layers)
    if "containers" not in contract:
        yield from layers
