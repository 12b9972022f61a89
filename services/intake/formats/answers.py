"""Ladder's own answers, given by every format whose clients expect no others."""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.intake.formats.contract import Answer
from shared.events import IncidentEvent
from shared.http.problems import MEDIA_TYPE, Problem


class _Named(msgspec.Struct):
    event_id: str
    dedup_key: str


class _Accepted(msgspec.Struct, omit_defaults=True):
    accepted: int
    events: list[_Named]
    ignored: int = 0  # what the integration's `ignore` dropped


_encoder: Final = msgspec.json.Encoder()


def accepted(events: Sequence[IncidentEvent], ignored: int = 0) -> Answer:
    """`{"accepted": n, "events": [{"event_id", "dedup_key"}]}`, and `ignored` if any were."""
    named = [_Named(event.event_id, event.dedup_key) for event in events]
    return Answer(_encoder.encode(_Accepted(len(named), named, ignored)))


def refused(problem: Problem) -> Answer:
    """A refusal as `application/problem+json`."""
    return Answer(_encoder.encode(problem.body()), MEDIA_TYPE.encode())


class OwnWords:
    """The base of formats whose bodies carry no key and whose clients take Ladder's own answers."""

    __slots__ = ()

    def credential(self, body: bytes) -> str:
        del body
        return ""

    def accepted(self, events: Sequence[IncidentEvent]) -> Answer:
        return accepted(events)

    def refused(self, problem: Problem) -> tuple[int, Answer]:
        return problem.status, refused(problem)
