"""Cutting a text to a provider's limit: at a word, never in the middle of a character that people see."""

from typing import Final

_ELLIPSIS: Final = "…"
_MARKS: Final = "\N{ZERO WIDTH JOINER}\N{VARIATION SELECTOR-16}"


def cut(text: str, longest: int, *, end: str = _ELLIPSIS) -> str:
    """The text in at most `longest` characters; where something was left out it ends with `end`.

    It is cut between words unless that would lose more than a third of what fits.
    """
    if len(text) <= longest:
        return text
    room = longest - len(end)
    if room <= 0:
        return end[:longest]
    kept = text[:room]
    if not text[room].isspace():
        word = max(kept.rfind(" "), kept.rfind("\n"))
        if word > room * 2 // 3:
            kept = kept[:word]
    while kept and (kept[-1] in _MARKS or text[len(kept)] in _MARKS):
        kept = kept[:-1]
    return kept.rstrip() + end


def cut_with_link(text: str, longest: int, link: str) -> str:
    """The text in at most `longest` characters; where something was left out, it ends with the link."""
    if len(text) <= longest or not link:
        return cut(text, longest)
    end = f"{_ELLIPSIS} {link}"
    return cut(text, longest, end=end) if len(end) < longest else cut(text, longest)


def cut_to_bytes(text: str, most: int, link: str = "") -> str:
    """The text in at most `most` bytes of UTF-8; where something was left out, it ends with the link."""
    longest = min(len(text), most)
    made = cut_with_link(text, longest, link)
    while (over := len(made.encode()) - most) > 0:
        longest -= max(1, over // 4)  # no character has more than four bytes
        made = cut_with_link(text, longest, link)
    return made
