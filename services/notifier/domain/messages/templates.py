"""The bundle's templates for one message: what they can name stands in public_wording.names."""

import re
from collections.abc import Mapping
from typing import Any, Final

from shared.policy.templates.rendering import BrokenTemplateError, rendered

__all__ = ["BrokenTemplateError", "names_text", "render", "tells_apart"]

_TELLS: Final = re.compile(r"\b(event|status|state|happened|text)\b")
_TEXT: Final = re.compile(r"\btext\b")


def render(title: str, body: str, names: Mapping[str, Any]) -> tuple[str, str]:
    """Title and body of a message, at most 10,000 characters each. Raises BrokenTemplateError.

    May take some hundred milliseconds of processor time: not for the event loop.
    """
    return rendered(title, names), rendered(body, names)


def tells_apart(title: str) -> bool:
    """Whether a template's title itself says what happened."""
    return _TELLS.search(title) is not None


def names_text(title: str, body: str) -> bool:
    """Whether what a person wrote has its place in the template."""
    return _TEXT.search(title) is not None or _TEXT.search(body) is not None
