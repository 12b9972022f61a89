"""How a post is accepted: authenticate, read, map, publish, answer; 202 only once the log has acknowledged
it.

The endpoints are plain ASGI because this is the hot path; `openapi/` describes them.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias

from starlette.types import Receive, Scope, Send

from services.intake import metrics
from services.intake.admission.integrations import Admission, Integration, presented, shown_headers
from services.intake.amazon_sns.subscriptions import Subscriptions
from services.intake.formats import Answer, Format, Post, Refused, cloudevents
from services.intake.formats.answers import accepted
from services.intake.formats.sanitize import clean
from services.intake.publisher import Publisher, unavailable
from services.intake.request_body import HungUpError, is_lines
from services.intake.signers import Signers
from shared import telemetry
from shared.auth.failed_attempts import answer_to, passed
from shared.crash import crash_point
from shared.events import IncidentEvent
from shared.http.problems import Fault, Problem
from shared.security.secret_files import Secrets

log = telemetry.logger(__name__)

Headers: TypeAlias = Mapping[bytes, bytes]
_KEY_LENGTH: Final = 255  # of an Idempotency-Key, in bytes
_NAMED: Final = 5  # events of a batch that are named in the log


@dataclass(frozen=True, slots=True)
class Request:
    """What an endpoint sees before the body."""

    headers: Headers
    query: bytes
    path: Mapping[str, str]
    method: str = "POST"
    keep: Callable[[], None] = lambda: None  # keeps the connection when there are too many
    whose: list[str] = field(default_factory=list)  # the integration, once that is known

    def passed(self, integration: Integration) -> None:
        """The key was good: the connection keeps its place."""
        self.whose.append(integration.name)
        self.keep()


class Endpoint:
    """One path that takes posts, as an ASGI application. Subclasses say who may post there and what."""

    def __init__(
        self,
        publisher: Publisher,
        admission: Callable[[], Admission | None],
        clock: Callable[[], datetime],
        secrets: Secrets = Secrets(None),  # noqa: B008 - frozen
        subscriptions: Subscriptions | None = None,
    ) -> None:
        """`admission` gives what is known of the policy now, None if nothing is yet. Without `subscriptions`
        posts of Amazon SNS cannot be verified, and are refused.
        """
        self._publisher = publisher
        self._admission = admission
        self._clock = clock
        self._signers = Signers(secrets, subscriptions)
        self._posts = publisher.posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(
            dict(scope["headers"]),
            scope["query_string"],
            scope.get("path_params", {}),
            scope["method"],
            partial(passed, scope),
        )
        format_of = self.format_of(request)
        try:
            answer = await self.accept(request, receive)
        except Problem as problem:
            whose = request.whose[0] if request.whose else self.addressed(request)
            self._posts.refused(whose, format_of.kind, problem, self._clock())
            problem = _judged(format_of, scope, problem)
            metrics.REFUSED.labels(format_of.kind, problem.kind).inc()
            status, words = format_of.refused(problem)
            await _respond(send, status, words, _kept(problem, status))
        except HungUpError:
            metrics.REFUSED.labels(format_of.kind, "hung-up").inc()
        else:
            await _respond(send, answer.status, answer, {})

    def format_of(self, request: Request) -> Format:
        """The format in which a refusal is worded, as far as it is known before the post is read."""
        raise NotImplementedError

    def addressed(self, request: Request) -> str:
        """The integration that the path names, whoever posts there; '' if it names none."""
        del request
        return ""

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Integration, Format, bytes]:
        """Who posts, in which format, and the body. Raises Problem."""
        raise NotImplementedError

    def admission(self) -> Admission:
        """What is known of the policy. Raises Problem 503 if nothing is."""
        admission = self._admission()
        if admission is None:
            raise unavailable("no-policy", "No policy is known yet; nothing was accepted")
        return admission

    async def accept(self, request: Request, receive: Receive) -> Answer:
        """Accept the post; the answer to it. Raises Problem, HungUpError."""
        admission = self.admission()
        now = self._clock()
        idempotency_key = _idempotency_key(request.headers)
        integration, form, body = await self.admit(admission, request, receive, now)
        signed = await self._signers.check(integration, request.headers, body, now)
        if integration.keyless:
            request.passed(integration)
        if isinstance(signed, Answer):
            return signed
        idempotency_key = idempotency_key or signed
        post = _post(integration, form, request, now, idempotency_key)
        read = form.read(body, post)
        if isinstance(read, Refused):
            raise Problem(422, "invalid-event", "The event cannot be accepted", faults=read.faults)
        transformed = await integration.offload.apply(read, post, loose=form.loose, size=len(body))
        if transformed.faults:
            raise Problem(422, "invalid-event", "The event cannot be accepted", faults=transformed.faults)
        if transformed.ignored:
            metrics.IGNORED.labels(integration.name).inc(transformed.ignored)
            self._posts.ignored(integration.name, transformed.ignored, now)
        events = transformed.events
        if events:
            events = [admission.noted(event) for event in events]
            named_in = "id" if form.kind == "cloudevents" else "Idempotency-Key" if idempotency_key else ""
            if named_in:
                events = self._publisher.accepted_ids.with_hashes(events, transformed.read, named_in)
            await self._publish(integration, events, len(body), now)
            if named_in:
                self._publisher.accepted_ids.remember(events)
            crash_point("intake.published")
            metrics.accepted(integration.name, form.kind).inc(len(events))
            self._posts.accepted(integration.name, len(events), now)
            if telemetry.tells(logging.DEBUG):
                _note(integration, events)
        return accepted(events, transformed.ignored) if transformed.ignored else form.accepted(events)

    async def _publish(
        self, integration: Integration, events: Sequence[IncidentEvent], size: int, now: datetime
    ) -> None:
        """Within the integration's rate. Raises Problem 429, 503, 413."""
        if integration.bucket is None:
            return await self._publisher.publish(events, size)
        wait = integration.bucket.admit(len(events), now)
        if wait is not None:
            raise Problem(
                429,
                "rate-limited",
                "This integration has posted more events than its rate allows; nothing was accepted",
                headers={"retry-after": str(max(1, math.ceil(wait.total_seconds())))},
            )
        try:
            await self._publisher.publish(events, size)
        except BaseException:
            integration.bucket.give_back(len(events))
            raise
        return None


