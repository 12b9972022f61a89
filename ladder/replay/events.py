"""Turns rows into events, and remembers how the log ends each incident. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ladder.replay.row_mapping import Map, MapError, Row
from shared.json_object import JsonObject

Event = JsonObject


@dataclass(slots=True)
class Course:
    """How far one incident's rows have been read."""

    is_open: bool = False
    resolved_at: datetime | None = None
    events: int = 0


@dataclass(slots=True)
class Translator:
    """Reads rows in the log's order and keeps track of each key's incident."""

    rules: Map
    times: bool = True  # False: to Ladder the rows happen now
    courses: dict[str, Course] = field(default_factory=dict)
    rows: int = 0

    def translate(self, rows: Iterable[Row]) -> Iterator[Event]:
        """The events of these rows. Raises MapError for a row without a key."""
        for row in rows:
            self.rows += 1
            key = self.rules.value(self.rules.key, row)
            if not key:
                raise MapError(f"Row {self.rows} has no key ({self.rules.key}).")
            course = self.courses.setdefault(str(key), Course())
            for event in self._events(str(key), row, course):
                course.events += 1
                yield event

    def _events(self, key: str, row: Row, course: Course) -> Iterator[Event]:
        first, done = course.events == 0, self.rules.is_done(row)
        at = self.rules.happened_at(row) if self.times else None
        if first or not (course.is_open or done):
            # The log's order decides. A timestamp no later than the resolve's (they are whole seconds or
            # minutes) would make this trigger look overtaken, so it is left out.
            late = at is not None and course.resolved_at is not None and at <= course.resolved_at
            yield self._event("trigger", key, row, None if late else at)
            course.is_open = True
        elif not done:
            yield self._event("update", key, row, at)
        if done:
            yield self._event("resolve", key, row, at)
            course.is_open, course.resolved_at = False, at

    def _event(self, action: str, key: str, row: Row, at: datetime | None) -> Event:
        event: Event = {"action": action, "dedup_key": key}
        if at is not None:
            event["occurred_at"] = at.isoformat()
        if action == "trigger":
            event["title"] = self.rules.value(self.rules.title, row) or key
        event |= self.rules.said(self.rules.fields, row)
        event["attributes"] = self.rules.said(self.rules.attributes, row)
        if action == "resolve" or (action == "trigger" and not event.get("waiting_for")):
            event.pop("waiting_for", None)  # solved, it waits for nobody; new, it has no waiting to end
        return event
