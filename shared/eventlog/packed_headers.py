"""Record headers as one value of bytes (MessagePack), for the tables that keep records."""

from collections.abc import Mapping

import msgspec

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, bytes])


def pack(headers: Mapping[str, bytes]) -> bytes:
    return _encoder.encode(headers)


def unpack(packed: bytes) -> dict[str, bytes]:
    return _decoder.decode(packed)
