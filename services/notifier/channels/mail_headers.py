"""The headers of a mail, written by Ladder itself: we decide which there are, anybody may decide what is in
them.

The standard library decodes encoded words (RFC 2047) in what it is *given* and folds what came out; releases
differ in whether a line break that was hidden in one then ends the header, and it loses blanks where it folds
between letters of different kinds. Here nothing is decoded: a text that is not plain, or that looks like an
encoded word, is encoded whole, blanks and all, and so is shown as it was written.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final

from services.notifier.domain.messages.rendered import one_line
from shared.policy.model.addresses import MailAddress

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_LINE: Final = re.compile(r"[\x20-\x7e\xa0-\U0010ffff]*")
_ATOMS: Final = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+")
_SHORT: Final = 60  # characters that surely fit into a line with the header's name
_LONGEST_LINE: Final = 76  # RFC 2047, §2, of a line with an encoded word
_BYTES: Final = 39  # of one encoded word: 64 characters, which leave room for the header's name
_LONGEST_NAME: Final = len("Reply-To: ")


class BadHeaderError(ValueError):
    """A value that cannot stand in a mail header."""


def head(headers: Iterable[tuple[str, str]]) -> bytes:
    """Lines that end in CRLF, one header each, or more where a value is folded. Raises BadHeaderError."""
    return "".join(f"{name}: {_checked(name, value)}\r\n" for name, value in headers).encode()


def _checked(name: str, value: str) -> str:
    """Whatever made it: each line of a folded value is plain, and begins with a blank."""
    lines = value.split("\r\n ")
    if not _NAME.fullmatch(name) or not all(map(_LINE.fullmatch, lines)) or not all(map(str.strip, lines)):
        raise BadHeaderError(f"{name}: line breaks and NUL have no place in a mail header")
    return value


def phrase(text: str) -> str:
    """A text for people – a subject, a name – as a header's value. Control characters become blanks."""
    shown = one_line(text, len(text))
    if shown.isascii() and "=?" not in shown and "  " not in shown and len(shown) <= _SHORT:
        return shown
    return "\r\n ".join(f"=?utf-8?b?{b64encode(piece).decode()}?=" for piece in _pieces(shown))


def _pieces(text: str) -> Iterator[bytes]:
    """Whole characters in each: a reader drops the folds between them, and nothing else."""
    piece = b""
    for character in text:
        raw = character.encode()
        if len(piece) + len(raw) > _BYTES:
            yield piece
            piece = b""
        piece += raw
    if piece:
        yield piece


def mailbox(address: MailAddress) -> str:
    """An address with its name as a header's value (RFC 5322, §3.4)."""
    name = phrase(address.name)
    if not name:
        return address.spec
    if name.startswith("=?"):
        before, fold, last = name.rpartition("\r\n ")
        room = _LONGEST_LINE - (1 if fold else _LONGEST_NAME) - len(last)
        between = " " if len(address.spec) + 3 <= room else "\r\n "
        return f"{before}{fold}{last}{between}<{address.spec}>"
    if _ATOMS.fullmatch(name):
        return f"{name} <{address.spec}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address.spec}>'


def identity(*parts: str) -> str:
    """`<part-part@domain>` of a Message-ID and what refers to one (RFC 5322, §3.6.4); its domain is last."""
    *left, domain = parts
    return f"<{'-'.join(re.sub(r'[^A-Za-z0-9._-]', '_', part) for part in left)}@{domain}>"
