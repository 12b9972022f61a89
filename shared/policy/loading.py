"""Loading a bundle from its files, with every error at once, each with file, line and column."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from shared.policy import references, trial
from shared.policy.errors import Finding, PolicyErrors, shown
from shared.policy.model import Bundle
from shared.policy.shape import Shaped, shape
from shared.policy.source import Source, read


def load(path: FilePath) -> Bundle:
    """The bundle of a file, or of a folder's files merged by section.

    Shape, names and expressions are checked. Raises PolicyErrors. Blocks for up to a second with a large
    bundle: call it in a thread.
    """
    source = read(path)
    if source.errors and not source.tree:
        raise PolicyErrors(source.errors)
    shaped, findings = shape(source.tree)
    if shaped is not None:
        findings += [_moved(each, shaped) for each in _checks(shaped, source)]
    told = {error.path for error in source.errors}
    errors = source.errors + [each for each in map(source.error, findings) if each.path not in told]
    if errors or shaped is None:
        raise PolicyErrors(list(dict.fromkeys(errors)))
    return shaped.bundle


def _checks(shaped: Shaped, source: Source) -> Iterator[Finding]:
    yield from references.References(shaped.bundle, source.tree).findings()
    yield from trial.findings(shaped.bundle)
    yield from _templates(shaped.bundle)
    last = len(shaped.bundle.routes) - 1
    if shaped.whole and shaped.bundle.routes[last].when.strip() != "true":
        expected = "a last route that matches everything: one without `when`"
        yield Finding(("routes", last, "when"), shown(shaped.bundle.routes[last].when), expected)


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


def _moved(finding: Finding, shaped: Shaped) -> Finding:
    """With the path as the files have it, where entries were left out."""
    path = shaped.original(finding.path)
    return Finding(
        path, finding.found, finding.expected, finding.hint, finding.at_key, finding.line, finding.column
    )
