"""Records that could not be used."""

from datetime import datetime

import msgspec


class DeadLetterItem(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be used. `state`: waiting, replayed or dismissed, by whom, when and why.

    `size` is that of the whole record's value; `complete`: whether all of it is kept, so that it can be
    replayed. Both wait for the letter itself, which the log brings a moment after its note.
    """

    id: str
    at: datetime
    service: str
    reason: str
    from_topic: str
    partition: int
    offset: int
    key: str
    size: int | None
    complete: bool
    state: str
    decided_at: datetime | None
    decided_by: str
    note: str


class DeadLetterShown(DeadLetterItem, frozen=True, kw_only=True):
    """With what it holds: `body` as text or in base64 (`encoding`), its first 64 KiB where `cut`."""

    headers: dict[str, str]
    sha256: str
    encoding: str
    body: str
    cut: bool


class DeadLetterList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first; `next` is the cursor of the following page, null on the last."""

    items: list[DeadLetterItem]
    next: str | None
