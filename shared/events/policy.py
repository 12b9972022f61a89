"""The policy bundle in force, as the router tells intake and the notifier."""

from datetime import datetime
from typing import ClassVar

import msgspec

from shared.events.message import POLICY, Message


class PolicyPublished(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The policy bundle in force, checked, as JSON; of a compacted topic: the newest revision is the policy.

    How it travels, whole or compressed, is settled by `shared.policy.publishing.wire_format`.
    """

    topic: ClassVar[str] = POLICY
    type: ClassVar[str] = "dev.ladder.policy.published"

    hash: str
    revision: int  # grows with every switch; a lower one never replaces a higher one
    at: datetime
    bundle: msgspec.Raw

    @property
    def id(self) -> str:
        return f"{self.revision}-{self.hash}"

    @property
    def key(self) -> str:
        return "bundle"
