"""What was probably meant by a value that does not fit: other ways to write it, the first that fits.

Habits of other languages, formats and products: `5 min`, `0.5`, `8:00`, `Mon-Fri`, `24.12.2026`, a bare name
as a target, one value where a list is due.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from pydantic import TypeAdapter, ValidationError

from shared.policy.errors import nearest
from shared.policy.loading.introspection import members_of
from shared.policy.model.windows import DAY_NAMES

_SPAN: Final = re.compile(
    r"(\d+)\s*(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)(?![a-z])[\s,]*"
)
_TURNS: Final = {"hourly": "1h", "daily": "1d", "weekly": "1w", "biweekly": "2w", "fortnightly": "2w"}
_NAMED: Final = {"user": "users", "team": "teams", "schedule": "schedules"}
_LONGEST: Final = 100


def suggestion_for(kind: Any, written: Any, tree: Mapping[str, Any]) -> str:
    """How a value of this type would be written, or ''. `tree` is the bundle's, for the names in it."""
    adapter = TypeAdapter[Any](kind)
    if members_of(kind) is not None and isinstance(written, str):
        for each in (written, *_ways(written, tree)):
            if _fits(adapter, [each]):
                return f"[{each}]"
        return ""
    return next((each for each in _ways(written, tree) if _fits(adapter, each)), "")


def as_name(written: str) -> str:
    """The nearest text that is a name: `Web Shop` → `web-shop`; '' when nothing is left of it."""
    return re.sub(r"[^a-z0-9_]+", "-", written.lower()).strip("-_")


def _fits(adapter: TypeAdapter[Any], each: Any) -> bool:
    try:
        adapter.validate_python(each, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


def _ways(written: Any, tree: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(written, dict) and len(written) == 1:
        name, value = next(iter(written.items()))
        if isinstance(value, str):
            yield from _targets(f"{name}:{value}", tree)
    if isinstance(written, int | float) and not isinstance(written, bool):
        yield from _of_number(written)
    if isinstance(written, str) and written and len(written) <= _LONGEST:
        yield from _targets(written, tree)
        yield from _spans(written.strip().lower())
        yield from _moments(written.strip())
        yield written.strip().lower()
        yield as_name(written)
        yield from _zones(written.strip())


def _of_number(written: float) -> Iterator[str]:
    yield str(written)
    yield f"{written * 100 if 0 < written < 1 else written:g}%"
    if isinstance(written, int):
        yield f"{written:02}:00"


def _targets(written: str, tree: Mapping[str, Any]) -> Iterator[str]:
    """`ana`, `user: ana` and `usr:ana` are `user:ana` where there is such a user."""
    prefix, colon, name = (part.strip() for part in written.rpartition(":"))
    sections = {each: section for each, section in _NAMED.items() if name in (tree.get(section) or ())}
    near = nearest(prefix, sections) if colon else next(iter(sections), "")
    if near:
        yield f"{near}:{name}"


def _spans(written: str) -> Iterator[str]:
    if written in _TURNS:
        yield _TURNS[written]
    if written.removesuffix("%") != written:
        yield "".join(written.split())
    if re.fullmatch(f"(?:{_SPAN.pattern})+", written):
        yield "".join(f"{hit[1]}{hit[2][0]}" for hit in _SPAN.finditer(written))


def _moments(written: str) -> Iterator[str]:
    """Times of day, days of the week and dates, as people write them."""
    if hit := re.fullmatch(r"(\d):(\d\d)", written):
        yield f"0{hit[1]}:{hit[2]}"
    short = re.sub(r"\s*(?:\.\.+|–|to)\s*", "-", written.lower())
    yield re.sub(rf"({'|'.join(DAY_NAMES)})[a-z]+", r"\1", short)
    if hit := re.fullmatch(r"(\d\d?)\.\s?(\d\d?)\.\s?(\d{4})", written):
        yield f"{hit[3]}-{int(hit[2]):02}-{int(hit[1]):02}"
    if hit := re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)(?:[T ]+(\d\d?):(\d\d)(?::\d\d)?Z?)?", written):
        day = f"{hit[1]}-{int(hit[2]):02}-{int(hit[3]):02}"
        if hit[4]:
            yield f"{day}T{int(hit[4]):02}:{hit[5]}"
        yield day


@cache
def _known_zones() -> Mapping[str, str]:
    return {zone.lower(): zone for zone in sorted(available_timezones())}


def _zones(written: str) -> Iterator[str]:
    word = written.lower().replace(" ", "_")
    known = _known_zones()
    yield from (zone for low, zone in known.items() if low == word or low.rpartition("/")[2] == word)
    near = nearest(word, known)
    if near:
        yield known[near]
