"""Every worked policy checks, does all that it says, and stands by itself."""

import pytest

from shared.policy import load
from tests.situations.telling import SITUATIONS

FILES = sorted(SITUATIONS.glob("*.yaml"))
PAGES = SITUATIONS.parents[2] / "docs" / "situations"


def test_there_is_one_for_each_typical_use_and_each_is_explained():
    assert [file.stem for file in FILES] == ["crisis", "incidents", "projects", "support"]
    for file in FILES:
        assert file.name in (PAGES / f"{file.stem}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_checks(file):
    load(file)


def test_the_demo_beside_them_is_not_merged_with_them():
    folder = SITUATIONS.parent
    assert load(folder) == load(folder / "ladder.yaml")
