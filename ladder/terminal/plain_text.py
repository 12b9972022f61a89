"""Text by others, safe for a terminal: it moves no cursor, hides nothing and makes no lines of its own."""

from typing import Final

_JOINERS: Final = "\u200c\u200d"


def on_one_line(text: str) -> str:
    """Control characters, line breaks and marks that change the reading direction become blanks; joiners
    stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)


def on_lines(text: str) -> str:
    """The same for several lines: their breaks stay."""
    return "\n".join(map(on_one_line, text.split("\n")))
