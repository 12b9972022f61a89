"""`secret:NAME`: what stands in the file NAME of `LADDER_SECRETS_DIR`, read when it is used."""

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PREFIX: Final = "secret:"
_ABSENT: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}
)
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$"
_NAME: Final = re.compile(NAME_PATTERN[1:-1])


def is_secret(text: str) -> bool:
    """Whether this stands for a secret, well named or not."""
    return text.startswith(_PREFIX)


def is_well_named(text: str) -> bool:
    """Whether what stands behind `secret:` can be the name of a file in the folder."""
    return _NAME.fullmatch(text.removeprefix(_PREFIX)) is not None


def named_in(*texts: str | None) -> Iterator[str]:
    """The names of those among the texts that stand for secrets."""
    for text in texts:
        if text and is_secret(text):
            yield text.removeprefix(_PREFIX)


class SecretMissingError(Exception):
    """The secret cannot be read; the text says which and why, never its value."""


class SecretAwayError(SecretMissingError):
    """It cannot be read just now: the system lacks something, or its file is not there.

    `absent`: the file itself is the reason. It may still be mounted or be put right; or its name is wrong.
    """

    def __init__(self, why: str, *, absent: bool) -> None:
        super().__init__(why)
        self.absent = absent


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret folder; None where the operator set none."""

    folder: Path | None

    def revealed(self, text: str) -> str:
        """The text itself, or the secret that it names. Raises SecretMissingError, SecretAwayError."""
        if not text.startswith(_PREFIX):
            return text
        name = text.removeprefix(_PREFIX)
        if self.folder is None:
            raise SecretMissingError(f"secret {name!r}: LADDER_SECRETS_DIR is not set")
        if not _NAME.fullmatch(name):
            raise SecretMissingError(f"secret {name!r} is not a file name")
        try:
            return (self.folder / name).read_text(encoding="utf-8").strip()
        except OSError as err:
            why = f"secret {name!r} cannot be read: {err.strerror or type(err).__name__}"
            raise SecretAwayError(why, absent=err.errno in _ABSENT) from err
        except UnicodeDecodeError as err:
            raise SecretMissingError(f"secret {name!r} is not UTF-8") from err
