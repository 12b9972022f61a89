"""A sender's word for how bad it is, read alike in every format.

What is unknown or blank is an error, for the safe side is to page; what was sent is told.
"""

from collections.abc import Mapping
from typing import Final

from shared.events import Severity

_SHOWN: Final = 64  # characters of an unknown word
_WORDS: Final[Mapping[str, Severity]] = {
    "critical": "critical",
    "error": "error",
    "warning": "warning",
    "info": "info",
}


def read_severity(
    said: str, words: Mapping[str, Severity] = _WORDS, *, called: str = "severity"
) -> tuple[Severity, str]:
    """The severity that was meant, whatever its case, and what to note about that ('' for nothing).

    `words`: those that this sender has, in lower case; `called`: how it calls them.
    """
    text = said.strip()
    known = words.get(text.lower())
    if known is not None:
        return known, ""
    if not text:
        return "error", f"no {called}: read as error"
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "error", f"{called} {shown!r} was read as error"
