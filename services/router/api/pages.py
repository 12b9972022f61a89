"""Pages for people who follow a link: self-contained HTML that runs nothing and loads nothing."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"
    ),
}
_STYLE: Final = """
body{font:18px/1.5 system-ui,sans-serif;max-width:32rem;margin:0 auto;padding:1.5rem 1rem;color:#1b1f24;
background:#fff;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0 0 1rem}
dt{color:#57606a} dd{margin:0}
label{display:block;margin:0 0 1rem} label.rating{display:inline-block;margin:0 1rem 1rem 0}
textarea{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin-top:.25rem}
h2{font-size:1.1rem;margin:1.5rem 0 .5rem} form{margin:0 0 .75rem} summary{cursor:pointer;margin:0 0 .5rem}
div.text{white-space:pre-wrap;max-height:16rem;overflow:auto;margin:0 0 1rem}
ul{padding:0;list-style:none} li{margin:0 0 .5rem} a{color:#0a58ca}
fieldset{border:0;padding:0;margin:0} legend{padding:0}
button{font:inherit;font-weight:600;width:100%;padding:.9rem;border:0;border-radius:.5rem;
background:#0a6b3c;color:#fff;cursor:pointer}
button.second{background:#e8ebee;color:#1b1f24}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3} dt{color:#9da7b3} a{color:#6cb6ff}
button.second{background:#30363d;color:#e6edf3}
textarea{background:#161b22;color:inherit;border:1px solid #57606a}}
"""


def page(title: str, text: str, more: str = "", status: int = 200) -> HTMLResponse:
    """A page that needs nothing but itself. `more` is HTML; everything else is escaped."""
    body = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{escape(title)} – Ladder</title>'
        f"<style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>{f'<p>{escape(text)}</p>' if text else ''}{more}</html>"
    )
    return HTMLResponse(body, status, headers=_HEADERS)


def broken() -> HTMLResponse:
    """What somebody sees whose link is none."""
    text = "This link is broken or has expired. The incident is still there: use the newest message about it."
    return page("Not a valid link", text, status=404)


def form(button: str, fields: str = "", *, to: str = "", second: bool = False) -> str:
    """A form that posts to the link itself, or `to` another one beside it; `fields` is HTML."""
    action = f' action="{escape(to)}"' if to else ""
    sort = ' class="second"' if second else ""
    return f'<form method="post"{action}>{fields}<button type="submit"{sort}>{escape(button)}</button></form>'


def rows(facts: Iterable[tuple[str, str]]) -> str:
    """Labelled lines, those that say something. HTML."""
    made = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    return f"<dl>{made}</dl>" if made else ""


def whole(text: str) -> str:
    """A text of several lines as it was written. HTML."""
    return f'<div class="text">{escape(text.strip())}</div>' if text.strip() else ""


def links(addresses: Mapping[str, str]) -> str:
    """Where else to look, by name; each is an address of the web (`shared.events.evidence`). HTML."""
    made = "".join(
        f'<li><a href="{escape(href)}" rel="noopener noreferrer">{escape(name)}</a></li>'
        for name, href in addresses.items()
    )
    return f"<ul>{made}</ul>" if made else ""
