"""The length of a text message, and cutting one to it: two segments at most.

A message whose characters are all in the GSM 7-bit alphabet (3GPP TS 23.038, §6.2.1) takes 160 of them, one
that has to be sent in parts 153 in each; the characters of the alphabet's extension count twice. Any other
character makes all of it UCS-2: 70, or 67 in each part. Letters with marks that the alphabet lacks lose them
where that keeps a message in it, as they do when people text.
"""

import re
import unicodedata
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
LONGEST_GSM: Final = 2 * 153
LONGEST_UCS2: Final = 2 * 67
_IN_ONE: Final = {True: (160, 153), False: (70, 67)}
_INSTEAD: Final = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "…": "...",
        "•": "*",
        "\t": " ",
        "→": "->",
        "×": "x",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ı": "i",
        "œ": "oe",
        "Œ": "OE",
        "ħ": "h",
        "Ħ": "H",
    }
)
_ORNAMENTS: Final = frozenset({"So", "Sk", "Mn", "Cf", "Cc"})  # categories that hold no words
_BLANKS: Final = re.compile(r" +(?=[ \n])")


def is_gsm(text: str) -> bool:
    """Whether all of it is in the 7-bit alphabet."""
    return all(each in _BASIC or each in _EXTENSION for each in text)


def units(text: str, *, gsm: bool) -> int:
    """How much of a segment it takes: of septets, or of 16-bit units."""
    if gsm:
        return len(text) + sum(each in _EXTENSION for each in text)
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


def segments(text: str) -> int:
    """In how many parts it is sent. No character is torn between two of them."""
    gsm = is_gsm(text)
    whole, part = _IN_ONE[gsm]
    if units(text, gsm=gsm) <= whole:
        return 1
    count, used = 1, 0
    for each in text:
        size = units(each, gsm=gsm)
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return count


def plain(text: str) -> str:
    """The text in the 7-bit alphabet, where it says the same there; otherwise as it is."""
    if is_gsm(text):
        return text
    written = "".join(_plain(each) for each in text.translate(_INSTEAD))
    return _BLANKS.sub("", written).strip() if is_gsm(written) else text


def _plain(character: str) -> str:
    if character in _BASIC or character in _EXTENSION:
        return character
    base = unicodedata.normalize("NFKD", character)
    base = "".join(each for each in base if not unicodedata.combining(each))
    if is_gsm(base):
        return base
    return "" if unicodedata.category(character) in _ORNAMENTS else character


def fitted(text: str, *tails: str) -> str:
    """The text, cut at a word to two segments, and in a line of its own the first tail that leaves it room.

    That is half of one segment, or all of a text that is shorter.
    """
    written = plain(text)
    for tail in (*tails, ""):
        end = f"\n{tail}" if tail else ""
        gsm = is_gsm(written) and is_gsm(end)
        longest = (LONGEST_GSM if gsm else LONGEST_UCS2) - 1  # so that a character of two units is not torn
        room = longest - units(end, gsm=gsm)
        if not tail or room >= min(longest // 4, units(written, gsm=gsm)):
            return _cut(written, room, gsm=gsm) + end
    raise AssertionError("unreachable: no tail takes no room")


def _cut(text: str, room: int, *, gsm: bool) -> str:
    """The text in so many units, cut between words unless that would lose more than a third of what fits."""
    if units(text, gsm=gsm) <= room:
        return text
    mark = "..." if gsm else "…"
    left = room - units(mark, gsm=gsm)
    fits = 0
    for each in text:
        left -= units(each, gsm=gsm)
        if left < 0:
            break
        fits += 1
    kept = text[:fits]
    word = max(kept.rfind(" "), kept.rfind("\n"))
    if not text[fits : fits + 1].isspace() and word > fits * 2 // 3:
        kept = kept[:word]
    while kept and (unicodedata.combining(text[len(kept)]) or "\u200d" in (kept[-1], text[len(kept)])):
        kept = kept[:-1]
    return kept.rstrip() + mark
