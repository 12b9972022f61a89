"""What a command could not do: the text for a person, the problem for a program, and the exit status.

NotPossibleError        it cannot be done like this: settings, files, arguments (exit status 2)
├── NewerSchemaError    ladder migrate, up: the schema asks for newer code than this (3)
└── ClientError         ladder.client.connection has its kinds: refused (1), usage (2), nobody answers (3)
"""

from typing import ClassVar, Final

from shared.json_object import JsonObject

PROBLEM: Final = "urn:ladder:problem:"


class NotPossibleError(Exception):
    """It cannot be done like this; the text says why and what to do, in a sentence (or one a line)."""

    exit_code: int = 2
    kind: ClassVar[str] = "not-possible-here"
    title: ClassVar[str] = "It cannot be done like this"

    def problem(self) -> JsonObject:
        """As a problem document (RFC 9457); `status` is there only where a server answered."""
        return {"type": PROBLEM + self.kind, "title": self.title, "detail": str(self)}


class NewerSchemaError(NotPossibleError):
    """A newer release has been here, and this one must not run on what it left."""

    exit_code: int = 3
    kind: ClassVar[str] = "newer-schema"
    title: ClassVar[str] = "The schema asks for a newer release"
