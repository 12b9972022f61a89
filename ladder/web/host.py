"""Assembles services into one web application: `ladder up` hosts three of them, `ladder router` one.

Adds what every process has, whatever it hosts: the page at `/`, `/healthz`, `/readyz`, `/metrics`, `/docs`,
`/openapi.json`. Metrics may have an address of their own (`LADDER_METRICS_LISTEN`), and the API's description
may be left out.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import iter_route_contexts
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

import ladder
from ladder.serving import open_files
from ladder.web import docs_page, front_page
from ladder.web.edge import BODY_LIMIT, Edge, declared_path, problem_of
from ladder.web.openapi import complete, parameters
from shared.auth.failed_attempts import FailedAttempts, answer_to
from shared.http.problems import MEDIA_TYPE, Fault, Problem
from shared.json_object import JsonObject
from shared.service import KnownPolicy, Service


class Alive(BaseModel):
    """The process answers; `stuck` when a service makes no progress and a restart would help."""

    status: Literal["alive", "stuck"]
    reasons: dict[str, list[str]]


class Readiness(BaseModel):
    """Whether requests can be sent here; `reasons` says per service why not."""

    ready: bool
    reasons: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a process tells about itself at its ordinary address, besides whether it is alive and ready."""

    metrics: bool = True
    docs: bool = True


_ALL: Final = Shown()
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?")


def unready(services: Sequence[Service]) -> dict[str, list[str]]:
    """Why each service is not ready; empty when all are."""
    reasons = {
        service.name: [why.removeprefix(f"{service.name}: ") for why in service.unready()]
        for service in services
    }
    return {name: why for name, why in reasons.items() if why}


def assemble(
    services: Sequence[Service],
    *,
    loopback: bool,
    shown: Shown = _ALL,
    guesses: FailedAttempts | None = None,
) -> Edge:
    """The application of a process that hosts these services. `loopback`: only this machine can reach it;
    `guesses` counts wrong keys by address.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # their stub is missing
    others = [route for each in services for route in each.routes if not isinstance(route, Route)]
    app = _Application(services, shown, [service.api for service in services], others, loopback=loopback)
    hot = [route for service in services for route in service.routes if isinstance(route, Route)]
    limits = _limits(app)
    beside = _methods(app, {route.path for route in hot})
    return Edge(app, hot, _owners(services), loopback=loopback, limits=limits, others=beside, guesses=guesses)


def describe(edge: Edge) -> None:
    """Build the OpenAPI document now; otherwise the first request with a query would wait for it."""
    if isinstance(edge.app, FastAPI):
        edge.app.openapi()


def measured(services: Sequence[Service]) -> ASGIApp:
    """The application at the metrics' own address: metrics, and whether the process is alive and ready."""
    return _Application(services, Shown(docs=False), (), ())


def _limits(app: FastAPI) -> Mapping[str, int]:
    """Path → the longest body in bytes, for paths that take longer ones than the rest."""
    contexts = iter_route_contexts(app.router.routes)
    longer = ((each.path, getattr(each, "max_body_size", None) or 0) for each in contexts)
    return {path: limit for path, limit in longer if path and limit > BODY_LIMIT}


