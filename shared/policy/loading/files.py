"""Which files a bundle is read from: one, or those of a folder without what its `.ladderignore` names."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from shared.errors.scarcity import is_scarcity

IGNORED: Final = ".ladderignore"


def files_of(path: Path) -> Sequence[Path] | str:
    """The file, or the folder's in the order of their names; or what stands there instead, in words.

    Raises OSError where `.ladderignore` may be there and cannot be read just now.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        return "neither a file nor a folder" if path.exists() else "no file or folder of this name"
    ignored = _ignored(path)
    found = sorted(
        file
        for pattern in ("*.yaml", "*.yml")
        for file in path.rglob(pattern)
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and ignored.isdisjoint(_upwards(file.relative_to(path)))
    )
    return found or "a folder without *.yaml files"


def _ignored(folder: Path) -> frozenset[str]:
    """What `.ladderignore` names, as paths in the folder. One that is not there leaves nothing out.

    Raises OSError where it may be there and cannot be read just now.
    """
    try:
        lines = (folder / IGNORED).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as err:
        if is_scarcity(err):
            raise
        return frozenset()
    named = (line.strip().strip("/") for line in lines)
    return frozenset(line for line in named if line and not line.startswith("#"))


def _upwards(path: Path) -> Iterator[str]:
    yield path.as_posix()
    yield from (parent.as_posix() for parent in path.parents)
