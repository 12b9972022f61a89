"""What a text message says: which answer it is, and of which incident. Nothing is guessed: all of it counts.

Words by which people leave or rejoin a sender are the provider's to answer (Twilio's "Advanced opt-out").
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from shared.phones.answers import CODE_LENGTH, PRESSED, TEXTED

LONGEST: Final = 1_600  # characters of a text message, as Twilio has it
Answer: TypeAlias = Literal["acknowledge", "resolve", "escalate"]

OF_THE_PROVIDER: Final = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"),
        *("start", "yes", "unstop", "help", "info"),
    }
)
_DIGITS: Final[dict[str, Answer]] = {
    TEXTED["acknowledge"]: "acknowledge",
    TEXTED["resolve"]: "resolve",
    PRESSED["acknowledge"]: "acknowledge",
    PRESSED["escalate"]: "escalate",
}
_WORDS: Final[dict[str, Answer]] = {
    **dict.fromkeys(("ack", "acknowledge", "take", "take it", "taken", "seen", "seen it"), "acknowledge"),
    **dict.fromkeys(("resolve", "resolved", "solved", "fixed"), "resolve"),
    **dict.fromkeys(("escalate", "hand up", "hand it up"), "escalate"),
}
_MARKS: Final = r"[\s.,:;#!-]"
_BEHIND: Final = rf"(?P<code>[0-9a-f]{{{CODE_LENGTH}}})(?:{_MARKS}+(?P<note>\S.*))?"
_DIGIT: Final = rf"(?P<answer>[{''.join(_DIGITS)}])(?:{_MARKS}*{_BEHIND})?"
_WORD: Final = rf"(?P<answer>{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?:{_MARKS}+{_BEHIND})?"
_FORMS: Final = [re.compile(form, re.DOTALL | re.IGNORECASE) for form in (_DIGIT, _WORD)]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: `code` names the incident, '' where none was given; a note goes only with a code."""

    answer: Answer
    code: str = ""
    note: str = ""


def read(body: str) -> Said | Literal["of the provider"] | None:
    """What the text says; None for anything that is no answer."""
    text = body[:LONGEST].replace("\0", "").strip().strip(".!\"' \t\r\n")
    if text.lower() in OF_THE_PROVIDER:
        return "of the provider"
    found = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
    if found is None:
        return None
    answer = (_DIGITS | _WORDS)[found["answer"].lower()]
    return Said(answer, (found["code"] or "").lower(), found["note"] or "")
