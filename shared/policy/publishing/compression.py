"""How large a policy may be, and its compressed form: gzip (RFC 1952)."""

import zlib
from typing import Final

from shared.events import LARGEST_RECORD

LARGEST_BUNDLE: Final = 16 * 1024 * 1024  # as JSON; the API takes 8 MiB, of which aliases can make more
AROUND: Final = 1024  # of a record around its bundle
_GZIP: Final = 31  # zlib's number for gzip


class PolicyTooLargeError(ValueError):
    """The policy cannot travel to intake and notifier; the text says how large it is and what would fit."""


def check(canonical: bytes) -> None:
    """Whether a bundle of this JSON can be published. Raises PolicyTooLargeError.

    Compressing 8 MiB takes a tenth of a second.
    """
    if len(canonical) + AROUND > LARGEST_RECORD:
        packed(canonical)


def packed(plain: bytes) -> bytes:
    """The compressed form. Raises PolicyTooLargeError where no record can carry it."""
    if len(plain) > LARGEST_BUNDLE + AROUND:
        raise PolicyTooLargeError(f"{len(plain)} bytes as JSON, at most {LARGEST_BUNDLE} can be published")
    deflate = zlib.compressobj(wbits=_GZIP)
    made = deflate.compress(plain) + deflate.flush()
    if len(made) + AROUND > LARGEST_RECORD:
        raise PolicyTooLargeError(
            f"{len(plain)} bytes as JSON and {len(made)} compressed, at most {LARGEST_RECORD - AROUND} "
            "compressed can be published"
        )
    return made


def unpacked(value: bytes) -> bytes:
    """What `packed` was given. Raises ValueError, and never takes more memory than the largest bundle."""
    inflate = zlib.decompressobj(wbits=_GZIP)
    try:
        plain = inflate.decompress(value, LARGEST_BUNDLE + 2 * AROUND)
    except zlib.error as err:
        raise ValueError(f"no gzip: {err}") from err
    if not inflate.eof:
        raise ValueError(f"gzip that is cut off, or larger than {LARGEST_BUNDLE} bytes")
    return plain
