"""Small bundles to change, as text and as values."""

from pathlib import Path
from textwrap import dedent
from typing import Any

from shared.policy import Bundle, PolicyError, PolicyErrors, load

COMPLETE = Path(__file__).parent / "data" / "complete.yaml"
EXAMPLE = Path(__file__).parents[2] / "deploy" / "policy"
MARK = "¦"

SMALLEST = """\
version: 1
last_resort: [user:ana]
users: {ana: {name: Ana, contacts: {box: {inbox: ana}}}}
policies: {only: {levels: [{name: first, notify: [user:ana], acknowledge_within: 5m}]}}
routes: [{policy: only}]
"""


def smallest(**sections: Any) -> Bundle:
    """The smallest bundle, with these sections."""
    plain: dict[str, Any] = {
        "version": 1,
        "last_resort": ["user:ana"],
        "users": {"ana": {"name": "Ana", "contacts": {"box": {"inbox": "ana"}}}},
        "policies": {
            "only": {"levels": [{"name": "first", "notify": ["user:ana"], "acknowledge_within": "5m"}]}
        },
        "routes": [{"policy": "only"}],
    }
    return Bundle.model_validate(plain | sections)


def errors_of(folder: Path, text: str, name: str = "bundle.yaml") -> tuple[PolicyError, ...]:
    """What loading this text complains about."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    try:
        load(file)
    except PolicyErrors as err:
        return err.errors
    return ()


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and the line and column of each mark."""
    places = []
    clean = dedent(text)
    while (at := clean.find(MARK)) >= 0:
        places.append((clean.count("\n", 0, at) + 1, at - (clean.rfind("\n", 0, at) + 1) + 1))
        clean = clean.replace(MARK, "", 1)
    return clean, places
