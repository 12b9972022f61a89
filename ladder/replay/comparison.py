"""Does each incident end in Ladder as the log's last row says?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ladder.client.connection import Connection
from ladder.replay.events import Course

EVERYTHING = 10_000_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """What agreed and what did not. `events` counts what Ladder applied to the log's incidents."""

    agreeing: int
    open: int
    resolved: int
    events: int
    differing: tuple[str, ...]  # the first ten, in sentences
    differences: int
    dead_letters: int

    def settled(self, accepted: int, before: int = 0) -> bool:
        """Whether every accepted event has been applied, with no difference and no dead letter.

        `before` events had been applied when the replay began. Restarted under the same name, a replay adds
        only what was missing; under a new name it adds everything again.
        """
        all_applied = self.events in {accepted, before + accepted}
        return all_applied and not self.differences and not self.dead_letters


def compare(incidents: Iterable[Mapping[str, Any]], courses: Mapping[str, Course]) -> Comparison:
    """`incidents` come newest first: the newest of each key is compared, the events of all are counted."""
    newest: dict[str, Mapping[str, Any]] = {}
    events = dead_letters = 0
    for incident in incidents:
        if incident["integration"] == "ladder":
            dead_letters += str(incident["dedup_key"]).startswith("dead-letter")
        elif incident["dedup_key"] in courses:
            newest.setdefault(incident["dedup_key"], incident)
            events += int(incident["events"])
    differing = [
        line for key, course in courses.items() if (line := _difference(key, course, newest.get(key)))
    ]
    is_open = sum(_is_open(incident) for incident in newest.values())
    return Comparison(
        agreeing=len(courses) - len(differing),
        open=is_open,
        resolved=len(newest) - is_open,
        events=events,
        differing=tuple(differing[:10]),
        differences=len(differing),
        dead_letters=dead_letters,
    )


def _is_open(incident: Mapping[str, Any]) -> bool:
    return incident["status"] in {"triggered", "acknowledged"}


def _difference(key: str, course: Course, incident: Mapping[str, Any] | None) -> str:
    if incident is None:
        return f"{key}: Ladder has no such incident"
    if _is_open(incident) == course.is_open:
        return ""
    return f"{key}: the log ends {'open' if course.is_open else 'solved'}, Ladder says {incident['status']}"


def look(connection: Connection, courses: Mapping[str, Course]) -> Comparison:
    """Compare all incidents as they are now."""
    return compare(connection.incidents([], EVERYTHING), courses)


def verdict_lines(comparison: Comparison, accepted: int, before: int = 0) -> list[str]:
    """The comparison in words."""
    started_again = comparison.events == accepted
    applied = accepted if started_again else comparison.events - before
    lines = [
        (
            f"{comparison.agreeing} of {comparison.agreeing + comparison.differences} incidents end as the"
            f" log's last row says: {comparison.resolved} solved, {comparison.open} open"
        ),
        (f"{applied} of {accepted} accepted events applied, {comparison.dead_letters} dead letters"),
    ]
    lines += [f"  {line}" for line in comparison.differing]
    if comparison.differences > len(comparison.differing):
        lines.append(f"  and {comparison.differences - len(comparison.differing)} more")
    return lines
