"""Our own HTML, pages and mails: Jinja templates in files beside the code that fills them.

A template is named by its package and file, `services.router.api.links/incident.html`. Whatever is put into
one is escaped, and a name that it does not find is an error. Pages extend `page.html` and hold the one
stylesheet: nothing is run, nothing is loaded from anywhere.

The policy's templates are somebody else's programs: see `shared.policy.templates`.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined


def _load(name: str) -> tuple[str, str, Callable[[], bool]]:
    package, _, file = name.rpartition("/")
    found = files(package) / file
    return found.read_text("utf-8"), str(found), lambda: True


_STYLESHEET: Final = (files("shared.html") / "page.css").read_text("utf-8")
_environment: Final = Environment(
    loader=FunctionLoader(_load),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals["stylesheet"] = _STYLESHEET


def rendered(template: str, **names: Any) -> str:
    """The template with these names in it."""
    return _environment.get_template(template).render(names)


def page_headers(*, forms: bool = False, kept: bool = False) -> Mapping[str, str]:
    """What a browser is told of a page. `forms`: it posts to this address; `kept`: a cache may have it."""
    style = base64.b64encode(hashlib.sha256(_STYLESHEET.encode()).digest()).decode()
    posting = "'self'" if forms else "'none'"
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{style}'; form-action {posting}; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    return headers if kept else headers | {"Cache-Control": "no-store"}
