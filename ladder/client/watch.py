"""What changed since the last look, as lines; one step at a time, so that tests can take the steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ladder.client.connection import Connection
from ladder.client.incident_ids import short
from ladder.client.wording import moment, timeline_text
from shared.json_object import JsonObject

LOOKED_AT: Final = 500  # the newest, and as many of those still open
_UNSEEN: Final = timedelta(seconds=1)
TOLD_IN_FULL: Final = 20  # changed incidents a step whose timelines are read; the others get one line each


@dataclass(frozen=True, slots=True)
class Seen:
    """What has been shown of each incident: its version, and the number of timeline entries (-1: it was known
    before the first look, which was at `since` by Ladder's clock).
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def started(self) -> bool:
        return self.since is not None


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened to an incident; `entry` is None where only the last change is known."""

    incident: Mapping[str, Any]
    entry: Mapping[str, Any] | None = None

    def line(self, now: datetime) -> str:
        """For people."""
        if self.entry is None:
            return _line(self.incident, str(self.incident["status"]), moment(now.isoformat(), now))
        return _line(self.incident, timeline_text(self.entry), moment(self.entry["at"], now))

    @property
    def document(self) -> JsonObject:
        """For programs: the entry (`at`, `kind`, `actor`, `text`, `reason`) and the incident as it is now."""
        return {**(self.entry or {}), "incident": dict(self.incident)}


@dataclass(frozen=True, slots=True)
class Look:
    """One look: what to show, what to remember, and whether anything watched is still open."""

    told: tuple[Told, ...]
    seen: Seen
    any_open: bool


def watch_once(connection: Connection, seen: Seen, now: datetime, only: str = "") -> Look:
    """Everything that changed. The first look only remembers, unless one incident is watched."""
    incidents = {str(incident["id"]): incident for incident in _looked_at(connection, only)}
    changed = [
        incident
        for incident_id, incident in incidents.items()
        if seen.versions.get(incident_id) != incident["version"]
    ]
    since = seen.since or connection.answered_at or now
    versions = {**seen.versions, **{str(one["id"]): int(one["version"]) for one in changed}}
    any_open = any(incident["status"] in {"triggered", "acknowledged"} for incident in incidents.values())
    if not seen.started and not only:
        known = {str(one["id"]): -1 for one in changed}
        return Look((), Seen(versions=versions, told=known, since=since), any_open)
    heard = dict(seen.told)
    told: list[Told] = []
    for number, incident in enumerate(sorted(changed, key=lambda one: str(one["opened_at"]))):
        if number < TOLD_IN_FULL:
            told += _tell(connection, incident, heard, since)
        else:
            told.append(Told(incident))
    return Look(tuple(told), Seen(versions=versions, told=heard, since=since), any_open)


def _looked_at(connection: Connection, only: str) -> Iterator[JsonObject]:
    if only:
        yield connection.get(f"/v1/incidents/{only}")
        return
    yield from connection.incidents([("status", "triggered"), ("status", "acknowledged")], LOOKED_AT)
    yield from connection.incidents([], LOOKED_AT)


def _tell(
    connection: Connection, incident: Mapping[str, Any], heard: dict[str, int], since: datetime
) -> list[Told]:
    incident_id = str(incident["id"])
    items = connection.timeline(incident_id)
    already = heard.get(incident_id, 0)
    if already < 0:
        already = _news(items, since)
    heard[incident_id] = len(items)
    return [Told(incident, item) for item in items[already:]]


def _news(items: Sequence[Mapping[str, Any]], since: datetime) -> int:
    """Where the entries after the first look begin; at least the newest decision, which made the change.

    All entries of one decision carry its time, which is a little before it can be seen.
    """
    from_then = since - _UNSEEN
    for place, item in enumerate(items):
        if item["at"] == items[-1]["at"] or datetime.fromisoformat(item["at"]) >= from_then:
            return place
    return 0


def _line(incident: Mapping[str, Any], text: str, at: str) -> str:
    return (
        f"{at or ' ' * 8}  {short(str(incident['id']))}  P{incident['priority']}  {incident['title']}: {text}"
    )
