"""Intake over HTTP, on an event log that records what was published."""

import pytest

from tests.services.intake.fakes import FakeLog, intake


@pytest.fixture
def log():
    return FakeLog()


@pytest.fixture
async def client(log):
    async with intake(log) as client:
        yield client
