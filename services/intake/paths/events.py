"""The paths that accept events: who may post there, and in which format."""

from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.types import Receive

from services.intake.accept import Endpoint, Request
from services.intake.admission.integrations import Admission, Integration, presented
from services.intake.formats import FORMATS, Answer, Format, cloudevents
from services.intake.formats.opsgenie import CREATE, DELETE, REMOVALS, Opsgenie, request_status
from services.intake.formats.opsgenie_ids import alias_of, request_of
from services.intake.formats.sanitize import Unreadable, clean
from services.intake.request_body import read_body
from shared.http.problems import Fault, Problem

_NOT_AN_ALIAS: Final = Fault(
    "identifier", "not an id that Ladder gave; use ?identifierType=alias (tiny ids are not known here)"
)
_IN_QUERY: Final = ("user", "source", "note", "tags", "keys")  # of deletions


class ByKind(Endpoint):
    """One format, by the kind of integrations that may use it."""

    def __init__(self, form: Format, *rest: Any) -> None:
        super().__init__(*rest)
        self._form = form

    def format_of(self, request: Request) -> Format:
        del request
        return self._form

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Integration, Format, bytes]:
        integration = admission.of_kind(self._form.kind, presented(request.headers, request.query), now)
        request.passed(integration)
        return integration, self._form, await read_body(request.headers, receive, self._form.longest_body)


class Events(ByKind):
    """`/v1/events`: native events, or CloudEvents where the request says that it carries them."""

    def format_of(self, request: Request) -> Format:
        return FORMATS["cloudevents"] if cloudevents.is_cloudevent(request.headers) else self._form

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Integration, Format, bytes]:
        form, secret = self.format_of(request), presented(request.headers, request.query)
        other = "" if form is self._form else form.kind
        integration = admission.of_kind(self._form.kind, secret, now, or_kind=other)
        request.passed(integration)
        return integration, form, await read_body(request.headers, receive, form.longest_body)


class ByBody(ByKind):
    """`/v2/enqueue`: one format, whose bodies carry the key."""

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Integration, Format, bytes]:
        body = await read_body(request.headers, receive, self._form.longest_body)
        integration = admission.of_kind(self._form.kind, _body_key(self._form, body, request), now)
        request.passed(integration)
        return integration, self._form, body


class ByName(Endpoint):
    """`/v1/integrations/{name}`: the integration named, in its own format."""

    def __init__(self, otherwise: Format, *rest: Any) -> None:
        """`otherwise` words the refusal where there is no such integration."""
        super().__init__(*rest)
        self._otherwise = otherwise

    def format_of(self, request: Request) -> Format:
        return self._form(request) or self._otherwise

    def addressed(self, request: Request) -> str:
        admission, name = self._admission(), request.path["name"]
        return name if admission and name in admission.integrations else ""

    def _form(self, request: Request) -> Format | None:
        admission = self._admission()
        integration = admission.integrations.get(request.path["name"]) if admission else None
        if (
            integration is not None
            and integration.kind == "native"
            and cloudevents.is_cloudevent(request.headers)
        ):
            return FORMATS["cloudevents"]
        return FORMATS[integration.kind] if integration else None

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Integration, Format, bytes]:
        name, form = request.path["name"], self._form(request)
        secret = presented(request.headers, request.query) or request.path.get("key", "")
        if form is None:
            admission.deny(secret, now)  # the same whether or not the name exists
        known = admission.integrations[name]
        if known.keyless:  # the signature is checked once the body is there
            return known, form, await read_body(request.headers, receive, form.longest_body)
        if secret:
            integration = admission.by_name(name, secret, now)
            request.passed(integration)
            return integration, form, await read_body(request.headers, receive, form.longest_body)
        body = await read_body(request.headers, receive, form.longest_body)
        integration = admission.by_name(name, _body_key(form, body, request), now)
        request.passed(integration)
        return integration, form, body


class Alerts(Endpoint):
    """`/v2/alerts…`: Opsgenie's alert API. Where it would have to read a database, it says that it cannot."""

    def format_of(self, request: Request) -> Opsgenie:
        verb = request.path.get("verb") or (DELETE if "identifier" in request.path else CREATE)
        query = parse_qs(request.query[:4096].decode("latin-1"))
        return Opsgenie(
            verb,
            _alias(request.path.get("identifier", ""), query.get("identifierType", ["id"])[0]),
            removes=request.method == "DELETE" and "verb" in request.path,
            query={name: clean(query[name][0]) for name in _IN_QUERY if name in query},
        )

    async def admit(
        self, admission: Admission, request: Request, receive: Receive, now: datetime
    ) -> tuple[Integration, Format, bytes]:
        form = self.format_of(request)
        integration = admission.of_kind(form.kind, presented(request.headers, request.query), now)
        request.passed(integration)
        if "identifier" in request.path and not form.alias:
            raise Problem(422, "invalid-request", "The alert cannot be found", faults=[_NOT_AN_ALIAS])
        if form.removes and form.verb not in REMOVALS:
            raise Problem(405, "method-not-allowed", "There is nothing to delete here")
        return integration, form, await read_body(request.headers, receive, form.longest_body)

    async def accept(self, request: Request, receive: Receive) -> Answer:
        if request.method != "GET":
            return await super().accept(request, receive)
        self.admission().of_kind("opsgenie", presented(request.headers, request.query), self._clock())
        asked = request.path.get("request", "")
        known = request_of(asked)
        if known is not None:
            return request_status(known, asked)
        if asked:
            raise Problem(404, "no-such-request", "No request has this id")
        raise Problem(
            501,
            "not-served",
            "Alerts are not read here: GET /v1/incidents?integration=…&dedup_key=ALIAS has them",
        )


def _alias(identifier: str, kind: str) -> str:
    """The alias that a path means, by `identifierType`; '' if it cannot be told."""
    if kind.lower() == "alias":
        return clean(identifier)
    return alias_of(identifier) or "" if kind.lower() == "id" else ""


def _body_key(form: Format, body: bytes, request: Request) -> str:
    """The key in the body, or in a header of its own."""
    found = form.credential(body)
    if isinstance(found, Unreadable):
        raise Problem(
            422, "invalid-event", "The event cannot be accepted", faults=[Fault("body", found.reason)]
        )
    return found or request.headers.get(b"x-routing-key", b"").decode("utf-8", "replace")
