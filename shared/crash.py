"""Named points at which a test may kill the process, to prove that nothing is lost there.

A point is a no-op unless `LADDER_CRASH_AT` names it: `router.committed` ends the process the first time it
is passed, `router.committed:40` the fortieth time. The process ends by `os._exit`: no handler runs, no buffer
is flushed, as with SIGKILL. The variable is read when the first point is passed.
"""

import os
from collections import Counter
from functools import cache
from typing import Final

EXIT_CODE: Final = 137
_passed: Counter[str] = Counter()


@cache
def _armed() -> tuple[str, int]:
    name, _, count = os.environ.get("LADDER_CRASH_AT", "").partition(":")
    return name, int(count or 1)


def crash_point(name: str) -> None:
    """End the process here if a test armed this point; otherwise do nothing."""
    armed, count = _armed()
    if name != armed:
        return
    _passed[name] += 1
    if _passed[name] >= count:
        os._exit(EXIT_CODE)
