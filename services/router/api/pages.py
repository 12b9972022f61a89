"""Pages for people who follow a link: self-contained HTML that runs nothing and loads nothing."""

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
fieldset{border:0;padding:0;margin:0} legend{padding:0}
button{font:inherit;font-weight:600;width:100%;padding:.9rem;border:0;border-radius:.5rem;
background:#0a6b3c;color:#fff;cursor:pointer}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3} dt{color:#9da7b3}
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


def form(button: str, fields: str = "") -> str:
    """A form that posts to the link itself; `fields` is HTML."""
    return f'<form method="post">{fields}<button type="submit">{escape(button)}</button></form>'
