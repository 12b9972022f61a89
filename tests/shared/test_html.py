"""Pages and mails are made of templates in files: nothing is put together by hand, everything is escaped."""

import ast
import base64
import hashlib
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from services.router.api.links import pages
from shared import html

ROOT = Path(__file__).parents[2]
NO_PAGE = {"services/notifier/channels/telegram_text.py"}  # the tags of its Bot API, and escaped by its rules
MARKUP = re.compile(
    r"<!doctype|</?(?:html|head|body|h[1-6]|p|div|span|a|ul|li|dl|d[td]|t[rdh]|table|form)\b[ >]"
)


def test_what_somebody_sent_is_text() -> None:
    page = bytes(pages.message("<script>alert(1)</script>", "a & <b>").body).decode()
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in page
    assert "<p>a &amp; &lt;b&gt;</p>" in page


def test_a_name_that_a_template_does_not_find_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        html.rendered("services.router.api.links/link.html", title="A page")


def test_a_browser_may_use_the_stylesheet_of_a_page_and_nothing_else() -> None:
    answer = pages.message("A page", "that says something")
    [style] = re.findall("<style>(.*?)</style>", bytes(answer.body).decode(), re.DOTALL)
    allowed = f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", f"style-src {allowed}"} < set(policy)


def test_no_code_holds_html() -> None:
    """What is put together by hand escapes only what somebody thought of."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("ladder", "services", "shared")
        for path in (ROOT / folder).rglob("*.py")
        if str(path.relative_to(ROOT)) not in NO_PAGE
        if MARKUP.search(text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and MARKUP.search(node.value)
    ]
    assert found == []
