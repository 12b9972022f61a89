"""Pages for people who follow a link: self-contained HTML that runs nothing and loads nothing."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi.responses import HTMLResponse

from services.router.api.links.asked import Listed
from services.router.api.links.customer_answer import Question
from services.router.api.links.incident_page import Shown
from services.router.api.links.offers import LONGEST_NOTE, Button
from shared import html

_HEADERS: Final = html.page_headers(forms=True)


def message(title: str, text: str, status: int = 200) -> HTMLResponse:
    """A page with only a message."""
    return _page("link", title, text, status)


def broken() -> HTMLResponse:
    """The page for a link that is not valid."""
    text = "This link is broken or has expired. The incident is still there: use the newest message about it."
    return message("Not a valid link", text, 404)


def incident(shown: Shown, buttons: Sequence[Button], said: str = "", status: int = 200) -> HTMLResponse:
    """An incident as it is, and what can be done about it. `said`: the result of the last act."""
    names = {"shown": shown, "buttons": buttons, "longest_note": LONGEST_NOTE}
    return _page("incident", shown.title, said or shown.sentence, status, **names)


def listing(title: str, text: str, items: Sequence[Listed], status: int = 200, **more: str) -> HTMLResponse:
    """What somebody is asked for. `more`: `take`, the words of the button for all of them; `following`."""
    return _page("list", title, text, status, items=items, **more)


def question(title: str, text: str, asked: Question) -> HTMLResponse:
    """A customer's question."""
    return _page("question", title, text, 200, question=asked)


def unsubscribe(title: str, text: str, button: str, *, again: bool) -> HTMLResponse:
    """Whether somebody is subscribed, and the one button that changes it."""
    return _page("unsubscribe", title, text, 200, button=button, again=again)


def _page(template: str, title: str, text: str, status: int, **names: Any) -> HTMLResponse:
    made = html.rendered(f"services.router.api.links/{template}.html", title=title, text=text, **names)
    return HTMLResponse(made, status, headers=_HEADERS)
