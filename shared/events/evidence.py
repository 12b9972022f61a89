"""What an event brought along for whoever looks into it: its links, and those of its labels that matter.

Labels are for machines first: a fingerprint tells a person nothing. Left out are names and values that only
tell one series from another, and what the message says anyway; where the problem is comes first.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from shared.events import Link

MOST_LABELS: Final = 12
MOST_LINKS: Final = 10
_LONGEST_LINK: Final = 1_000
_LONGEST_NAME: Final = 60
_LONGEST_VALUE: Final = 120
_NOISE: Final = re.compile(
    r"__.*|.*(fingerprint|checksum|hash|digest|uid|uuid)|(.*_)?replica|prometheus(_.*)?|receiver|monitor",
    re.IGNORECASE,
)
_OPAQUE: Final = re.compile(
    r"(sha\d+:)?[0-9a-f]{16,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
_PLACES: Final = """
    alertname environment env stage region zone cluster datacenter namespace deployment statefulset app
    application host hostname node instance pod container device mountpoint job queue topic database
"""
_WHERE: Final = {name: place for place, name in enumerate(_PLACES.split())}


def labels(of: Mapping[str, str], said: Collection[str] = ()) -> dict[str, str]:
    """Those that matter, at most `MOST_LABELS`, cut to one line. `said`: what stands there anyway."""
    shown = {text.casefold() for text in said if text}
    kept = {
        name: value
        for name, value in of.items()
        if value.strip()
        and value.casefold() not in shown
        and not _NOISE.fullmatch(name)
        and not _OPAQUE.fullmatch(value)
    }
    first = sorted(kept, key=lambda name: (_WHERE.get(name.casefold(), len(_WHERE)), name))
    return {_short(name, _LONGEST_NAME): _short(kept[name], _LONGEST_VALUE) for name in first[:MOST_LABELS]}


def links(of: Iterable[Link], taken: Collection[str] = ()) -> dict[str, str]:
    """Address by name, at most `MOST_LINKS`: only what a browser opens. No name is one of `taken`."""
    found: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    for href, name in _usable(of):
        if href in found.values() or len(found) == MOST_LINKS:
            continue
        free = next(each for each in _numbered(name) if each.casefold() not in used)
        used.add(free.casefold())
        found[free] = href
    return found


def _usable(of: Iterable[Link]) -> Iterator[tuple[str, str]]:
    for link in of:
        try:
            place = urlsplit(link.href)
        except ValueError:
            continue
        plain = link.href.isprintable() and " " not in link.href and len(link.href) <= _LONGEST_LINK
        if place.scheme.lower() in ("http", "https") and place.hostname and plain:
            yield link.href, _named(link, place.hostname)


def _named(link: Link, host: str) -> str:
    """`runbook_url` is the Runbook; a link without a text is called as its host, a picture is one."""
    text = re.sub(r"[_ -]*ur[il]$", "", " ".join(link.text.split()), flags=re.IGNORECASE)
    if not text or "://" in text:
        return f"Picture ({host})" if link.image else host
    text = text.replace("_", " ")
    return _short(text[:1].upper() + text[1:], _LONGEST_NAME)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1


def _short(text: str, longest: int) -> str:
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"