def _judged(format_of: Format, scope: Scope, problem: Problem) -> Problem:
    """Too many wrong keys are a 429, unless the format reports them as invalid events: its clients would
    retry a 429 for ever.
    """
    throttled = answer_to(scope, problem)
    return throttled if format_of.refused(problem)[0] == problem.status else problem


def _post(
    integration: Integration, form: Format, request: Request, now: datetime, idempotency_key: str
) -> Post:
    """The post as its format and the integration's expressions see it. Raises Problem 415."""
    headers = request.headers
    shown: Mapping[str, str] = {}
    if integration.transform.mapping is not None:
        secret = presented(headers, request.query) or request.path.get("key", "")
        own = integration.signing.header if integration.signing else ""
        shown = shown_headers(headers, secret, own)
    if form.kind == "cloudevents":
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        about = cloudevents.attributes_in(headers)
        return Post(
            integration.name, now, idempotency_key, content_type=content_type, about=about, headers=shown
        )
    sloppy = form.kind in {"pagerduty", "json", "opsgenie"}
    lines = is_lines(headers, lines=form.kind == "native", sloppy=sloppy)
    return Post(integration.name, now, idempotency_key, lines=lines, headers=shown)


def _note(integration: Integration, events: Sequence[IncidentEvent]) -> None:
    """One log line for each accepted post. Only at DEBUG: at thousands a second it would cost a third of the
    time, and the router's line for each decision names the same event.
    """
    ids = [event.event_id for event in events[:_NAMED]]
    about: dict[str, object] = {"event_id": ids[0]} if len(events) == 1 else {"event_ids": ids}
    log.debug("events accepted", action="accepted", integration=integration.name, count=len(events), **about)


def _idempotency_key(headers: Headers) -> str:
    sent = headers.get(b"idempotency-key", b"").strip()
    if len(sent) > _KEY_LENGTH:
        raise Problem(
            422,
            "invalid-header",
            "The Idempotency-Key cannot be used",
            faults=[Fault("Idempotency-Key", f"longer than {_KEY_LENGTH} bytes")],
        )
    return clean(sent.decode("utf-8", "backslashreplace"))


def _kept(problem: Problem, status: int) -> Mapping[str, str]:
    """The headers of the refusal; of one under another status only Retry-After still holds."""
    if status == problem.status:
        return problem.headers
    return {name: value for name, value in problem.headers.items() if name.lower() == "retry-after"}


async def _respond(send: Send, status: int, answer: Answer, headers: Mapping[str, str]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", answer.media_type),
                (b"content-length", b"%d" % len(answer.body)),
                *((name.encode(), value.encode()) for name, value in headers.items()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})
