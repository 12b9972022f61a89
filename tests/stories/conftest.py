"""Failing stories show what Ladder's processes said."""

from collections.abc import Generator

import pytest

from tests.world.stage import logs_of


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    logs_of(report, item)
    return report
