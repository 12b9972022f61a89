"""Errors as `application/problem+json` (RFC 9457), with a `type` that stays the same across releases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.json_object import JsonObject

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with what was sent: where (`/events/3/title`, a JSON pointer, or a header) and why."""

    field: str
    reason: str


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """A refusal that the caller can act on. `kind` is the last part of the stable `type` URI."""

    status: int
    kind: str
    title: str
    detail: str = ""
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.title}: {self.detail}" if self.detail else self.title

    def body(self) -> JsonObject:
        """The problem document."""
        document: JsonObject = {
            "type": f"urn:ladder:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
        }
        if self.detail:
            document["detail"] = self.detail
        if self.faults:
            document["errors"] = [{"field": fault.field, "reason": fault.reason} for fault in self.faults]
        return document | dict(self.extra)
