"""How the policy travels on `ladder.policy`: as it is where that fits into one record, otherwise compressed.

Compressed it is the same message as gzip (RFC 1952), with the header `content-encoding: gzip`, under a key
of its own: the topic is compacted, and a reader of an older release, which cannot read this form, still finds
the last policy that it can. Readers take the highest revision of all keys.

A policy that fits neither way, or that would be too large to unpack, is refused before it is in force.
"""

import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec

from shared import codec
from shared.codec import UnreadableRecordError
from shared.eventlog import Received, Record
from shared.eventlog.placing import size_of
from shared.eventlog.topics import LARGEST_RECORD
from shared.events import PolicyPublished

LARGEST_BUNDLE: Final = 16 * 1024 * 1024  # as JSON; the API takes 8 MiB, of which aliases can make more
PACKED_KEY: Final = b"bundle.gz"
_ENCODING: Final = "content-encoding"
_GZIP: Final = b"gzip"
_WINDOW: Final = 31  # zlib's number for gzip
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_AROUND: Final = 1024  # of the message around the bundle


class PolicyTooLargeError(ValueError):
    """The policy cannot travel to intake and notifier; the text says how large it is and what would fit."""


def record_of(policy: PolicyPublished) -> Record:
    """The record that carries it. Compressing 8 MiB takes a tenth of a second: call it in a thread.

    Raises PolicyTooLargeError.
    """
    size = len(bytes(policy.bundle))
    plain = codec.encode(policy)
    if size_of(plain) <= LARGEST_RECORD:
        return plain
    if size > LARGEST_BUNDLE:
        raise PolicyTooLargeError(f"{size} bytes as JSON, at most {LARGEST_BUNDLE} can be published")
    packed = replace(
        plain, key=PACKED_KEY, value=_packed(plain.value), headers={**plain.headers, _ENCODING: _GZIP}
    )
    if size_of(packed) > LARGEST_RECORD:
        raise PolicyTooLargeError(
            f"{size} bytes as JSON and {len(packed.value)} compressed, at most {LARGEST_RECORD} compressed "
            "can be published"
        )
    return packed


def check(canonical: bytes) -> None:
    """Whether a bundle of this JSON could be published. Raises PolicyTooLargeError."""
    if len(canonical) + _AROUND <= LARGEST_RECORD:
        return
    record_of(PolicyPublished(hash="0" * 64, revision=0, at=_ANY_TIME, bundle=msgspec.Raw(canonical)))


def read(record: Received) -> PolicyPublished:
    """The policy in a record, in either form. Raises UnreadableRecordError."""
    value = record.value
    encoding = record.headers.get(_ENCODING, b"")
    if encoding == _GZIP:
        value = _unpacked(value)
    elif encoding:
        raise UnreadableRecordError(f"{_ENCODING} {encoding.decode(errors='replace')!r}, expected gzip")
    return codec.decode(PolicyPublished, value, record.headers)


def _packed(value: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=_WINDOW)
    return deflate.compress(value) + deflate.flush()


def _unpacked(value: bytes) -> bytes:
    inflate = zlib.decompressobj(wbits=_WINDOW)
    try:
        plain = inflate.decompress(value, LARGEST_BUNDLE + _AROUND)
    except zlib.error as err:
        raise UnreadableRecordError(f"no gzip: {err}") from err
    if not inflate.eof:
        raise UnreadableRecordError(f"gzip that is cut off, or larger than {LARGEST_BUNDLE} bytes")
    return plain
