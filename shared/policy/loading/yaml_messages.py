"""What the YAML parser complains of, in words for whoever wrote the file."""

import re
from collections.abc import Sequence
from typing import Final

_COMPLAINTS: Final[Sequence[tuple[str, str, str]]] = (
    # (a pattern of ruamel's complaint, what was found, what was expected)
    (r"character '\\t'", "a tab", "YAML: indent with spaces"),
    (
        r"expected <block end>, but found '(?:<block mapping start>|<block sequence start>|-|\?|:)'",
        "a line that is indented unlike those it belongs to",
        "YAML: everything of one mapping or list begins in the same column",
    ),
    (
        r"expected <block end>",
        "more text behind a value that has ended",
        "YAML: quotes around the whole of it, other quotes inside: \"tier == 'gold'\"",
    ),
    (
        r"mapping values are not allowed",
        "a second ': ' on the line, or a line that is indented too far",
        "YAML: quotes around text that holds ': ', the same column for all keys of a mapping",
    ),
    (
        r"but (?:got|found) '?<stream end>",
        "the end of the file inside {{…}} or […]",
        "YAML: brackets that close",
    ),
    (
        r"expected ',' or '(.)', but got (.+)",
        "{1} where {{…}} or […] goes on",
        "YAML: ',' or '{0}', and quotes around text that holds any of ,:[]{{}}",
    ),
    (r"unexpected end of stream", "the end of the file inside quotes", "YAML: quotes that close"),
    (r"character '(.)' that cannot start", "{0!r} where a value begins", "YAML: quotes around such text"),
    (r"could not find expected ':'", "a line without ': '", "YAML: KEY: VALUE"),
    (
        r"undefined alias",
        "an undefined alias: a word behind *",
        "YAML: quotes around text that begins with *",
    ),
    (
        r"expected '<document start>'",
        "more text behind the end of the bundle, or a line that begins with %",
        "YAML: one document, quotes around text that begins with %",
    ),
)


def in_words(problem: str) -> tuple[str, str]:
    """What was found and what was expected; the parser's own words for what is not known here."""
    for pattern, found, expected in _COMPLAINTS:
        hit = re.search(pattern, problem)
        if hit:
            return found.format(*hit.groups()), expected.format(*hit.groups())
    return problem.removeprefix("found "), "YAML"
