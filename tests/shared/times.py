"""An instant to tell stories about."""

from datetime import UTC, datetime
from typing import Final

AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
