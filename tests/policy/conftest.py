"""The real event logs, for the feed."""

from tests.eventlog.conftest import place

__all__ = ["place"]
