"""Everything that can be said of a bundle's files: what keeps it from loading, and what it will never do."""

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Final

from shared.policy.checks import catalogue
from shared.policy.checks.installation import NOWHERE, Installation
from shared.policy.errors import Location, PolicyErrors, as_written, located
from shared.policy.loading.load import LoadResult, try_load
from shared.policy.loading.source import read

_PLACED: Final = 1024 * 1024  # JSON beyond that is a program's: to read it again for its places takes seconds


def check(path: FilePath, installation: Installation = NOWHERE) -> LoadResult:
    """What `try_load` finds, and everything else that can be said: also what will not work although it loads.

    Errors among those stop nobody from using the bundle, but whoever puts it in force should mend them first.
    Blocks for up to five seconds with a large bundle.
    """
    return with_checks(try_load(path), path, installation)


def with_checks(looked: LoadResult, path: FilePath, installation: Installation = NOWHERE) -> LoadResult:
    """With everything else that can be said of what was loaded from this path."""
    if looked.bundle is None:
        return looked
    found = list(catalogue.findings(looked.bundle, installation))
    source = looked.source
    if found and source is None and path.stat().st_size <= _PLACED:
        source = read(path)
    if source is None:
        told = [located(each, Location(str(path), 0, 0)) for each in found]
    else:
        told = [source.error(replace(each, path=as_written(each.path, source.tree))) for each in found]
    findings = PolicyErrors(list(dict.fromkeys([*looked.findings, *told]))).errors
    return replace(looked, findings=findings, source=source)
