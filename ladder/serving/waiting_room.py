"""The answers of a process that cannot start yet: it is alive, not ready, and waits for something.

Posts are told to try again, as by a router or an intake that has lost its servers.
"""

import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Self

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ladder.serving import listener
from shared.http.problems import MEDIA_TYPE, Problem

_AGAIN: Final = {"Retry-After": "2"}


class WaitingRoom:
    """Answers on these sockets, from the first wait to the end of the block; the sockets stay open."""

    def __init__(self, sockets: Sequence[socket.socket], address: listener.Address) -> None:
        self._sockets = sockets
        self._address = address
        self._stack = AsyncExitStack()
        self._why = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def waits(self, why: str) -> None:
        """It waits for something, for this reason."""
        opened, self._why = bool(self._why), why
        if not opened:
            own = [sock.dup() for sock in self._sockets]  # the web server closes what it is given
            await self._stack.enter_async_context(listener.serving(self, own, self._address))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope["path"])(scope, receive, send)

    def _answer(self, path: str) -> Response:
        if path == "/healthz":
            return JSONResponse({"status": "alive", "reasons": {}})
        if path == "/readyz":
            return JSONResponse({"ready": False, "reasons": {"up": [self._why]}}, 503)
        problem = Problem(503, "starting", "Ladder is starting", f"{self._why}.")
        return JSONResponse(problem.body(), 503, _AGAIN, MEDIA_TYPE)
