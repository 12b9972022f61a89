"""The page at /docs: every operation, out of the OpenAPI document. No script, nothing from elsewhere."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1.5rem 1rem;color:#1b1f24;
background:#fff;overflow-wrap:anywhere}
h1{margin:0} h2{margin:2.2rem 0 .2rem} h2+p{margin:.2rem 0 .8rem} h4{margin:1rem 0 .2rem}
a{color:#0757b8} nav a{display:inline-block;margin-right:.8rem} .quiet{color:#57606a}
details{border:1px solid #d0d7de;border-radius:6px;margin:.4rem 0;padding:.45rem .8rem}
details[open]>summary{margin-bottom:.6rem} details:target{border-color:#0757b8}
summary{cursor:pointer} summary .quiet{display:block;padding-left:1.1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f6f8fa;padding:.6rem;overflow:auto;overflow-wrap:normal;border-radius:6px}
b.method{display:inline-block;min-width:4rem;font-family:ui-monospace,monospace}
.wide{overflow:auto} table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-top:1px solid #d0d7de66}
th{font-weight:400;white-space:nowrap}
@media(max-width:40rem){th,td{display:inline;padding:0 .6rem 0 0;border:0;white-space:normal}
tr{display:block;border-top:1px solid #d0d7de66;padding:.3rem 0} td:empty{display:none}}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}
a{color:#79b8ff} .quiet{color:#9da7b3} details{border-color:#3d444d}}
"""
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    "X-Frame-Options": "DENY",
}


def render(document: Mapping[str, Any]) -> str:
    """The HTML page of one OpenAPI document."""
    title = _text(document["info"]["title"])
    by_tag = _by_tag(document)
    links = "".join(f'<a href="#{_text(tag)}">{_text(tag)}</a>' for tag in [*by_tag, "shapes"])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style>"
        f'<h1>{title} <span class="quiet">{_text(document["info"].get("version", ""))}</span></h1>'
        '<p>The same for machines: <a href="openapi.json">openapi.json</a>. '
        "Keys go in <code>Authorization: Bearer KEY</code>. "
        "Refusals are <code>application/problem+json</code>.</p>"
        f"<nav>{links}</nav>{''.join(_sections(document, by_tag))}{_shapes(document)}</html>"
    )


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is rendered of each tag, in the order in which the document explains the tags."""
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document.get("tags", ())}
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            if isinstance(operation, Mapping) and "responses" in operation:
                tag = (operation.get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(method, path, operation))
    return by_tag


def _sections(document: Mapping[str, Any], by_tag: Mapping[str, list[str]]) -> Iterator[str]:
    explained = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    for tag, rendered in by_tag.items():
        about = f'<p class="quiet">{_prose(explained[tag])}</p>' if explained.get(tag) else ""
        yield f'<h2 id="{_text(tag)}">{_text(tag)}</h2>{about}{"".join(rendered)}'


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    description = _prose(operation.get("description", ""))
    parts = [f"<p>{description}</p>" if description else "", _parameters(operation), _body(operation)]
    answers = "".join(_answer(status, answer) for status, answer in operation["responses"].items())
    return (
        f'<details><summary><b class="method">{method.upper()}</b> <code>{_text(path)}</code> '
        f'<span class="quiet">{_text(operation.get("summary", ""))}</span></summary>{"".join(parts)}'
        f'<h4>Answers</h4><div class="wide"><table>{answers}</table></div></details>'
    )


def _answer(status: str, answer: Mapping[str, Any]) -> str:
    shapes = {_shape(media["schema"]) for media in answer.get("content", {}).values() if media.get("schema")}
    return (
        f"<tr><th>{_text(status)}<td>{_prose(answer.get('description', ''))}<td>{' or '.join(sorted(shapes))}"
    )


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th><code>{_text(given['name'])}</code><td>{_text(given['in'])}"
        f"<td>{_shape(given.get('schema', {}))}<td>{'needed' if given.get('required') else ''}"
        f"<td>{_prose(given.get('description', ''))}"
        for given in operation.get("parameters", [])
        if "name" in given
    )
    return f'<h4>Parameters</h4><div class="wide"><table>{rows}</table></div>' if rows else ""


def _body(operation: Mapping[str, Any]) -> str:
    kinds = operation.get("requestBody", {}).get("content", {})
    return "".join(
        f"<h4>Body: {_text(kind)}</h4><p>{_shape(media.get('schema', {}))}</p>{_examples(media)}"
        for kind, media in kinds.items()
    )


def _shapes(document: Mapping[str, Any]) -> str:
    schemas = document.get("components", {}).get("schemas", {})
    rendered = "".join(_component(name, schema) for name, schema in sorted(schemas.items()))
    return f'<h2 id="shapes">shapes</h2>{rendered}' if rendered else ""


def _component(name: str, schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = "".join(
        f"<tr><th><code>{_text(field)}</code><td>{_shape(inner)}<td>{'' if field in needed else 'optional'}"
        f"<td>{_prose(inner.get('description', ''))}"
        for field, inner in schema.get("properties", {}).items()
    )
    table = f'<div class="wide"><table>{rows}</table></div>' if rows else f"<p>{_shape(schema)}</p>"
    about = f'<span class="quiet">{_prose(schema.get("description", ""))}</span>'
    examples = _examples(
        {"examples": {str(n): {"value": v} for n, v in enumerate(schema.get("examples", ()))}}
    )
    return (
        f'<details id="{_text(name)}"><summary><code>{_text(name)}</code> {about}</summary>'
        f"{table}{examples}</details>"
    )


def _shape(schema: Mapping[str, Any]) -> str:
    """A schema in a few words; a named one links to its table."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}"><code>{name}</code></a>'
    either = schema.get("oneOf") or schema.get("anyOf")
    if either:
        return " or ".join(_shape(one) for one in either)
    if "enum" in schema:
        return " | ".join(f"<code>{_text(json.dumps(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"a list of {_shape(schema.get('items', {}))}"
    kind = schema.get("format") or schema.get("type") or "anything"
    return _text(" or ".join(kind) if isinstance(kind, list) else str(kind))


def _examples(media: Mapping[str, Any]) -> str:
    given = [one.get("value") for one in media.get("examples", {}).values()] or [media.get("example")]
    shown = [one if isinstance(one, str) else json.dumps(one, indent=2) for one in given if one is not None]
    return "".join(f"<pre>{_text(text)}</pre>" for text in shown)


def _prose(text: str) -> str:
    """With `words in backticks` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))


def _text(value: Any) -> str:
    return html.escape(str(value))
