"""The paths that take posts: who may post there, and in which format."""

from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.types import Receive

from services.intake import metrics
from services.intake.accept import Endpoint, Request
from services.intake.admission import Admission, Sender, presented
from services.intake.bodies import read_body
from services.intake.cleaning import Unreadable
from services.intake.formats import FORMATS, Answer, Format, cloudevents
from services.intake.formats.contract import fresh_id
from shared.events import HeartbeatReceived
from shared.problems import Fault, Problem

_LONGEST_BEAT: Final = 64 * 1024  # of a body that nobody looks at
_SIZE_OF_BEAT: Final = 256
_encoder: Final = msgspec.json.Encoder()


class _Beaten(msgspec.Struct):
    heartbeat: str
    at: datetime


class ByKind(Endpoint):
    """One format, by the kind of integrations that may use it."""

    def __init__(self, form: Format, *rest: Any) -> None:
        super().__init__(*rest)
        self._form = form

    def shape(self, request: Request) -> Format:
        del request
        return self._form

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Sender, Format, bytes]:
        sender = admission.of_kind(self._form.kind, presented(request.headers, request.query), now)
        return sender, self._form, await read_body(request.headers, receive, self._form.longest_body)


class Events(ByKind):
    """`/v1/events`: native events, or CloudEvents where the request says that it carries them."""

    def shape(self, request: Request) -> Format:
        return FORMATS["cloudevents"] if cloudevents.is_cloudevent(request.headers) else self._form

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Sender, Format, bytes]:
        form, secret = self.shape(request), presented(request.headers, request.query)
        other = "" if form is self._form else form.kind
        sender = admission.of_kind(self._form.kind, secret, now, or_kind=other)
        return sender, form, await read_body(request.headers, receive, form.longest_body)


class ByBody(ByKind):
    """`/v2/enqueue`: one format, whose bodies carry the key."""

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Sender, Format, bytes]:
        body = await read_body(request.headers, receive, self._form.longest_body)
        return admission.of_kind(self._form.kind, _body_key(self._form, body, request), now), self._form, body


class ByName(Endpoint):
    """`/v1/integrations/{name}`: the integration named, in its own format."""

    def __init__(self, otherwise: Format, *rest: Any) -> None:
        """`otherwise` words refusals of what is no integration."""
        super().__init__(*rest)
        self._otherwise = otherwise

    def shape(self, request: Request) -> Format:
        return self._form(request) or self._otherwise

    def _form(self, request: Request) -> Format | None:
        admission = self._admission()
        sender = admission.senders.get(request.path["name"]) if admission else None
        form = sender.format if sender else None
        is_other = form is not None and form.kind == "native" and cloudevents.is_cloudevent(request.headers)
        return FORMATS["cloudevents"] if is_other else form

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Sender, Format, bytes]:
        name, form = request.path["name"], self._form(request)
        secret = presented(request.headers, request.query) or request.path.get("key", "")
        if form is None or secret:
            sender = admission.named(name, secret, now)
            if form is None:
                raise Problem(
                    501, "format-not-served", f"Integrations of kind {sender.kind!r} are not served yet"
                )
            return sender, form, await read_body(request.headers, receive, form.longest_body)
        body = await read_body(request.headers, receive, form.longest_body)
        return admission.named(name, _body_key(form, body, request), now), form, body


class Beats(Endpoint):
    """`/v1/heartbeats/{name}`: it beat. Any integration's key will do; nobody looks at the body."""

    def shape(self, request: Request) -> Format:
        del request
        return FORMATS["native"]

    async def answered(self, request: Request, receive: Receive) -> Answer:
        admission = self.admission()
        now, name = self._clock(), request.path["name"]
        sender = admission.anybody(presented(request.headers, request.query), now)
        if name not in admission.heartbeats:
            raise Problem(404, "no-such-heartbeat", "The policy in force has no heartbeat of this name")
        await read_body(request.headers, receive, _LONGEST_BEAT)
        beat = HeartbeatReceived(beat_id=fresh_id(), name=name, at=now, by=sender.name)
        await self._publisher.publish([beat], _SIZE_OF_BEAT)
        metrics.BEATS.labels(name).inc()
        return Answer(_encoder.encode(_Beaten(name, now)))


def _body_key(form: Format, body: bytes, request: Request) -> str:
    """The key that the body carries, or that its own header does."""
    found = form.credential(body)
    if isinstance(found, Unreadable):
        raise Problem(
            422, "invalid-event", "The event cannot be accepted", faults=[Fault("body", found.reason)]
        )
    return found or request.headers.get(b"x-routing-key", b"").decode("utf-8", "replace")
