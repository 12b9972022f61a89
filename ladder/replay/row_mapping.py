"""How a row of somebody's log becomes native events: a small YAML file of columns, texts and lookup tables.

Declarative on purpose: a log's columns need lookups, not a language, and a wrong column is found before the
first row is sent.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from shared.json_object import JsonObject
from shared.policy.calendars import wall_clock

Row = Mapping[str, str]
EVENT_FIELDS: Final = frozenset(
    {"description", "kind", "severity", "impact", "urgency", "customer", "service", "source", "waiting_for"}
)
SHIPPED: Final = ("volvo", "servicenow")
_COLUMN = re.compile(r"\{([^{}]+)\}")


class MapError(Exception):
    """The map cannot be used, or does not fit the file; the text says which part and why."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column whose values are looked up; what is not listed becomes `otherwise` (None: left out)."""

    column: str
    values: dict[str, str | int | float]
    otherwise: str | int | float | None = None


Source = str | Table
"""A text with `{Column}` in it, or a table."""


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a row happened: ISO 8601 unless `format` is given; `timezone` is for timestamps without one."""

    column: str
    format: str = ""
    timezone: str = "UTC"


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows mean that the incident is solved; all others mean that it is not."""

    column: str
    values: tuple[str, ...]


class Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One log's columns. `blank` lists the texts that mean "unknown" in the log."""

    about: str = ""
    key: str
    title: str
    time: Time
    done: Done
    fields: dict[str, Source] = {}
    attributes: dict[str, Source] = {}
    blank: tuple[str, ...] = ("",)

    def columns(self) -> set[str]:
        """Every column that the map reads."""
        sources = [self.key, self.title, *self.fields.values(), *self.attributes.values()]
        named = {self.time.column, self.done.column}
        for source in sources:
            named |= {source.column} if isinstance(source, Table) else set(_COLUMN.findall(source))
        return named

    def check(self, header: Iterable[str]) -> None:
        """Raises MapError for a column that the file does not have."""
        present = set(header)
        for column in sorted(self.columns() - present):
            close = get_close_matches(column, present, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise MapError(f"The map reads the column {column!r}, which the file does not have.{hint}")

    def value(self, source: Source, row: Row) -> str | int | float | None:
        """The value of a source in this row; None where the log has none."""
        if isinstance(source, Table):
            return source.values.get(row[source.column], source.otherwise)
        named = _COLUMN.findall(source)
        if named and all(row[column] in self.blank for column in named):
            return None
        return _COLUMN.sub(lambda found: row[found.group(1)], source)

    def said(self, sources: Mapping[str, Source], row: Row) -> JsonObject:
        """The sources that have a value in this row."""
        values = ((name, self.value(source, row)) for name, source in sources.items())
        return {name: value for name, value in values if value is not None}

    def is_done(self, row: Row) -> bool:
        """Whether this row says that the incident is solved."""
        return row[self.done.column] in self.done.values

    def happened_at(self, row: Row) -> datetime | None:
        """An aware time; None for a timestamp that cannot be read."""
        text = row[self.time.column]
        try:
            if self.time.format:
                at = datetime.strptime(text, self.time.format)  # noqa: DTZ007 - the zone follows
            else:
                at = datetime.fromisoformat(text)
        except ValueError:
            return None
        return at.astimezone(UTC) if at.tzinfo else wall_clock.instant(at, self.time.timezone)


def load_map(name: str) -> Map:
    """A shipped map by name, or any other by path. Raises MapError."""
    if name in SHIPPED:
        text = files("ladder.replay.maps").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        return read_map(text, name)
    try:
        return read_map(Path(name).read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as err:
        why = getattr(err, "strerror", None) or "it is not text"
        shipped = " and ".join(SHIPPED)
        raise MapError(f"{name} cannot be read: {why}. Shipped with Ladder: {shipped}.") from err


def read_map(text: str, name: str) -> Map:
    """A map from its YAML. Raises MapError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = msgspec.convert(YAML(typ="safe").load(text), Map)
    except YAMLError as err:
        raise MapError(f"{name} is not YAML: {err}") from err
    except msgspec.ValidationError as err:
        raise MapError(f"{name}: {err}") from err
    for unknown in sorted(set(found.fields) - EVENT_FIELDS):
        raise MapError(
            f"{name}: {unknown!r} is no field of an event; there are {', '.join(sorted(EVENT_FIELDS))}."
        )
    try:
        ZoneInfo(found.time.timezone)
    except (KeyError, ValueError) as err:
        raise MapError(f"{name}: {found.time.timezone!r} is no time zone.") from err
    return found
