"""The outermost ASGI layer of every Ladder process: finds hot routes, counts, and turns errors into problems.

Plain ASGI, because it stands before intake's hot path: one dictionary look-up finds the route, one wrapped
`send` learns the status. Whatever is raised inside becomes `application/problem+json` (RFC 9457); a surprise
becomes a 500 that reveals nothing internal, and is logged.
"""

import base64
import json
import time
from collections.abc import Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import telemetry
from shared.auth.failed_attempts import IN_SCOPE, FailedAttempts
from shared.errors.kinds import Kind, kind_of
from shared.http import request_faults
from shared.http.problems import MEDIA_TYPE, Fault, Problem
from shared.security.demo_keys import DEMO_KEYS

log = telemetry.logger(__name__)

REQUESTS: Final = Counter(
    "ladder_http_requests_total", "Requests answered.", ("service", "method", "path", "status")
)
SECONDS: Final = Histogram(
    "ladder_http_request_seconds",
    "From the request's head to the answer's end.",
    ("service", "path"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BODY_LIMIT: Final = 8 * 1024 * 1024  # bytes; a policy bundle is the largest body
_NO_ROUTE: Final = "(none)"
_NO_LIMITS: Final[Mapping[str, int]] = {}
_NO_METHODS: Final[Mapping[str, frozenset[str]]] = {}
# Instead of the HTTP phrase: where it differs between Python releases, or from the word the services use.
_KINDS: Final = {404: "not-found", 413: "too-large", 415: "unsupported-media-type", 422: "invalid-request"}
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Labels: TypeAlias = tuple[str, str, str, str]


def problem_of(err: BaseException) -> Problem:
    """What an exception tells the caller; for a surprise, only that it is Ladder's fault."""
    match err:
        case Problem():
            return err
        case RequestValidationError():
            return Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "invalid-request",
                "The request is not valid",
                faults=[request_faults.fault_of(error) for error in err.errors()],
            )
        case HTTPException():
            return _of_status(err)
        case _ if kind_of(err) in {Kind.AWAY, Kind.MISMATCH}:
            return Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "unavailable",
                "Not possible at the moment",
                "the database cannot be reached",
                headers={"Retry-After": "2"},
            )
        case _:
            return Problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong inside Ladder",
                "It is logged; trying again may help.",
            )


def _of_status(err: HTTPException) -> Problem:
    phrase = HTTPStatus(err.status_code).phrase
    kind = _KINDS.get(err.status_code) or phrase.lower().replace(" ", "-")
    detail = str(err.detail) if err.detail and err.detail != phrase else ""
    return Problem(err.status_code, kind, phrase, detail, headers=err.headers or {})


async def answer(problem: Problem, send: Send) -> None:
    """Send a problem as the whole response."""
    body = json.dumps(problem.body(), ensure_ascii=False).encode()
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **problem.headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


class Edge:
    """Answers the routes of `hot` directly and leaves everything else to `app`.

    `owners` says which service a path template belongs to, for the metrics; `limits` which paths take longer
    bodies than others, in bytes; `others` which methods `app` answers at paths of `hot`; `guesses` counts
    wrong keys by address. Unless only this machine can reach the process (`loopback`), the demo key is
    refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        hot: Sequence[Route],
        owners: Mapping[str, str],
        *,
        loopback: bool,
        limits: Mapping[str, int] = _NO_LIMITS,
        others: Mapping[str, frozenset[str]] = _NO_METHODS,
        guesses: FailedAttempts | None = None,
    ) -> None:
        self.app: Final = app
        self._exact: Final = {route.path: route for route in hot if "{" not in route.path}
        self._patterns: Final = [route for route in hot if "{" in route.path]
        self._owners: Final = owners
        self._loopback: Final = loopback
        self._limits: Final = limits
        self._others: Final = others
        self._guesses: Final = guesses
        self._counters: dict[Labels, Any] = {}
        self._timers: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope[IN_SCOPE] = self._guesses
        began = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._dispatch(scope, receive, watched)
        except ClientDisconnect:
            status = status or 499
        except Exception as err:  # noqa: BLE001 - the last place where it can become an answer
            _note(err, scope)
            if not status:
                await answer(problem_of(err), watched)
        finally:
            self._count(scope, status, time.perf_counter() - began)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._loopback and presents_demo_key(scope):
            raise Problem(
                HTTPStatus.FORBIDDEN, "demo-key", "The demo key is refused on an address that is not loopback"
            )
        route = self._exact.get(scope["path"]) or self._pattern(scope)
        if route is None:
            _refuse_long_body(scope, self._limits.get(scope["path"], BODY_LIMIT))
            await self.app(scope, receive, send)
            return
        scope["ladder.path"] = route.path
        if route.methods and scope["method"] not in route.methods:
            others = self._others.get(route.path, frozenset())
            if scope["method"] in others:  # of another service, under the same path
                await self.app(scope, receive, send)
                return
            allowed = ", ".join(sorted({*route.methods, *others}))
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": allowed})
        await route.app(scope, receive, send)

    def _pattern(self, scope: Scope) -> Route | None:
        for route in self._patterns:
            match, found = route.matches(scope)
            if match is not Match.NONE:
                scope.update(found)
                return route
        return None

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        path = declared_path(scope)
        service = self._owners.get(path, "ladder")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        labels = (service, method, path, str(status))
        counter = self._counters.get(labels)
        if counter is None:
            counter = self._counters[labels] = REQUESTS.labels(*labels)
        counter.inc()
        timer = self._timers.get(path)
        if timer is None:
            timer = self._timers[path] = SECONDS.labels(service, path)
        timer.observe(seconds)


def _refuse_long_body(scope: Scope, limit: int) -> None:
    """Refuse a body by its announced length; the application counts one that comes in chunks."""
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if announced.isdigit() and int(announced[:20]) > limit:
        fault = Fault("body", f"larger than {limit} bytes")
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The body is too large", faults=[fault]
        )


def _note(err: Exception, scope: Scope) -> None:
    status = problem_of(err).status
    if status == HTTPStatus.SERVICE_UNAVAILABLE and not isinstance(err, Problem | HTTPException):
        path = declared_path(scope)  # one line each: in an outage every request ends here
        log.warning(
            "the database is unavailable: request refused",
            action="request_unavailable",
            path=path,
            error=repr(err)[:500],
        )
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(err, Problem):
        log.error("request failed", action="request_failed", path=declared_path(scope), exc_info=err)


def declared_path(scope: MutableMapping[str, Any]) -> str:
    """The path as declared, so that ids in paths do not multiply the metrics."""
    if "ladder.path" in scope:
        return str(scope["ladder.path"])
    context = scope.get("fastapi", {}).get("effective_route_context")  # knows the prefixes of nested routers
    path = getattr(context, "path_format", None) or getattr(scope.get("route"), "path", None)
    return str(path or _NO_ROUTE)


def presents_demo_key(scope: MutableMapping[str, Any]) -> bool:
    """Whether the request carries the key of the public demo, as Bearer or Basic."""
    sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    kind, _, credentials = sent.decode("latin-1").partition(" ")
    if kind.lower() == "basic":
        try:
            credentials = base64.b64decode(credentials).decode().partition(":")[2]
        except ValueError:  # not base64, or not text
            return False
    return credentials.strip() in DEMO_KEYS