def _methods(app: FastAPI, paths: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Path → the methods that the application itself answers there; `paths` are those of hot routes."""
    found: dict[str, frozenset[str]] = {}
    for each in iter_route_contexts(app.router.routes):
        if each.path is not None and each.path in paths:
            found[each.path] = found.get(each.path, frozenset()) | frozenset(each.methods or ())
    return found


def _owners(services: Sequence[Service]) -> Mapping[str, str]:
    """Path template → the service it belongs to; every other path is the process's own."""
    owners: dict[str, str] = {}
    for service in services:
        declared = (each.path_format for each in iter_route_contexts(service.api.routes))
        hot = (route.path for route in service.routes if isinstance(route, Route))
        owners |= dict.fromkeys((*filter(None, declared), *hot), service.name)
    return owners


class _Application(FastAPI):
    def __init__(
        self,
        services: Sequence[Service],
        shown: Shown,
        interfaces: Sequence[APIRouter],
        others: Sequence[BaseRoute],
        *,
        loopback: bool = False,
    ) -> None:
        super().__init__(
            title="Ladder",
            version=ladder.__version__,
            openapi_url="/openapi.json" if shown.docs else None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # behind a proxy a redirect would lead to the wrong address
            max_body_size=BODY_LIMIT,
            exception_handlers={
                Problem: _problem,
                RequestValidationError: _problem,
                HTTPException: _problem,
                Exception: _problem,
            },
        )
        self._services = services
        self.router.routes[:0] = others
        for interface in interfaces:
            self.include_router(interface, dependencies=[Depends(_refuse_unknown_parameters)])
        self._shown = shown
        self._loopback = loopback
        if interfaces:
            self._add_front()
        self._add_health()
        if shown.metrics:
            self._add_metrics()
        if shown.docs:
            self._add_docs()

    def openapi(self) -> JsonObject:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi(), self._services)
        return self.openapi_schema

    def _add_health(self) -> None:
        @self.get(
            "/healthz",
            tags=["process"],
            operation_id="get_health",
            summary="Does the process answer and make progress?",
            responses={503: {"model": Alive, "description": "It is stuck; the reasons say how"}},
        )
        async def healthz(response: Response) -> Alive:
            reasons = {service.name: list(why) for service in self._services if (why := service.stuck())}
            response.status_code = 503 if reasons else 200
            return Alive(status="stuck" if reasons else "alive", reasons=reasons)

        @self.get(
            "/readyz",
            tags=["process"],
            operation_id="get_readiness",
            summary="Can requests be sent here?",
            responses={503: {"model": Readiness, "description": "Not yet; the reasons say why"}},
        )
        async def readyz(response: Response) -> Readiness:
            reasons = self._reasons()
            response.status_code = 503 if reasons else 200
            return Readiness(ready=not reasons, reasons=reasons)

    def _reasons(self) -> dict[str, list[str]]:
        """Why requests cannot be sent here; empty when they can."""
        reasons = unready(self._services)
        if short := open_files.shortage():
            reasons["process"] = [short]
        return reasons

    def _add_front(self) -> None:
        @self.get(
            "/",
            tags=["process"],
            operation_id="get_front_page",
            summary="What this is, whether it is well, and where to go: a page, or JSON",
            response_class=HTMLResponse,
            responses={
                200: {"content": {"application/json": {"schema": {"type": "object"}}}},
                503: {
                    "description": "The same where it is not ready: it says why",
                    "content": {
                        "text/html": {"schema": {"type": "string"}},
                        "application/json": {"schema": {"type": "object"}},
                    },
                },
            },
        )
        async def front(request: Request) -> Response:
            return self._front(request)

        @self.head("/", include_in_schema=False)
        async def head(request: Request) -> Response:
            return self._front(request)

    def _front(self, request: Request) -> Response:
        told = front_page.Front(
            services=[service.name for service in self._services],
            reasons=self._reasons(),
            policy=_known_policy(self._services),
            url=_called(request),
            loopback=self._loopback,
            links=self._links(),
        )
        status = 503 if told.reasons else 200
        if front_page.wants_json(request.headers.get("accept", "")):
            return JSONResponse(front_page.as_json(told), status, headers=dict(front_page.HEADERS))
        return HTMLResponse(front_page.render(told), status, headers=dict(front_page.HEADERS))

    def _links(self) -> dict[str, str]:
        docs = {"docs": "/docs", "openapi": "/openapi.json"} if self._shown.docs else {}
        process = {"readiness": "/readyz", "health": "/healthz"}
        return docs | process | ({"metrics": "/metrics"} if self._shown.metrics else {})

    def _add_metrics(self) -> None:
        @self.get(
            "/metrics",
            tags=["process"],
            operation_id="get_metrics",
            summary="Prometheus metrics",
            response_class=_Metrics,
        )
        async def metrics() -> Response:
            open_files.shortage()  # counts them
            return _Metrics(generate_latest())

    def _add_docs(self) -> None:
        page = cache(lambda: docs_page.render(self.openapi()))  # takes some 100 ms: once is enough

        @self.get(
            "/docs",
            tags=["process"],
            operation_id="get_docs",
            summary="This description, to read",
            response_class=HTMLResponse,
        )
        async def docs() -> HTMLResponse:
            return HTMLResponse(page(), headers=dict(docs_page.HEADERS))


def _known_policy(services: Sequence[Service]) -> KnownPolicy | None:
    """The policy in force: the newest that a service knows, preferably with its bundle."""
    known = [policy for service in services if (policy := service.policy()) is not None]
    return max(known, key=lambda one: (one.revision, one.bundle is not None), default=None)


def _called(request: Request) -> str:
    """This address as the reader called it, or the default if that is not safe to show in a command."""
    host = request.headers.get("host", "")
    scheme = request.url.scheme
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else f"{scheme}://127.0.0.1:8080"


class _Metrics(Response):
    media_type = CONTENT_TYPE_LATEST


async def _refuse_unknown_parameters(request: Request) -> None:
    """A misspelled filter must not return everything. Links without a key may carry what mailers add."""
    if not request.query_params:
        return
    known = parameters(request.app.openapi(), declared_path(request.scope), request.method)
    unknown = [] if known is None else sorted(set(request.query_params) - known)
    if unknown and known is not None:
        reason = f"not a parameter of this path; known: {', '.join(sorted(known)) or 'none'}"
        faults = [Fault(f"query:{name}", reason) for name in unknown]
        raise Problem(422, "invalid-request", "The request is not valid", faults=faults)


async def _problem(request: Request, err: Exception) -> JSONResponse:
    problem = answer_to(request.scope, problem_of(err))
    return JSONResponse(problem.body(), problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)
