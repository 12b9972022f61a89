"""How the policy travels on `ladder.policy`: as it is where that fits into one record, otherwise compressed.

Compressed it is the same message as gzip (RFC 1952), with the header `content-encoding: gzip`, under a key
of its own: the topic is compacted, and a reader of an older release, which cannot read this form, still finds
the last policy that it can. Readers take the highest revision of all keys.

A policy that fits neither way, or that would be too large to unpack, is refused before it is in force.
"""

from dataclasses import replace
from typing import Final

from shared.eventlog import Received, Record, codec
from shared.eventlog.codec import UnreadableRecordError
from shared.eventlog.placement import size_of
from shared.events import LARGEST_RECORD, PolicyPublished
from shared.policy.publishing.compression import packed, unpacked

PACKED_KEY: Final = b"bundle.gz"
_ENCODING: Final = "content-encoding"
_GZIP: Final = b"gzip"


def record_of(policy: PolicyPublished) -> Record:
    """The record that carries it: call it in a thread. Raises PolicyTooLargeError."""
    plain = codec.encode(policy)
    if size_of(plain) <= LARGEST_RECORD:
        return plain
    headers = {**plain.headers, _ENCODING: _GZIP}
    return replace(plain, key=PACKED_KEY, value=packed(plain.value), headers=headers)


def read(record: Received) -> PolicyPublished:
    """The policy in a record, in either form. Raises UnreadableRecordError."""
    value = record.value
    encoding = record.headers.get(_ENCODING, b"")
    if encoding == _GZIP:
        try:
            value = unpacked(value)
        except ValueError as err:
            raise UnreadableRecordError(str(err)) from err
    elif encoding:
        raise UnreadableRecordError(f"{_ENCODING} {encoding.decode(errors='replace')!r}, expected gzip")
    return codec.decode(PolicyPublished, value, record.headers)
