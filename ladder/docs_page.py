"""The page at /docs: every operation, out of the OpenAPI document. No script, nothing from elsewhere."""

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
details{border:1px solid #d0d7de;border-radius:6px;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer} code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f6f8fa;padding:.6rem;overflow:auto}
b.method{display:inline-block;min-width:4.2rem;font-family:ui-monospace,monospace}
td,th{text-align:left;vertical-align:top;padding:.1rem .8rem .1rem 0}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}}
"""


def render(document: Mapping[str, Any]) -> str:
    """The HTML page of one OpenAPI document."""
    title = html.escape(document["info"]["title"])
    body = "\n".join(_sections(document))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<h1>{title}</h1><p>The same for machines: <a href="openapi.json">openapi.json</a>. '
        f"Keys go in <code>Authorization: Bearer KEY</code>.</p>{body}</html>"
    )


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            if isinstance(operation, Mapping) and "responses" in operation:
                tag = (operation.get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(method, path, operation))
    for tag, rendered in by_tag.items():
        yield f"<h2>{html.escape(tag)}</h2>{''.join(rendered)}"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    summary = html.escape(operation.get("summary", ""))
    description = html.escape(operation.get("description", ""))
    parts = [f"<p>{description}</p>" if description else "", _parameters(operation), _body(operation)]
    answers = "".join(
        f"<tr><th>{html.escape(str(status))}<td>{html.escape(answer.get('description', ''))}"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<details><summary><b class="method">{method.upper()}</b> <code>{html.escape(path)}</code> {summary}'
        f"</summary>{''.join(parts)}<h4>Answers</h4><table>{answers}</table></details>"
    )


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th><code>{html.escape(given['name'])}</code><td>{html.escape(given['in'])}"
        f"<td>{'needed' if given.get('required') else ''}<td>{html.escape(given.get('description', ''))}"
        for given in operation.get("parameters", [])
        if "name" in given
    )
    return f"<h4>Parameters</h4><table>{rows}</table>" if rows else ""


def _body(operation: Mapping[str, Any]) -> str:
    kinds = operation.get("requestBody", {}).get("content", {})
    return "".join(
        f"<h4>Body: {html.escape(kind)}</h4><p>{_shape(media.get('schema', {}))}</p>{_examples(media)}"
        for kind, media in kinds.items()
    )


def _shape(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"<code>{html.escape(schema['$ref'].rpartition('/')[2])}</code> (see openapi.json)"
    either = schema.get("oneOf") or schema.get("anyOf")
    if either:
        return " or ".join(_shape(one) for one in either)
    if schema.get("type") == "array":
        return f"a list of {_shape(schema.get('items', {}))}"
    return html.escape(str(schema.get("type", "anything")))


def _examples(media: Mapping[str, Any]) -> str:
    given = [one.get("value") for one in media.get("examples", {}).values()] or [media.get("example")]
    shown = [one if isinstance(one, str) else json.dumps(one, indent=2) for one in given if one is not None]
    return "".join(f"<pre>{html.escape(text)}</pre>" for text in shown)
