"""The page at /docs: every operation of the OpenAPI document. No scripts, nothing from elsewhere."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shared import html

HEADERS: Final = html.page_headers(kept=True)
_CODE: Final = re.compile(r"`([^`]+)`")


def render(document: Mapping[str, Any]) -> str:
    """The HTML page of one OpenAPI document."""
    return html.rendered(
        "ladder.web/docs_page.html",
        about=document["info"],
        explained={tag["name"]: tag.get("description", "") for tag in document.get("tags", ())},
        by_tag=_by_tag(document),
        schemas=sorted(document.get("components", {}).get("schemas", {}).items()),
        shape=_shape,
        shapes=_shapes,
        examples=_examples,
        prose=_CODE.split,  # every second piece is code
    )


def _by_tag(document: Mapping[str, Any]) -> Mapping[str, Sequence[tuple[str, str, Mapping[str, Any]]]]:
    """Method, path and operation of each tag, in the order in which the document explains the tags."""
    by_tag: dict[str, list[tuple[str, str, Mapping[str, Any]]]]
    by_tag = {tag["name"]: [] for tag in document.get("tags", ())}
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            if isinstance(operation, Mapping) and "responses" in operation:
                tag = (operation.get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append((method.upper(), path, operation))
    return by_tag


def _shape(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A schema in a few words, piece by piece: `text`, `code`, or the `name` of a shape with a table."""
    if "$ref" in schema:
        yield "name", schema["$ref"].rpartition("/")[2]
    elif either := schema.get("oneOf") or schema.get("anyOf"):
        yield from _joined(" or ", map(_shape, either))
    elif "enum" in schema:
        yield from _joined(" | ", [[("code", json.dumps(one))] for one in schema["enum"]])
    elif schema.get("type") == "array":
        yield "text", "a list of "
        yield from _shape(schema.get("items", {}))
    else:
        kind = schema.get("format") or schema.get("type") or "anything"
        yield "text", " or ".join(kind) if isinstance(kind, list) else str(kind)


def _shapes(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The shape of an answer's body, or several, one per media type."""
    shapes = {tuple(_shape(media["schema"])) for media in content.values() if media.get("schema")}
    return _joined(" or ", sorted(shapes))


def _joined(word: str, shapes: Iterable[Iterable[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    for number, shape in enumerate(shapes):
        if number:
            yield "text", word
        yield from shape


def _examples(given: Sequence[Any]) -> Iterator[str]:
    """The examples as they would be sent; None is skipped."""
    for one in given:
        if one is not None:
            yield one if isinstance(one, str) else json.dumps(one, indent=2)
