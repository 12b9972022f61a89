"""The beginning of an id, as people type it."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ladder.client.connection import Connection

_ENOUGH: Final = 5000  # among which the beginning of an id is looked for
_WHOLE: Final = len("6f1c7a52-4f0e-4e0c-9f5e-4b8e4f8f0a11")


def whole_id(connection: "Connection", path: str, asked: str, what: str) -> str:
    """The id in the list at `path` with this beginning; as typed if it is whole, or if none matches.

    Raises UsageError where several match; `what` they are, in the plural.
    """
    from ladder.client.connection import UsageError

    if len(asked) >= _WHOLE:
        return asked
    listed = (str(each["id"]) for each in connection.listed(path, [], _ENOUGH))
    fitting = [each for each in listed if each.startswith(asked)]
    if len(fitting) > 1:
        raise UsageError(f"{len(fitting)} {what} begin with {asked}: give more of the id.")
    return fitting[0] if fitting else asked
