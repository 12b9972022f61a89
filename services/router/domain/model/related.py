"""What one incident tells another one: a struct for each relation, with what comes with it.

The message carries it as JSON under the relation's word (`RelatedChanged`). Messages of other releases are
read, too: None and the other defaults stand for what one of them does not send, names that this one does not
know are passed over, and a relation that it does not know says nothing.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, TypeAlias

import msgspec

from services.router.domain.model.parts import Subscriber
from services.router.domain.model.vocabulary import Relation
from shared.events import RelatedChanged


class Joined(msgspec.Struct, frozen=True):
    """A member joined, or stands `again`; a `late` one is held and does not count yet."""

    relation: ClassVar[Relation] = "joined"
    again: bool = False
    late: bool = False


class Changed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member's priority rose, or it is held no longer and `counts` from now on."""

    relation: ClassVar[Relation] = "changed"
    counts: bool = False


class EndedUnder(msgspec.Struct, frozen=True):
    """A member is over."""

    relation: ClassVar[Relation] = "ended"


class Left(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member belongs to another incident now; whether it was still `open`, if that counts."""

    relation: ClassVar[Relation] = "left"
    open: bool | None = None


class Over(msgspec.Struct, frozen=True):
    """The parent is over, `by` that actor."""

    relation: ClassVar[Relation] = "over"
    by: str = ""


class Stands(msgspec.Struct, frozen=True):
    """Who has the parent; whether a `person` took it (None: an older replica does not say)."""

    relation: ClassVar[Relation] = "stands"
    assignee: str = ""
    person: bool | None = None


class Repeated(msgspec.Struct, frozen=True):
    """What the key of a merged one said: the event's action and text; `worse`: its own priority rose."""

    relation: ClassVar[Relation] = "repeated"
    action: str = ""
    said: str = ""
    worse: bool | str = ""  # '' where nobody said


class Moved(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it belongs to goes on in another incident; the rest as in `Repeated`, if its key said it."""

    relation: ClassVar[Relation] = "moved"
    to: str = ""
    action: str | None = None
    said: str | None = None
    worse: bool | str | None = None


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was said has no effect: the one that was told is over. `of`: the relation that was."""

    relation: ClassVar[Relation] = "refused"
    of: str = ""


class Absorbed(msgspec.Struct, frozen=True):
    """Another one was merged into this one, with those who hear of it."""

    relation: ClassVar[Relation] = "absorbed"
    followers: tuple[str, ...] = ()
    subscribers: tuple[Subscriber, ...] = ()
    events: int = 0
    resolved: bool = False


class CameBack(msgspec.Struct, frozen=True):
    """Its key opened a new incident before this one was confirmed."""

    relation: ClassVar[Relation] = "came_back"


class Unnamed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A group is over and did not name this incident (`group`, `at`), or a `member` of its own group."""

    relation: ClassVar[Relation] = "unnamed"
    group: str | None = None
    at: str = ""  # ISO 8601
    left_out: str | None = None  # how many its sender left out, as the end of a sentence
    member: str | None = None
    doubt: str = ""


class Look(msgspec.Struct, frozen=True):
    """What is to be decided may have changed."""

    relation: ClassVar[Relation] = "look"


class CauseEnded(msgspec.Struct, frozen=True):
    """Its cause is over."""

    relation: ClassVar[Relation] = "cause_ended"


ToParent: TypeAlias = Joined | Changed | EndedUnder | Left
ToMember: TypeAlias = Over | Stands | Moved | Refused
AboutMerged: TypeAlias = Absorbed | Repeated
Related: TypeAlias = ToParent | ToMember | AboutMerged | CameBack | Unnamed | Look | CauseEnded

RELATIONS: Final[Mapping[str, type[Related]]] = {
    each.relation: each
    for each in (
        Joined,
        Changed,
        EndedUnder,
        Left,
        Over,
        Stands,
        Moved,
        Refused,
        Absorbed,
        Repeated,
        CameBack,
        Unnamed,
        Look,
        CauseEnded,
    )
}


def told_in(message: RelatedChanged) -> Related | None:
    """What the message tells; None when it is a relation of a newer release.

    Raises msgspec.ValidationError for what no release sends.
    """
    kind = RELATIONS.get(message.relation)
    return msgspec.convert(message.values, kind) if kind is not None else None
