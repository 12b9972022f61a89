"""The suite on several workers (pytest-xdist): each test has an id of its own, and what belongs together stays so.

pytest-xdist runs what it knows by its node id, each id once: of tests that share one, all but one would silently
be left out. A worker takes files whole, so that what a file sets up for its module is set up once.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import pytest
from _pytest.nodeid import NodeId
from xdist.scheduler import LoadScopeScheduling

# Folders that one worker takes whole: whole Ladders, which would compete for the cores by which they are judged;
# and what shares one running Ladder, whose database no other test may take away in between.
TOGETHER: Final = {
    "tests/bad_days": "processes",
    "tests/stories": "processes",
    "tests/api": "api",
    "tests/client": "client",
}


def lane(nodeid: str) -> str:
    """What one worker takes as a whole: a file, or one of the folders in TOGETHER."""
    path = nodeid.partition("::")[0]
    return next((name for folder, name in TOGETHER.items() if path.startswith(f"{folder}/")), path)


class Lanes(LoadScopeScheduling):
    """Lane after lane in the order of collection, in which the longest ones come early."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


def tell_apart(items: Iterable[pytest.Item]) -> None:
    """An item that shares its id is known by its whole name, which in Schemathesis's cases holds the operation.

    UsageError names what is alike even so.
    """
    items = list(items)
    for item in _alike(items):
        assert item.parent is not None
        item._id = NodeId.parse(f"{item.parent.nodeid}::{item.name}")
    if still := sorted({item.nodeid for item in _alike(items)}):
        raise pytest.UsageError(f"several tests have one id, and only one would be run: {', '.join(still)}")


def _alike(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    items = list(items)
    count = Counter(item.nodeid for item in items)
    return [item for item in items if count[item.nodeid] > 1]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tell_apart(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Lanes:
    config.option.loadscopereorder = False  # by the number of tests the longest lane would come late
    return Lanes(config, log)
