"""Loading a bundle from its files, with every error at once, each with file, line and column."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from shared.policy import references, trial
from shared.policy.errors import Finding, Path, PolicyErrors, shown
from shared.policy.model import Bundle
from shared.policy.shape import Shaped, at, shape
from shared.policy.source import Source, read


def load(path: FilePath) -> Bundle:
    """The bundle of a file, or of a folder's files merged by section.

    Shape, names and expressions are checked. Raises PolicyErrors. Blocks for up to a second with a large
    bundle: call it in a thread.
    """
    source = read(path)
    if source.errors and not source.tree:
        raise PolicyErrors(source.errors)
    shaped = shape(source.tree)
    findings = list(shaped.findings)
    if source.complete:
        findings += _secondary_aside(_checks(shaped, source), shaped.wrong, source.tree)
    else:
        findings = [each for each in findings if len(each.path) > 1 or not each.is_missing]
    told = {error.path for error in source.errors}
    errors = source.errors + [each for each in map(source.error, findings) if each.path not in told]
    if errors:
        raise PolicyErrors(list(dict.fromkeys(errors)))
    return shaped.bundle


def _checks(shaped: Shaped, source: Source) -> Iterator[Finding]:
    bundle = shaped.bundle
    yield from references.References(bundle, source.tree, shaped.wrong).findings()
    yield from trial.findings(bundle)
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
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 - only bundles with templates pay for it
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415

    environment = SandboxedEnvironment(autoescape=True)
    for name, template in bundle.templates.items():
        for part in ("title", "body"):
            text: str = getattr(template, part)
            try:
                environment.parse(text)
            except TemplateSyntaxError as err:
                expected = f"a Jinja template: {err.message}"
                yield Finding(("templates", name, part), shown(text), expected, line=err.lineno, column=1)
