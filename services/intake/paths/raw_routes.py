"""Routes matched against the path as it was sent: an alias in it may hold `/`, percent-encoded or bare."""

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Scope

_PART: Final = re.compile(r"\{(\w+)\}")


class RawRoute(Route):
    """`{identifier}` matches anything, other parts one segment; values are decoded after matching.

    `verbs`: what `{verb}` may be.
    """

    def __init__(
        self, path: str, endpoint: ASGIApp, *, methods: Sequence[str], verbs: Sequence[str] = ()
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        allowed = "|".join(map(re.escape, verbs)) or "[^/]+"

        def pattern(part: re.Match[str]) -> str:
            name = part[1]
            return f"(?P<{name}>{ {'identifier': '.+', 'verb': allowed}.get(name, '[^/]+') })"

        escaped = re.sub(r"\\([{}])", r"\1", re.escape(path))
        self._raw = re.compile(_PART.sub(pattern, escaped) + "/?")

    def matches(self, scope: Scope) -> tuple[Match, dict[str, Any]]:
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        found = self._raw.fullmatch(raw.partition(b"?")[0].decode("latin-1"))
        if scope["type"] != "http" or found is None:
            return Match.NONE, {}
        parts = {name: unquote(value) for name, value in found.groupdict().items()}
        full = Match.FULL if scope["method"] in (self.methods or ()) else Match.PARTIAL
        return full, {"endpoint": self.endpoint, "path_params": {**scope.get("path_params", {}), **parts}}
