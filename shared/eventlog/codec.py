"""Bytes ↔ messages: CloudEvents 1.0 in Kafka's binary mode.

`ce_*` headers in UTF-8, `content-type: application/json`, the message itself as the value
(https://github.com/cloudevents/spec, kafka-protocol-binding §3.2).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec

from shared.errors.kinds import RefusedError
from shared.eventlog import Record
from shared.events import MESSAGES, Message

SOURCE: Final = b"/ladder"
_encoder = msgspec.json.Encoder()
_decoders = {kind: msgspec.json.Decoder(kind) for kind in MESSAGES}

AnyMessage = TypeVar("AnyMessage", bound=Message)


class UnreadableRecordError(ValueError):
    """The record is not the message its topic promises; the text says what is wrong."""


class UnwritableError(RefusedError):
    """A value has no JSON, and never will: half a character, a number without end, something unknown."""


@contextmanager
def writable() -> Iterator[None]:
    """Raises UnwritableError for what an encoder inside the block cannot write."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, RecursionError) as err:  # msgspec's own and Unicode's, too
        raise UnwritableError(f"it cannot be written as JSON: {err}") from err


def json_text(value: Any) -> str:
    """This value as JSON text. Raises UnwritableError."""
    with writable():
        return _encoder.encode(value).decode()


def encode(message: Message, *, source: bytes = SOURCE) -> Record:
    """The record that carries this message. Raises UnwritableError."""
    with writable():
        key, value = message.key.encode(), _encoder.encode(message)
    return Record(
        topic=message.topic,
        key=key,
        value=value,
        headers={
            "ce_specversion": b"1.0",
            "ce_id": message.id.encode(),
            "ce_source": source,
            "ce_type": message.type.encode(),
            "content-type": b"application/json",
        },
    )


def decode(kind: type[AnyMessage], value: bytes, headers: Mapping[str, bytes]) -> AnyMessage:
    """The message of this kind.

    Raises UnreadableRecordError for another CloudEvents type, broken JSON or a wrong shape.
    """
    said = headers.get("ce_type", kind.type.encode())
    if said != kind.type.encode():
        raise UnreadableRecordError(f"type {said.decode(errors='replace')!r}, expected {kind.type!r}")
    try:
        message = _decoders[kind].decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise UnreadableRecordError(str(err)) from err
    assert isinstance(message, kind)
    return message
