"""Whatever is wrong with a bundle: it loads, or every error names a real place. Never anything else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.policy.bundles import COMPLETE, errors_of

OTHERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5000),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.sampled_from(["", "ana", "user:ana", "5 min", "50 %", "8:00", "Mon-Fri", "tier = 'x'", "24.12.2026", "{{ x"]),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.lists(st.sampled_from(["ana", 1, None]), min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["name", "when", "user", "a b"]), st.sampled_from(["x", 1, None]), max_size=2),
)  # fmt: skip
WAYS = st.sampled_from(["delete", "replace", "replace", "rename", "double"])


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) of a tree."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _mutated(draw: Any, tree: Any) -> None:
    holder, key = draw(st.sampled_from(list(_places(tree))))
    way = draw(WAYS)
    if way == "replace":
        holder[key] = draw(OTHERS)
    elif way == "delete":
        del holder[key]
    elif isinstance(holder, list):
        holder.append(holder[key])
    else:
        other = draw(st.sampled_from([str(key)[1:], str(key).upper(), f"{key}s", "name", "levels"]))
        holder[other] = holder[key] if way == "double" else holder.pop(key)


@st.composite
def broken_bundles(draw: Any) -> str:
    """The complete example with one to four mistakes, as JSON of many lines (JSON is YAML, too)."""
    tree = json.loads(json.dumps(YAML(typ="safe", pure=True).load(COMPLETE.read_text()), default=str))
    for _ in range(draw(st.integers(1, 4))):
        if tree:
            _mutated(draw, tree)
    return json.dumps(tree, indent=1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(text=broken_bundles())
def test_any_mistake_is_told_with_a_real_place(tmp_path_factory, text):
    folder: Path = tmp_path_factory.mktemp("broken")
    lines = text.split("\n")
    errors = errors_of(folder, text)

    assert len(set(errors)) == len(errors)
    for error in errors:
        assert error.place.file == str(folder / "bundle.yaml")
        assert 1 <= error.place.line <= len(lines)
        assert 1 <= error.place.column <= len(lines[error.place.line - 1]) + 1
        assert error.found, error
        assert error.expected, error
