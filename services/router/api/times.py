"""Times in requests: RFC 3339 with an offset. A bare number would have an unknown unit."""

import re
from datetime import date, datetime
from typing import Annotated, Final, TypeAlias

from pydantic import AwareDatetime, BeforeValidator

_BEGINS: Final = re.compile(r"\d{4}-\d\d-\d\d")


def _written(said: object) -> object:
    if isinstance(said, datetime | None) or (isinstance(said, str) and _BEGINS.match(said)):
        return said
    raise ValueError("expected a time in writing, such as 2026-05-01T08:00:00Z")


Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_written)]
"""A moment with its offset."""

MomentOrDay: TypeAlias = Annotated[AwareDatetime | date, BeforeValidator(_written)]
"""The same, or a date, whose zone the request says elsewhere."""
