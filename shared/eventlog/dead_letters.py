"""Dead letters that always fit into the log: base64 makes a record's value a third larger than it was."""

import hashlib
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from shared.eventlog import codec
from shared.eventlog.placement import size_of
from shared.events import LARGEST_RECORD, DeadLetter

_LONGEST_REASON: Final = 4_000  # characters, six bytes each at most
_LARGEST_KEY: Final = 64 * 1024
_LARGEST_HEADERS: Final = 256 * 1024
_SLACK: Final = 64  # quotes, padding


def fit_into_record(letter: DeadLetter) -> DeadLetter:
    """The letter with the true size and hash of its value, and with as much of it as the log takes.

    Key, headers and value are cut from their ends; the reason says so.
    """
    whole = replace(
        letter,
        reason=letter.reason[:_LONGEST_REASON],
        true_size=len(letter.record_value),
        sha256=hashlib.sha256(letter.record_value).hexdigest(),
    )
    if size_of(codec.encode(whole)) <= LARGEST_RECORD:
        return whole
    headers = _first_of(letter.record_headers)
    cut = [
        *(["key"] if len(letter.record_key) > _LARGEST_KEY else []),
        *(["headers"] if len(headers) < len(letter.record_headers) else []),
    ]
    bare = replace(
        whole,
        reason=f"{whole.reason} (only the beginning of its {' and '.join([*cut, 'value'])} is kept)",
        record_key=letter.record_key[:_LARGEST_KEY],
        record_headers=headers,
        record_value=b"",
    )
    room = (LARGEST_RECORD - size_of(codec.encode(bare)) - _SLACK) * 3 // 4
    return replace(bare, record_value=letter.record_value[:room])


def _first_of(headers: Mapping[str, bytes]) -> dict[str, bytes]:
    """The first headers, up to 256 KiB as they are written."""
    kept: dict[str, bytes] = {}
    size = 0
    for name, value in headers.items():
        size += 6 * len(name) + len(value) * 4 // 3 + 16  # a character is written in six bytes at most
        if size > _LARGEST_HEADERS:
            break
        kept[name] = value
    return kept
