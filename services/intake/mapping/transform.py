"""Turns what a format read into one integration's events, by its `set`, `map`, `ignore` and `each`. Pure.

Fixed values replace what was read, and the values of expressions replace both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import msgspec

from services.intake.formats.contract import Post, Reading
from services.intake.formats.field_values import overridden
from shared.clock import busy_seconds
from shared.events import IncidentEvent
from shared.http.problems import Fault
from shared.policy import BodyMapping, ExpressionError, Integration
from shared.policy.cel.body_mapping import BodyView, Ignored, Mapped, Unmatched

MOST_EVENTS: Final = 1000  # of one post
MOST_SECONDS: Final = 3.0  # of work on the expressions of one post
_MOST_FAULTS: Final = 100
_TOO_LONG: Final = (
    f"its expressions have taken {MOST_SECONDS:g} seconds up to here, more than one post may: "
    "send fewer events at once, or ask less of the whole `body` for each of them"
)
_TOO_MUCH: Final = (
    "its texts are too long to be searched for each member of so long a list, as its expressions do"
)
_BROKEN: Final = "its expressions do not compile in this release"


@dataclass(slots=True)
class Transformed:
    """The events of a post, what is wrong with it, and how many `ignore` dropped.

    `read` holds the same events without what the policy adds.
    """

    events: list[IncidentEvent] = field(default_factory=list)
    read: list[IncidentEvent] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """One event in the making, and what the expressions see of it; `where` is its place in the post."""

    event: IncidentEvent
    view: BodyView
    where: str


@dataclass(frozen=True, slots=True)
class Transform:
    """How one integration transforms its sender's events."""

    fixed: Mapping[str, Any] = field(default_factory=dict)
    shapes: Sequence[tuple[str, Mapping[str, str]]] = ()
    mapping: BodyMapping | None = None  # None: no expressions, or some that do not compile
    broken: str = ""  # why they do not compile

    @classmethod
    def of(cls, integration: Integration) -> Self:
        """Compile the expressions, which takes a millisecond. If they do not compile (another release checked
        them), events still go on, with the format's own values and notes.
        """
        return cls.made(
            integration.set,
            integration.shapes,
            listed=not isinstance(integration.map, dict),
            ignore=integration.ignore,
            each=integration.each,
        )

    @classmethod
    def made(
        cls,
        fixed: Mapping[str, Any],
        shapes: Sequence[tuple[str, Mapping[str, str]]],
        *,
        listed: bool = False,
        ignore: str | None = None,
        each: str | None = None,
    ) -> Self:
        """From the parts of an integration that matter here."""
        if not shapes and ignore is None and each is None:
            return cls(fixed)
        try:
            mapping = BodyMapping(shapes, listed=listed, ignore=ignore, each=each)
        except ExpressionError as err:
            return cls(fixed, shapes, None, str(err))
        return cls(fixed, shapes, mapping)

    def apply(
        self, read: Reading, post: Post, *, loose: bool, busy: Callable[[], float] = busy_seconds
    ) -> Transformed:
        """The events with this integration's values.

        `loose`: what every event needs is checked only now. Faults give their places inside the post.
        `busy` counts the seconds of work: a post whose expressions take too many is refused.
        """
        made, began = Transformed(), busy()
        if self.mapping is None:
            for index, event in enumerate(read.events):
                mapped = Mapped({}, dict.fromkeys(self._fields(), _BROKEN) if self.broken else {})
                self._add(event, mapped, f"/{index}" if read.batch else "", made, loose=loose)
        else:
            for seen in self._members(self.mapping, read, post, made):
                self._decide(self.mapping, seen, made, loose=loose)
                if busy() - began > MOST_SECONDS:
                    made.faults.insert(0, Fault(seen.where or "body", _TOO_LONG))
                    break
        made.faults = made.faults[:_MOST_FAULTS]
        return made

    def _members(self, mapping: BodyMapping, read: Reading, post: Post, made: Transformed) -> Iterator[_Seen]:
        """The events of a post before they are mapped. Faults, and how many were ignored, go into `made`."""
        count = 0
        for index, (event, sent) in enumerate(zip(read.events, read.objects, strict=True)):
            where = f"/{index}" if read.batch else ""
            if mapping.is_too_much(sent if read.body is None else read.body):
                made.faults.append(Fault(where or "body", _TOO_MUCH))
                continue
            view = mapping.view(sent, post.headers, body=read.body)
            if mapping.each is None:
                yield _Seen(event, view, where)
                continue
            if mapping.ignores(view):
                made.ignored += 1
                continue
            members = mapping.members(view)
            if isinstance(members, str):
                made.faults.append(Fault(where or "body", f"each ({mapping.each}): {members}"))
                continue
            count += len(members)
            if count > MOST_EVENTS:
                made.faults.append(Fault(where or "body", f"more than {MOST_EVENTS} events in one post"))
                return
            for number, item in enumerate(members):
                named = post.event_id(*([index] if read.batch else []), number)
                own = msgspec.structs.replace(event, event_id=named, dedup_key=named)
                yield _Seen(own, mapping.view(sent, post.headers, item=item), f"{where}/{number}")

    def _decide(self, mapping: BodyMapping, seen: _Seen, made: Transformed, *, loose: bool) -> None:
        outcome = mapping.outcome(seen.view)
        match outcome:
            case Ignored():
                made.ignored += 1
            case Unmatched():
                made.faults.append(Fault(seen.where or "body", outcome.reason))
            case Mapped():
                self._add(seen.event, outcome, seen.where, made, loose=loose)

    def _add(
        self, read: IncidentEvent, mapped: Mapped, where: str, made: Transformed, *, loose: bool
    ) -> None:
        event = read
        if self.fixed or mapped.values or mapped.failed:
            event = overridden(event, {**self.fixed, **mapped.values}, mapped.failed, mapped.where)
        lacking = self._lacking(event, mapped) if loose else None
        if lacking is None:
            made.events.append(event)
            made.read.append(read)
        else:
            made.faults.append(Fault(where + lacking.field, lacking.reason))

    def _lacking(self, event: IncidentEvent, mapped: Mapped) -> Fault | None:
        """The fault of an event that lacks its title or its key."""
        if event.action == "trigger":
            missing = "" if event.title and event.title.strip() else "title"
        else:
            missing = "dedup_key" if event.dedup_key == event.event_id else ""
        if not missing:
            return None
        why = mapped.failed.get(missing) or "it gives an empty text"
        if self.broken:
            return Fault(f"/{missing}", f"needed for {event.action}: map: {_BROKEN}")
        if missing not in mapped.failed and missing not in mapped.values:
            return Fault(f"/{missing}", f"needed for {event.action}: nothing says it")
        source = self._source(mapped.where, missing)
        return Fault(f"/{missing}", f"needed for {event.action}: {mapped.where}.{missing} ({source}): {why}")

    def _source(self, where: str, name: str) -> str:
        """The expression of a field; `where` is `map` or `map[2].map`."""
        row = 0 if where == "map" else int(where.removeprefix("map[").partition("]")[0])
        return self.shapes[row][1][name]

    def _fields(self) -> Sequence[str]:
        return list(self.shapes[0][1]) if len(self.shapes) == 1 else []
