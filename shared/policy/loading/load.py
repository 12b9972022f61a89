"""Loading a bundle from its files, with every error at once, each with file, line and column."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from shared.json_object import JsonObject
from shared.policy.errors import (
    NAMES,
    Finding,
    Location,
    Path,
    PolicyError,
    PolicyErrors,
    as_written,
    shown,
)
from shared.policy.loading import dry_run, references
from shared.policy.loading.source import Source, read, read_plain
from shared.policy.loading.validation import Validated, at, validate
from shared.policy.model.bundle import Bundle
from shared.policy.model.bundle_json import dump_json
from shared.policy.publishing import compression


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a look at a bundle's files found, by its place. Where it does not load, its bundle, if there is
    one, is only good for saying more about it.
    """

    bundle: Bundle | None
    findings: tuple[PolicyError, ...]
    source: Source | None = None  # where everything stands; None: of JSON that has nothing to be found
    loads: bool = True

    @property
    def sound(self) -> Bundle:
        """The bundle; only asked for where it can be used."""
        assert self.bundle is not None
        assert self.loads
        return self.bundle

    @property
    def errors(self) -> list[PolicyError]:
        return [each for each in self.findings if each.severity == "error"]

    @property
    def warnings(self) -> list[PolicyError]:
        return [each for each in self.findings if each.severity == "warning"]


def load(path: FilePath) -> Bundle:
    """The bundle of a file, or of a folder's files merged by section.

    Shape, names and expressions are checked. Raises PolicyErrors. Blocks for up to a second with a large
    bundle: call it in a thread.
    """
    found = try_load(path)
    if not found.loads:
        raise PolicyErrors(found.errors)
    return found.sound


def try_load(path: FilePath) -> LoadResult:
    """The bundle, if its files hold one, and the errors of `load`."""
    read_ = _read(path)
    errors, loads = PolicyErrors(read_.errors).errors, read_.bundle is not None and not read_.errors
    return LoadResult(read_.bundle, errors, read_.source, loads)


@dataclass(frozen=True, slots=True)
class _Read:
    """What the files hold. With errors the bundle, if any, is good for saying more about it only."""

    bundle: Bundle | None
    errors: list[PolicyError] = field(default_factory=list)
    source: Source | None = None


def _read(path: FilePath) -> _Read:
    quick = read_plain(path)
    if quick is not None and (sound := _sound(quick)) is not None:
        return _Read(sound, _too_large(sound, path))
    source = read(path)
    if source.errors and not source.tree:
        return _Read(None, source.errors, source)
    validated = validate(source.tree)
    findings = list(validated.findings)
    if source.complete:
        findings += _secondary_aside(_checks(validated, source.tree), validated.wrong, source.tree)
    else:
        findings = [each for each in findings if len(each.path) > 1 or not each.is_missing]
    told = {error.path for error in source.errors}
    errors = source.errors + [each for each in map(source.error, findings) if each.path not in told]
    whole = source.complete and not source.errors and not validated.findings
    bundle = validated.bundle if whole else None
    return _Read(bundle, list(dict.fromkeys(errors)) or _too_large(validated.bundle, path), source)


def _sound(tree: JsonObject) -> Bundle | None:
    """The bundle; None where anything is wrong, so that it is read again with the places of what is."""
    validated = validate({section: value for section, value in tree.items() if value is not None})
    if validated.findings or any(True for _ in _checks(validated, tree)):
        return None
    return validated.bundle


def _too_large(bundle: Bundle, path: FilePath) -> list[PolicyError]:
    try:
        compression.check(dump_json(bundle))
    except compression.PolicyTooLargeError as err:
        expected = "a policy that intake and notifier can be told of"
        return [PolicyError(Location(str(path), 0, 0), "", str(err), expected)]
    return []


def _checks(validated: Validated, tree: Mapping[str, Any]) -> Iterator[Finding]:
    for each in _checked(validated, tree):
        yield replace(each, path=as_written(each.path, tree))


def _checked(validated: Validated, tree: Mapping[str, Any]) -> Iterator[Finding]:
    bundle = validated.bundle
    for named in references.References(bundle, tree, validated.wrong).findings():
        yield replace(named, code=NAMES)
    yield from dry_run.findings(bundle)
    yield from _templates(bundle)
    last = len(bundle.routes) - 1
    if bundle.routes and bundle.routes[last].when.strip() != "true":
        expected = "a last route that matches everything: one without `when`"
        yield Finding(("routes", last, "when"), shown(bundle.routes[last].when), expected)


def _secondary_aside(
    findings: Iterable[Finding], wrong: Collection[Path], tree: Mapping[str, Any]
) -> Iterator[Finding]:
    """Without what is said of blanks, and of mappings and lists in which something is wrong already."""
    holders = {path[:length] for path in wrong for length in range(len(path) + 1)}
    blanks = {path for path in wrong if not isinstance(at(tree, path), dict)}
    for finding in findings:
        whole = isinstance(at(tree, finding.path), dict | list) and finding.path in holders
        blank = any(finding.path[:length] in blanks for length in range(1, len(finding.path) + 1))
        if not whole and not blank:
            yield finding


def _templates(bundle: Bundle) -> Iterator[Finding]:
    if not bundle.templates:
        return
    from shared.policy.templates import dry_run  # noqa: PLC0415 - only bundles with templates pay for Jinja

    yield from dry_run.findings(bundle)
