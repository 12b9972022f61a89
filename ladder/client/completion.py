"""Shell completion: ids and names that this Ladder knows, if it answers within two seconds.

A shell evaluates what it is offered, and strangers write titles: only letters, digits and harmless marks of a
title are shown, and only ids and names made of these are offered.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import typer

from shared.json_object import JsonObject

Offered = list[tuple[str, str]]

_SECONDS: Final = 2.0
_LOOKED_AT: Final = 200  # incidents
_SHOWN_ID: Final = 8
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def incident(ctx: typer.Context, incomplete: str) -> Offered:
    """Open incidents with their titles, newest first, and `latest`."""
    is_open = [("status", "triggered"), ("status", "acknowledged")]
    found = _items(ctx, "/v1/incidents", [*is_open, ("limit", str(_LOOKED_AT))])
    whole = len(incomplete) > _SHOWN_ID
    ids = ((str(each["id"]) if whole else str(each["id"])[:_SHOWN_ID], str(each["title"])) for each in found)
    return _beginning(incomplete, [("latest", "the newest incident"), *ids])


def customer(ctx: typer.Context, incomplete: str) -> Offered:
    """Customers by the beginning of their ids or names."""
    found = _items(ctx, "/v1/customers", [("q", incomplete), ("limit", "50")])
    return _beginning(incomplete, ((str(each["id"]), str(each["name"])) for each in found))


def schedule(ctx: typer.Context, incomplete: str) -> Offered:
    """Schedules of the policy in force, with whoever is on call."""
    found = _items(ctx, "/v1/oncall", [])
    on_call = ((str(each["schedule"]), str(each.get("user") or "nobody")) for each in found)
    return _beginning(incomplete, on_call)


def user(ctx: typer.Context, incomplete: str) -> Offered:
    """Users who are on call now or next, and those who have an incident."""
    on_call = _items(ctx, "/v1/oncall", [])
    named = [str(one.get("user") or "") for each in on_call for one in (each, each.get("next") or {})]
    return _beginning(incomplete, ((name, "") for name in [*named, *_seen(ctx, "assignee")]))


def seen_in_incidents(field: str) -> Callable[[typer.Context, str], Offered]:
    """Values of this field in recent incidents: policies, services, levels."""

    def offered(ctx: typer.Context, incomplete: str) -> Offered:
        return _beginning(incomplete, ((name, "") for name in _seen(ctx, field)))

    return offered


def listed(path: str, shown: str) -> Callable[[typer.Context, str], Offered]:
    """The short ids of such a list, each with the value of this field."""

    def offered(ctx: typer.Context, incomplete: str) -> Offered:
        found = _items(ctx, path, [])
        return _beginning(incomplete, ((str(each["id"])[:_SHOWN_ID], str(each[shown])) for each in found))

    return offered


def _seen(ctx: typer.Context, field: str) -> Iterator[str]:
    for each in _items(ctx, "/v1/incidents", [("limit", str(_LOOKED_AT))]):
        yield str(each.get(field) or "")


def _items(ctx: typer.Context, path: str, params: list[tuple[str, str]]) -> list[JsonObject]:
    """A list from the API; empty if it fails: nobody who presses Tab wants an error."""
    try:
        from ladder.client.connection import Connection, Remote

        given = ctx.params
        remote = Remote.of(str(given.get("url") or ""), str(given.get("api_key") or ""))
        with Connection(remote, timeout=_SECONDS) as connection:
            items: list[JsonObject] = connection.get(path, params)["items"]
            return items
    except Exception:  # noqa: BLE001 - whatever it is
        return []


def _beginning(incomplete: str, found: Iterable[tuple[str, str]]) -> Offered:
    offered = {name: _harmless(shown) for name, shown in found if _NAME.fullmatch(name)}
    return [(name, shown) for name, shown in offered.items() if name.startswith(incomplete)]


def _harmless(text: str) -> str:
    return " ".join("".join(c if c.isalnum() or c in "-_.,+/" else " " for c in text).split())
