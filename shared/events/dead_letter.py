"""Records that could not be read or applied, with the reason."""

from datetime import datetime
from typing import ClassVar

from shared.events.message import DEAD_LETTER, Message


class DeadLetter(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A record that could not be read or applied, with the reason it was set aside.

    It holds as much of the record as the log takes: whole where `record_value` has `true_size` bytes
    (`shared.eventlog.dead_letters.fit_into_record`).
    """

    topic: ClassVar[str] = DEAD_LETTER
    type: ClassVar[str] = "dev.ladder.dead-letter"

    letter_id: str
    at: datetime
    service: str
    reason: str
    from_topic: str
    partition: int
    offset: int
    record_key: bytes
    record_headers: dict[str, bytes] = {}
    record_value: bytes
    true_size: int = 0  # of the record's whole value, in bytes
    sha256: str = ""  # of the record's whole value, in hex

    @property
    def id(self) -> str:
        return self.letter_id

    @property
    def key(self) -> str:
        return f"{self.from_topic}:{self.partition}:{self.offset}"
