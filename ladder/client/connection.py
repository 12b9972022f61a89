"""The connection to a running Ladder: its address, the key, and what can go wrong.

ClientError
├── UnreachableError   nobody answered, or something other than Ladder (exit 3)
├── UsageError         the arguments make no sense (exit 2)
└── DeniedError        Ladder refused, and says why (exit 1; 3 if only for now)
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import httpx2

from ladder.refusal import NotPossibleError
from shared.json_object import JsonObject
from shared.network.host_names import can_be_host
from shared.security.demo_keys import DEMO_KEY, is_loopback

DEFAULT_URL: Final = "http://127.0.0.1:8080"
PAGE: Final = 500
REFUSED_BY_LADDER: Final = 1
NOT_NOW: Final = 3
TRY_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PUT_SECONDS: Final = 60.0

Params = list[tuple[str, str]]


class ClientError(NotPossibleError):
    """An error that the user can act on; they read its text."""


class UnreachableError(ClientError):
    """Nobody answered; it may work later."""

    exit_code = NOT_NOW
    kind = "unreachable"
    title = "Ladder cannot be reached"


class UsageError(ClientError):
    """The arguments make no sense."""

    kind = "usage"
    title = "The command cannot be understood"


class DeniedError(ClientError):
    """Ladder refused; `status` is HTTP's, the text is its problem document in words."""

    def __init__(
        self, status: int, text: str, retry_after: float | None = None, document: Any = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after
        self.exit_code = NOT_NOW if status in TRY_LATER else REFUSED_BY_LADDER
        self._document = document

    def problem(self) -> JsonObject:
        """The document that Ladder sent; one with only the status if it sent none."""
        if isinstance(self._document, dict) and self._document.get("title"):
            return self._document
        return {"type": "about:blank", "title": str(self), "status": self.status}


@dataclass(frozen=True, slots=True)
class Remote:
    """Where Ladder is. Intake has its own address and key only where no ingress joins the three services."""

    url: str
    api_key: str
    intake_url: str
    intake_key: str

    @classmethod
    def of(cls, url: str, api_key: str = "", intake_url: str = "", intake_key: str = "") -> Self:
        """Fills in what was not given: the key from LADDER_API_KEY_FILE, or on this machine the demo key.

        Raises UsageError for an address or a key that cannot be one, and for no key where one is needed.
        """
        url = _checked(url)
        intake_url = _checked(intake_url or url)
        api_key = (
            api_key or _key_from_file() or (DEMO_KEY if is_loopback(urlsplit(url).hostname or "") else "")
        )
        if not api_key and not intake_key:
            raise UsageError(f"{url} is not this machine: give a key in LADDER_API_KEY.")
        api_key, intake_key = _usable(api_key), _usable(intake_key or api_key)
        return cls(url=url, api_key=api_key, intake_url=intake_url, intake_key=intake_key)


def _checked(url: str) -> str:
    if not _can_be_asked(url):
        raise UsageError(f"{url!r} is not an address; give one such as {DEFAULT_URL} in LADDER_URL.")
    return url.rstrip("/")


def _can_be_asked(url: str) -> bool:
    try:
        parts = urlsplit(url)
        fits = parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:  # brackets that do not fit, a port that is none
        return False
    return fits and parts.scheme in {"http", "https"} and can_be_host(parts.hostname or "")


def _usable(key: str) -> str:
    """Keys go in a header."""
    if not key.isascii() or not key.isprintable():
        raise UsageError("A key has only characters of ASCII that can be printed; the one given has others.")
    return key


def _key_from_file() -> str:
    place = os.environ.get("LADDER_API_KEY_FILE", "")
    if not place:
        return ""
    try:
        return Path(place).read_text(encoding="utf-8").strip()
    except OSError as err:
        raise UsageError(f"LADDER_API_KEY_FILE: {place} cannot be read: {err.strerror}.") from err


def problem_text(document: Any, status: int) -> str:
    """A problem document in sentences: what, why, each faulty field, and what would be possible."""
    if not isinstance(document, dict):
        return f"Ladder answered {status}."
    lines = [": ".join(str(document[part]) for part in ("title", "detail") if document.get(part))]
    lines += [_fault_line(fault) for fault in document.get("errors") or () if isinstance(fault, dict)]
    if possible := document.get("possible"):
        lines.append(f"  possible: {', '.join(map(str, possible))}")
    if not lines[0]:
        lines[0] = str(document.get("message") or f"Ladder answered {status}.")
    return "\n".join(lines)


def _fault_line(fault: Mapping[str, Any]) -> str:
    if "line" in fault:
        place = ":".join(str(fault[part]) for part in ("file", "line", "column") if fault.get(part))
        place = place if fault.get("file") else f"line {place}"
        what = str(fault.get("message") or fault.get("reason") or fault.get("expected") or "")
        path = str(fault["path"] if "path" in fault else fault.get("field") or "")
        return f"  {place}: {path}: {what}" if path else f"  {place}: {what}"
    return f"  {fault.get('field', '')}: {fault.get('reason', '')}"


def read_answer(answer: httpx2.Response) -> Any:
    """The JSON of a good answer. Raises DeniedError with the problem in words, or UnreachableError."""
    try:
        document = answer.json() if answer.content else None
    except (ValueError, UnicodeDecodeError) as err:
        if answer.is_success:
            raise UnreachableError(
                f"{answer.request.url} answered, but not as Ladder does; is LADDER_URL right?"
            ) from err
        document = None
    if answer.is_success:
        return document
    text = problem_text(document, answer.status_code)
    raise DeniedError(answer.status_code, text, retry_after(answer), document)


def retry_after(answer: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait; None if it does not say, or gives a date."""
    try:
        return max(0.0, float(answer.headers.get("retry-after", "")))
    except ValueError:
        return None


class Connection:
    """Calls of Ladder's API. Use as a context manager."""

    def __init__(self, remote: Remote, timeout: float = 15) -> None:
        self.remote = remote
        self._http = httpx2.Client(timeout=timeout, follow_redirects=False)
        self.answered_at: datetime | None = None  # by Ladder's clock, to the second; as the last answer says

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> Any:
        """GET from the API."""
        return self._call("GET", self.remote.url + path, self.remote.api_key, params=params or [])

    def incidents(self, params: Params, at_most: int) -> Iterator[JsonObject]:
        """Incidents page by page, up to `at_most`."""
        return self.listed("/v1/incidents", params, at_most)

    def listed(self, path: str, params: Params, at_most: int) -> Iterator[JsonObject]:
        """The items of a list page by page, up to `at_most`."""
        cursor = ""
        while at_most > 0:
            page = [*params, ("limit", str(min(at_most, PAGE)))]
            answer = self.get(path, [*page, ("cursor", cursor)] if cursor else page)
            yield from answer["items"]
            at_most -= len(answer["items"])
            cursor = answer.get("next") or ""
            if not cursor:
                return

    def timeline(self, incident_id: str) -> list[JsonObject]:
        """All entries, oldest first."""
        path = f"/v1/incidents/{quote(incident_id, safe='')}/timeline"
        items: list[JsonObject] = []
        cursor = ""
        while True:
            answer = self.get(path, [("limit", str(PAGE)), *([("cursor", cursor)] if cursor else [])])
            items += answer["items"]
            cursor = answer.get("next") or ""
            if not cursor:
                return items

    def act(self, incident_id: str, action: str, **arguments: Any) -> JsonObject:
        """Act on an incident; the incident afterwards. Empty arguments are left out, except for `set`, where
        an empty text clears the field.
        """
        kept = {name: value for name, value in arguments.items() if value or action == "set"}
        body = {"action": action} | kept
        path = f"/v1/incidents/{quote(incident_id, safe='')}/actions"
        answer: JsonObject = self._call("POST", self.remote.url + path, self.remote.api_key, json=body)
        return answer

    def put(self, path: str, body: bytes, content_type: str) -> Any:
        """PUT to the API, with time for the answer: checking 8 MiB of policy takes seconds."""
        return self._call(
            *("PUT", self.remote.url + path, self.remote.api_key),
            content=body,
            headers={"content-type": content_type},
            timeout=_PUT_SECONDS,
        )

    def check_policy(self, body: bytes) -> Any:
        """The API's findings about a bundle, as JSON, without putting it in force."""
        return self._call(
            *("POST", self.remote.url + "/v1/policy/check", self.remote.api_key),
            content=body,
            headers={"content-type": "application/json"},
            timeout=_PUT_SECONDS,
        )

    def upload(
        self, path: str, body: Iterator[bytes], content_type: str, params: Params, timeout: float
    ) -> Any:
        """POST a file to the API while reading it, and wait this many seconds for the answer."""
        headers = {"content-type": content_type}
        return self._call(
            *("POST", self.remote.url + path, self.remote.api_key),
            content=body,
            headers=headers,
            params=params,
            timeout=timeout,
        )

    def post(self, path: str, body: Any = None, params: Params | None = None) -> Any:
        """POST JSON to the API."""
        rest = {} if body is None else {"json": body}
        return self._call("POST", self.remote.url + path, self.remote.api_key, params=params or [], **rest)

    def delete(self, path: str) -> Any:
        """DELETE in the API."""
        return self._call("DELETE", self.remote.url + path, self.remote.api_key)

    def send(self, body: bytes, content_type: str, idempotency_key: str = "") -> Any:
        """Native events to intake; its answer."""
        headers = {"content-type": content_type}
        if idempotency_key:
            headers["idempotency-key"] = idempotency_key
        url = self.remote.intake_url + "/v1/events"
        return self._call("POST", url, self.remote.intake_key, content=body, headers=headers)

    def text(self, path: str, params: Params, accept: str) -> str:
        """GET from the API something that is not JSON, as it was sent."""
        headers = {"accept": accept}
        answer = self._send(
            "GET", self.remote.url + path, self.remote.api_key, params=params, headers=headers
        )
        if not answer.is_success:
            read_answer(answer)
        return answer.text

    def _call(self, method: str, url: str, key: str, **rest: Any) -> Any:
        return read_answer(self._send(method, url, key, **rest))

    def _send(self, method: str, url: str, key: str, **rest: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}", **rest.pop("headers", {})}
        try:
            answer = self._http.request(method, url, headers=headers, **rest)
        except httpx2.TimeoutException as err:
            raise UnreachableError(f"{url} did not answer in time.") from err
        except (httpx2.HTTPError, httpx2.InvalidURL) as err:
            raise UnreachableError(
                f"Nobody answers at {self.remote.url}: is Ladder up, and LADDER_URL right? ({err})"
            ) from err
        with suppress(ValueError, TypeError):
            self.answered_at = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
        return answer
