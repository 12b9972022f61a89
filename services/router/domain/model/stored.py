"""The incident as its row keeps it: JSON that replicas of the releases around this one read, too."""

import msgspec

from services.router.domain.model.incident import Incident

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Incident)


def encode(incident: Incident) -> bytes:
    """The record as JSON."""
    return _encoder.encode(incident)


def decode(raw: bytes | str) -> Incident:
    """The record back from JSON."""
    return _decoder.decode(raw)
