"""What foreign formats share: fields are mapped and cut, never refused, and every change leaves a note."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from services.intake.formats.contract import (
    KEY_LENGTH,
    LABEL_LENGTH,
    LABELS,
    LINK_TEXT_LENGTH,
    LINKS,
    Refused,
)
from services.intake.formats.sanitize import Json, Unreadable, as_text, bounded, cut, read_json
from services.intake.formats.times import read_time
from shared.events import Link, Severity
from shared.events.severity import read_severity
from shared.http.problems import Fault
from shared.json_object import JsonObject

LinkSent: TypeAlias = tuple[Any, Any, bool]
"""A link as it was sent: address, text, and whether it is an image."""

_NOTES: Final = 20
_NOTE_LENGTH: Final = 200
_LINK_LENGTH: Final = 2048
_SCRIPTS: Final = ("javascript:", "data:", "vbscript:")


def can_be_followed(address: str) -> bool:
    return bool(address) and len(address) <= _LINK_LENGTH and not address.strip().lower().startswith(_SCRIPTS)


def link_of(sent: Mapping[str, Any]) -> LinkSent:
    """A link as Ladder's own format writes one: `href`, `text`, `image`."""
    return sent.get("href"), sent.get("text"), sent.get("image") is True


def as_map(name: str, sent: Any) -> JsonObject:
    """A map as it is, None as an empty one, any other value as a map that holds it under `name`."""
    if sent is None:
        return {}
    return sent if isinstance(sent, dict) else {name: sent}


def unless_blank(sent: Any) -> Any:
    return None if sent == "" else sent


def severity_said(sent: Any, *, opens: bool) -> tuple[Severity | None, str]:
    """The severity from a sender that may leave it out, and a note on it.

    A blank one means `error` where the event `opens` an incident; elsewhere it says nothing.
    """
    if sent is None or not (opens or as_text(sent).strip()):
        return None, ""
    return read_severity(as_text(sent))


def read_object(body: bytes) -> Json | Refused:
    """The JSON object that a body must be."""
    read = read_json(body)
    if isinstance(read, Unreadable):
        return Refused([Fault("body", read.reason)])
    return read if isinstance(read.value, dict) else Refused([Fault("body", "expected a JSON object")])


@dataclass(slots=True)
class Mapper:
    """Reads the fields of one event and collects the notes about them."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.notes) < _NOTES:
            self.notes.append(cut(text, _NOTE_LENGTH))

    def text(self, name: str, sent: Any, longest: int) -> str:
        """Any value as text, cut where it is too long; '' for nothing."""
        if sent is None:
            return ""
        text = as_text(sent)
        if len(text) > longest:
            self.note(f"{name} was cut from {len(text)} to {longest} characters")
        return cut(text, longest)

    def key(self, name: str, sent: Any) -> str:
        """A dedup key. One that is too long keeps its beginning and a hash, so that two never become one."""
        text = as_text(sent) if sent is not None else ""
        if len(text) <= KEY_LENGTH:
            return text
        self.note(f"{name} was shortened from {len(text)} characters")
        return f"{text[: KEY_LENGTH - 65]}:{hashlib.sha256(text.encode()).hexdigest()}"

    def severity(self, sent: Any) -> Severity:
        """The severity; an unknown, blank or missing one means `error`, since it is safer to page."""
        severity, note = read_severity(as_text(sent) if sent is not None else "")
        if note:
            self.note(note)
        return severity

    def time(self, name: str, sent: Any) -> datetime | None:
        at = read_time(sent)
        if isinstance(at, Unreadable):
            self.note(f"{name} {cut(as_text(sent), 64)!r}: {at.reason}")
            return None
        return at

    def texts(self, name: str, sent: Any) -> dict[str, str]:
        """A map of strings; values of other types become text, and nothing is cut."""
        if sent is None:
            return {}
        if not isinstance(sent, Mapping):
            self.note(f"{name} is not a map of strings")
            return {}
        return {as_text(key): as_text(value) for key, value in sent.items() if value is not None}

    def labels(self, sent: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """As many labels as an event takes, each cut to its limit; and the rest, uncut."""
        pairs = list(sent.items())
        if len(sent) > LABELS:
            self.note(f"{len(sent) - LABELS} labels beyond {LABELS} were kept as attributes.more_labels")
        fitting = {cut(key, LABEL_LENGTH): self.label(key, value) for key, value in pairs[:LABELS]}
        return fitting, dict(pairs[LABELS:])

    def attributes(self, name: str, sent: Any) -> JsonObject:
        """What was sent as attributes (see `as_map`), as much of it as an event takes."""
        return bounded(as_map(name, sent), self.notes)

    def label(self, name: str, sent: Any) -> str:
        """The value of one label."""
        return self.text(f"label {name}", sent, LABEL_LENGTH)

    def links(self, sent: Iterable[LinkSent]) -> tuple[Link, ...]:
        """The links that can be followed, as many as an event takes."""
        made: list[Link] = []
        for address, text, image in sent:
            href = as_text(address).strip() if address is not None else ""
            if not href:
                continue
            if not can_be_followed(href):
                self.note(f"link {cut(href, 64)!r} was left out")
                continue
            made.append(Link(href=href, text=cut(as_text(text or ""), LINK_TEXT_LENGTH), image=image))
        if len(made) > LINKS:
            self.note(f"{len(made) - LINKS} links beyond {LINKS} were left out")
        return tuple(made[:LINKS])
