"""A dead letter fits into the log, whatever it tells of."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.eventlog import codec
from shared.eventlog.dead_letters import fit_into_record
from shared.eventlog.placement import size_of
from shared.events import INCIDENTS, LARGEST_RECORD, MAX_BYTES, DeadLetter

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def letter(value: bytes, **fields: Any) -> DeadLetter:
    given: dict[str, Any] = {
        "letter_id": "l", "at": AT, "service": "router", "reason": "cannot be read", "from_topic": INCIDENTS,
        "partition": 0, "offset": 7, "record_key": b"k", "record_value": value,
    }  # fmt: skip
    return DeadLetter(**(given | fields))


def test_a_small_letter_is_whole_with_its_size_and_hash() -> None:
    made = fit_into_record(letter(b"not json", record_headers={"ce_id": b"1"}))
    assert (made.record_value, made.true_size, made.record_headers) == (b"not json", 8, {"ce_id": b"1"})
    assert made.sha256 == hashlib.sha256(b"not json").hexdigest()
    assert made.reason == "cannot be read"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"record_key": b"k" * 2_000_000},
        {"record_headers": {f"h{n}": b"v" * 1000 for n in range(2500)}},
        {"record_headers": {"\x01" * 400_000: b""}},  # each is written as six characters
        {"reason": "\x01" * 2_000_000},
    ],
)
def test_a_letter_about_the_largest_record_carries_as_much_of_it_as_fits(fields: dict[str, Any]) -> None:
    """Base64 makes it a third larger: its beginning goes, with the true size and hash of the whole."""
    whole = b"x" * (MAX_BYTES - 1)
    made = fit_into_record(letter(whole, **fields))
    assert size_of(codec.encode(made)) <= LARGEST_RECORD
    assert whole.startswith(made.record_value)
    assert len(made.record_value) > 2_000_000
    assert (made.true_size, made.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert "only the beginning of its" in made.reason
