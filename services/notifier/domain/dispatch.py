"""What leaves as one message: a delivery alone, or several to the same reader that go together. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid5

from services.notifier.domain.delivery import Content, Delivery
from services.notifier.domain.plan import NAMESPACE
from services.notifier.domain.rates import LONG_AGO
from shared.events import IncidentSnapshot

READ: Final = 30
"""How many contents of a message are read: more than it lists, since some may be settled meanwhile."""

NOT_READ: Final = Content(
    at=LONG_AGO,
    incident=IncidentSnapshot(
        id="",
        integration="",
        dedup_key="",
        title="",
        kind="",
        status="closed",
        priority=5,
        tier="",
        policy="",
        opened_at=LONG_AGO,
    ),
)
"""The content of a delivery that is not read because its message does not list it."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message. `id` travels with it; `members` are its deliveries, the most pressing first.

    The id is that of a delivery alone, otherwise it follows from all that are in it: the same deliveries
    together again are the same message.
    """

    id: str
    members: tuple[Delivery, ...]

    @property
    def first(self) -> Delivery:
        return self.members[0]

    @property
    def about_one(self) -> bool:
        """Whether all of it is about the same incident: it reads like a message about that."""
        incident_id = self.first.incident_id
        if not incident_id:
            return len(self.members) == 1
        return all(member.incident_id == incident_id for member in self.members)

    @property
    def read(self) -> Sequence[Delivery]:
        """Those whose contents were read."""
        return [member for member in self.members[:READ] if member.content is not NOT_READ]

    @property
    def lead(self) -> Delivery:
        """The newest page among those, or else the newest notice."""
        if len(self.members) == 1:
            return self.first
        return max(self.read, key=lambda member: (member.is_page, member.version))

    @property
    def is_legible(self) -> bool:
        """Whether the content of any of it was read."""
        return self.first.content is not NOT_READ

    @property
    def has_template(self) -> bool:
        """Whether somebody else's program words any of it."""
        return any(one.content.notice is not None and one.content.notice.template for one in self.read)


def dispatched(members: Sequence[Delivery]) -> Dispatch:
    """These in one message; one that was interrupted keeps its id, whatever was settled of it since."""
    first = members[0]
    if first.message_id or len(members) == 1:
        return Dispatch(first.message_id or first.id, tuple(members))
    names = "\n".join(sorted(member.id for member in members))
    return Dispatch(str(uuid5(NAMESPACE, names)), tuple(members))
