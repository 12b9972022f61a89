"""The data folder (`LADDER_DATA_DIR`): one `ladder up` at a time, what it keeps there, and whose it is."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ladder.refusal import NotPossibleError


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Create the folder if it is missing and hold its lock; yields the absolute path.

    The lock belongs to the process, so it is free as soon as the process is gone, however it ended.
    Raises NotPossibleError: not writable, not a folder, or taken by another `ladder up`.
    """
    folder = folder.expanduser().absolute()
    try:
        make(folder)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as err:
        why = "it is not a folder" if isinstance(err, FileExistsError) else err.strerror
        raise NotPossibleError(
            f"The data folder {folder} cannot be used: {why}; set LADDER_DATA_DIR to one that can."
        ) from err
    try:
        _lock(lock, folder)
        yield folder
    finally:
        os.close(lock)


def make(folder: Path) -> None:
    """A folder of Ladder's own that others may pass, whatever the umask: as root the server is another user.

    One that is there stays as it is, and so do those above it.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
        who = f" (process {holder})" if holder else ""
        raise NotPossibleError(
            f"Another `ladder up`{who} is running on the data folder {folder}; "
            "stop it, or set LADDER_DATA_DIR to another folder."
        ) from err
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def keep_secret(place: Path) -> str:
    """The secret kept in this file, made on the first call; readable by its owner only."""
    try:
        kept = place.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        kept = ""
    return kept or _new_secret(place)


def _new_secret(place: Path) -> str:
    made = secrets.token_urlsafe(32)
    draft = place.with_name(place.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)
    return made
