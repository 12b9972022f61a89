"""What every message says of itself, the topics they travel on, and how large a record may be."""

from typing import ClassVar, Final

import msgspec

INCIDENTS: Final = "ladder.incidents"
ESCALATIONS: Final = "ladder.escalations"
DELIVERIES: Final = "ladder.deliveries"
POLICY: Final = "ladder.policy"
DEAD_LETTER: Final = "ladder.dead-letter"
REPLAYED: Final = "ladder_replayed"  # header of a record that comes again on purpose: its dead letter's id
MAX_BYTES: Final = 3 * 1024 * 1024  # of a record, as Kafka counts it
OVERHEAD_BYTES: Final = 1024  # of a batch around one record, which Kafka's limit includes
LARGEST_RECORD: Final = MAX_BYTES - OVERHEAD_BYTES  # key, value and headers: what both logs take


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every message can say of itself."""

    topic: ClassVar[str]
    type: ClassVar[str]

    @property
    def id(self) -> str:
        """The CloudEvents id: the same message sent twice carries the same one."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The record key: messages with one key keep their order."""
        raise NotImplementedError
