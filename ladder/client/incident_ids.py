"""Which incident is meant: a whole id, the start of one, `latest`, or a dedup key."""

from typing import Final
from uuid import UUID

from ladder.client.connection import Connection, UsageError
from shared.json_object import JsonObject

LATEST: Final = "latest"
SEARCHED: Final = 5000
SHOWN: Final = 8  # characters of an id in lists: enough to be typed back


def short(incident_id: str) -> str:
    """The beginning of an id, as lists show it."""
    return incident_id[:SHOWN]


def resolve_id(connection: Connection, said: str) -> str:
    """The full id. Raises UsageError if there is none, or more than one."""
    if said == LATEST:
        newest = next(connection.incidents([], 1), None)
        if newest is None:
            raise UsageError("There is no incident yet.")
        return str(newest["id"])
    if _is_whole(said):
        return said
    found = _starting_with(connection, said) or list(connection.incidents([("dedup_key", said)], 1))
    if not found:
        raise UsageError(f"No incident starts with {said!r}, and none has it as its dedup key.")
    if len(found) > 1:
        choices = ", ".join(f"{incident['id']} ({incident['title']})" for incident in found[:5])
        raise UsageError(f"{said!r} is the start of several incidents: {choices}.")
    return str(found[0]["id"])


def _is_whole(said: str) -> bool:
    try:
        UUID(said)
    except ValueError:
        return False
    return True


def _starting_with(connection: Connection, said: str) -> list[JsonObject]:
    """Among the newest: people take ids from a list they have just seen."""
    if not set(said.lower()) <= set("0123456789abcdef-"):
        return []
    newest = connection.incidents([], SEARCHED)
    return [incident for incident in newest if str(incident["id"]).startswith(said.lower())]
