"""Uvicorn's HTTP protocol within bounds.

Uvicorn bounds how long an idle connection is kept, and nothing else that a stranger can do before a request
is complete: the first byte may never come, the head may grow for ever, the body may trickle. Its own protocol
is kept, and what is missing is added here.
"""

import asyncio
import json
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ladder.serving.connections import ENDED, TICK, Connections
from shared.http.problems import MEDIA_TYPE, Problem

_DRAINED_SECONDS: Final = 5.0  # for the rest of a body that nobody wants, so that its sender hears the answer
_DRAINED_BYTES: Final = 16 * 1024 * 1024
_STALLED_SECONDS: Final = 30.0  # without anything of an answer being read
_LAST_SECONDS: Final = (
    2.0  # after a refusal, for the sender to read it; what comes meanwhile is thrown away, up to a limit
)
_LAST_BYTES: Final = 1024 * 1024
_PIPELINED: Final = 8  # requests that may wait for the answer to one before them


class _NotPossibleError(Exception):
    """Raised in the parser's callbacks to stop it; the connection holds the answer."""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol within bounds. `connections` is shared by all of a listener."""

    def __init__(self, *, connections: Connections, **rest: Any) -> None:
        super().__init__(**rest)
        self._all: Final = connections
        self._bounds: Final = connections.bounds
        self.address = ""  # '' where it counts for none: a proxy's, or a socket without addresses
        self.made_at = self._since = self.loop.time()
        self._answered = False  # something was, before
        self._head_since: float | None = None
        self._head_bytes = 0
        self._in_body = False
        self._body_bytes = 0
        self._body_waited = 0.0
        self._between = 0  # bytes since the last of a body: sizes of chunks, trailers
        self._stalled_since: float | None = None
        self._leaving_since: float | None = None
        self._refusal: Problem | None = None

    # What the registry asks

    @property
    def may_leave(self) -> bool:
        """Whether nothing of ours is under way: it waits for what the client sends or reads."""
        return not self._answering or self._in_body or self._stalled_since is not None

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def break_off(self) -> None:
        """End it at once, whatever was not sent yet."""
        self._leaving_since = self._leaving_since or self.loop.time()
        self.transport.abort()

    def overdue(self, now: float) -> str:
        """End it if its time is over; why, '' where it may go on."""
        if self._leaving_since is None and self.transport.is_closing():
            self._leaving_since = now  # closed, and not all was read yet
        if self._leaving_since is not None:
            limit = _LAST_SECONDS if self._refusal is not None else _STALLED_SECONDS
            return self._broken_off("unread") if now - self._leaving_since > limit else ""
        if self._stalled_since is not None and now - self._stalled_since > _STALLED_SECONDS:
            return self._broken_off("unread")
        if self._head_since is not None:
            return self._slow_head() if now - self._head_since > self._bounds.head_seconds else ""
        return self._waited_for_body() if self._answering else self._rested(now)

    def _rested(self, now: float) -> str:
        """Nothing is under way: it waits for the next request, or for the rest of an unwanted body."""
        rest = now - self._since
        if self._in_body:
            return self._broken_off("undrained") if rest > _DRAINED_SECONDS else ""
        bounds = self._bounds
        if rest <= (bounds.keep_alive_seconds + TICK if self._answered else bounds.head_seconds):
            return ""
        self.transport.close()
        return "idle" if self._answered else "silent"

    def _broken_off(self, why: str) -> str:
        self.break_off()
        return why

    def _slow_head(self) -> str:
        seconds = self._bounds.head_seconds
        title = "The head of the request took too long"
        self._refuse(Problem(408, "head-too-slow", title, f"more than {seconds:g} seconds"))
        return "slow-head"

    def _waited_for_body(self) -> str:
        """Only the time counts in which the client could have sent something and did not."""
        if not self._in_body or self.flow.read_paused or self.cycle.waiting_for_100_continue:
            return ""
        self._body_waited += TICK
        if self._body_waited <= self._bounds.body_seconds + self._body_bytes / self._bounds.body_rate:
            return ""
        title = "The body of the request took too long"
        self._refuse(Problem(408, "body-too-slow", title, f"{self._body_bytes} bytes came"))
        return "slow-body"

    # The protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self._all.party(self.client[0] if self.client else "")
        if not self._all.admit(self, self.loop.time()):
            title = "Too many connections"
            self._refuse(Problem(503, "too-many-connections", title, headers={"retry-after": "2"}))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._all.gone(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = None

    def data_received(self, data: bytes) -> None:
        if self._leaving_since is not None:
            self._drain(len(data))
        elif self._in_body:
            self._read_body(data)
        else:
            self._read_head(data)

    def _read_head(self, data: bytes) -> None:
        room = self._bounds.header_bytes - self._head_bytes
        self._head_bytes += len(data)
        if len(data) <= room:
            super().data_received(data)
            return
        super().data_received(data[:room])
        if self._leaving_since is not None or self.parser is None:
            return
        if self._in_body or self._head_bytes == 0:  # the head ended within its bound
            self.data_received(data[room:])
            return
        ENDED.labels("large-head").inc()
        self._refuse(
            Problem(
                431,
                "header-too-large",
                "The head of the request is too large",
                f"more than {self._bounds.header_bytes} bytes",
            )
        )

    def _read_body(self, data: bytes) -> None:
        self._between += len(data)
        super().data_received(data)
        if self._between > self._bounds.header_bytes and self._in_body:
            ENDED.labels("empty-body").inc()
            self._refuse(Problem(400, "bad-request", "The body is nothing but its framing"))

    def _drain(self, size: int) -> None:
        self._body_bytes += size
        if self._body_bytes > _LAST_BYTES:
            self.break_off()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = self.loop.time()
        self.scope["extensions"] = {"ladder.passed": self._passed}  # type: ignore[dict-item]
        if len(self.pipeline) >= _PIPELINED:
            self._refusal = Problem(400, "bad-request", "Too many requests wait for the answer to another")
            raise _NotPossibleError

    def on_headers_complete(self) -> None:
        if len(self.headers) > self._bounds.header_lines:
            ENDED.labels("large-head").inc()
            detail = f"more than {self._bounds.header_lines} header lines"
            self._refusal = Problem(431, "header-too-large", "The head of the request is too large", detail)
            raise _NotPossibleError
        self._head_since, self._head_bytes = None, 0
        self._in_body, self._body_bytes, self._body_waited, self._between = True, 0, 0.0, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._between = 0
        self._body_bytes += len(body)
        if self.cycle.response_complete and self._body_bytes > _DRAINED_BYTES:
            self.break_off()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._since = False, self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answered, self._since = True, self.loop.time()
        super().on_response_complete()

    def _passed(self) -> None:
        self._all.keep(self)

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when the parser has stopped."""
        self._refuse(self._refusal or Problem(400, "bad-request", "This is not an HTTP request", msg))

    def _refuse(self, problem: Problem) -> None:
        """Answer with this and read no more; if an answer is under way, just end."""
        self._refusal, self._leaving_since = problem, self.loop.time()
        self._unset_keepalive_if_required()
        if self._answering:
            if self.cycle.response_started or not self._in_body or self.pipeline:
                self.break_off()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self._body_bytes = 0
        self.transport.write(_written(problem))
        if self.transport.can_write_eof():
            self.transport.write_eof()


def _written(problem: Problem) -> bytes:
    body = json.dumps(problem.body()).encode()
    headers = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        **problem.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[problem.status] + lines.encode() + b"\r\n" + body
