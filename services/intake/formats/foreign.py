"""What foreign formats share: fields are mapped and cut, never refused, and every change leaves a note."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.intake.cleaning import Unreadable, as_text, cut
from services.intake.formats.contract import KEY_LENGTH, LABELS, LINKS, severity_of
from services.intake.times import read_time
from shared.events import Link, Severity

_NOTES: Final = 20
_NOTE_LENGTH: Final = 200
_LINK_LENGTH: Final = 2048
_TEXT_LENGTH: Final = 4096  # of one label or annotation; a whole event stays far below what a record takes
_SCRIPTS: Final = ("javascript:", "data:", "vbscript:")


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
        """The severity; an unknown, blank or missing one is an error, for the safe side is to page."""
        text = as_text(sent).strip() if sent is not None else ""
        known = severity_of(text)
        if known is None:
            self.note(
                f"severity {cut(text, 64)!r} was read as error" if text else "no severity: read as error"
            )
        return known or "error"

    def time(self, name: str, sent: Any) -> datetime | None:
        at = read_time(sent)
        if isinstance(at, Unreadable):
            self.note(f"{name} {cut(as_text(sent), 64)!r}: {at.reason}")
            return None
        return at

    def texts(self, name: str, sent: Any) -> dict[str, str]:
        """A map of strings; values of another type become text."""
        if sent is None:
            return {}
        if not isinstance(sent, Mapping):
            self.note(f"{name} is not a map of strings")
            return {}
        return {
            cut(as_text(key), _TEXT_LENGTH): self.text(f"{name} {key!r}", value, _TEXT_LENGTH)
            for key, value in sent.items()
            if value is not None
        }

    def labels(self, sent: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """As many labels as an event takes, and the rest."""
        if len(sent) <= LABELS:
            return sent, {}
        self.note(f"{len(sent) - LABELS} labels beyond {LABELS} were kept as attributes.more_labels")
        pairs = list(sent.items())
        return dict(pairs[:LABELS]), dict(pairs[LABELS:])

    def links(self, sent: list[tuple[Any, Any, bool]]) -> tuple[Link, ...]:
        """Links of (address, text, whether it is a picture); what cannot be followed is left out."""
        made: list[Link] = []
        for address, text, image in sent:
            href = as_text(address).strip() if address is not None else ""
            if not href:
                continue
            if len(href) > _LINK_LENGTH or href.lower().startswith(_SCRIPTS):
                self.note(f"link {cut(href, 64)!r} was left out")
                continue
            made.append(Link(href=href, text=cut(as_text(text or ""), 255), image=image))
        if len(made) > LINKS:
            self.note(f"{len(made) - LINKS} links beyond {LINKS} were left out")
        return tuple(made[:LINKS])
