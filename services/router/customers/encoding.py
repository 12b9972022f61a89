"""The encoding of a file: as its sender says, by its byte order mark, UTF-8, or Windows-1252.

Windows-1252 (which includes Latin-1's letters, and is what Excel writes as "CSV") is assumed if a line is not
UTF-8 and nothing before it was UTF-8 beyond ASCII; the import reports this, with the first such line. A file
that is both is refused. JSON is UTF-8 (RFC 8259), or has a byte order mark.
"""

import codecs
from collections.abc import Mapping
from typing import Final

NAMES: Final[Mapping[str, str]] = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "windows-1252": "cp1252",
    "iso-8859-1": "cp1252",  # as browsers do: the WHATWG encoding standard
    "iso-8859-15": "iso8859-15",
    "windows-1250": "cp1250",
    "iso-8859-2": "iso8859-2",
    "windows-1251": "cp1251",
}
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ADVICE: Final = "save the file as UTF-8 (in Excel: CSV UTF-8), or say its encoding"
_SHOWN: Final = 60  # characters of the first line that was read in another encoding


class EncodingError(Exception):
    """These bytes cannot be read; the text says why and what to do."""


class Encoding:
    """Decodes one file: `utf8` as its pieces arrive, `line` once they are lines."""

    def __init__(self, said: str = "", *, guess: bool = True) -> None:
        """`said`: one of NAMES, or '' if unknown. `guess`: whether it may be Windows-1252."""
        self._said = said
        self._guess = guess and not said
        self._begun: bytes | None = b""  # None once it is known how to go on
        self._decoder: codecs.IncrementalDecoder | None = None  # None: UTF-8, checked line by line
        self._wide = False  # UTF-8 beyond ASCII was seen
        self.note = ""

    def utf8(self, piece: bytes, *, last: bool = False) -> bytes:
        """Bytes that can be cut at line breaks. Raises EncodingError."""
        if self._begun is not None:
            self._begun += piece
            if len(self._begun) < len(codecs.BOM_UTF8) and not last:
                return b""
            piece, self._begun = self._begun, None
            if not self._said and piece.startswith(_UTF16):
                self._said = "utf-16"
            if self._said not in {"", "utf-8"}:
                self._decoder = codecs.getincrementaldecoder(NAMES[self._said])()
            else:
                piece = piece.removeprefix(codecs.BOM_UTF8)
        if self._decoder is None:
            return piece
        try:
            return self._decoder.decode(piece, last).encode()
        except UnicodeError as err:  # UTF-16 can hold half characters, which UTF-8 cannot
            raise EncodingError(f"not {self._said}: {_ADVICE}") from err

    def line(self, number: int, raw: bytes) -> str:
        """One line of the file as text. Raises EncodingError."""
        if number == 1 and b"\0" in raw:
            raise EncodingError(f"looks like UTF-16 without a byte order mark: {_ADVICE}")
        try:
            text = raw.decode()
        except UnicodeDecodeError as err:
            return self._other(number, raw, err.start + 1)
        if not text.isascii() and self._decoder is None:
            if self.note:
                raise EncodingError(f"UTF-8, and lines before it are not: {_ADVICE}")
            self._wide = True
        return text

    def _other(self, number: int, raw: bytes, place: int) -> str:
        if not self._guess:
            raise EncodingError(f"not UTF-8 at byte {place}: {_ADVICE}")
        if self._wide:
            raise EncodingError(f"not UTF-8 at byte {place}, and lines before it are: {_ADVICE}")
        try:
            text = raw.decode("cp1252")
        except UnicodeDecodeError as err:
            raise EncodingError(f"neither UTF-8 nor Windows-1252 at byte {err.start + 1}: {_ADVICE}") from err
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        self.note = self.note or f"read as Windows-1252, because it is not UTF-8: line {number} is {shown!r}"
        return text
