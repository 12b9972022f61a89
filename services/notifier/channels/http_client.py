"""The HTTP client of channels: what became of a request is a result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
import msgspec

from services.notifier.channels.results import Rejected, Unavailable
from shared.network.outbound import Outbound, OutboundRefusedError
from shared.network.outbound_client import beginning, outbound_client

TIMEOUT_SECONDS: Final = 15.0
LARGEST_ANSWER: Final = 256 * 1024  # bytes of an answer that are read
TRY_LATER: Final = frozenset({408, 425, 429})
CONNECTIONS: Final = 1_024  # as many as sends may be under way: they bound each other by endpoint and host
_SOUND: Final = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer: its status, its headers, and its body, cut to `LARGEST_ANSWER`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Mapping[str, Any]:
        """The body if it is a JSON object; otherwise empty."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    def retry_after(self, now: datetime) -> float | None:
        """Seconds, if the provider said when to come again."""
        return retry_after(self.headers.get("retry-after", ""), now)


class UnfitError(ValueError):
    """What is to be sent can be no request."""


class HttpClient:
    """Sends requests for one channel. `connections`: how many may be open at once."""

    def __init__(self, outbound: Outbound, *, connections: int = CONNECTIONS) -> None:
        self._client = outbound_client(outbound, connections=connections, seconds=TIMEOUT_SECONDS)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Answer | Rejected | Unavailable:
        """One request; what kept it from being answered is a result, never an exception."""
        try:
            _check_headers(headers or {})
            request = self._client.build_request(method, url, content=content, data=form, headers=headers)
            _check_address(request.url)
            basic = httpx2.BasicAuth(*auth) if auth else None
            response = await self._client.send(request, stream=True, auth=basic)
            try:
                body, _ = await beginning(response, LARGEST_ANSWER)
            finally:
                await response.aclose()
        except (OutboundRefusedError, UnfitError, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as err:
            return Rejected(str(err))
        except httpx2.TimeoutException as err:
            return Unavailable(f"timeout: {type(err).__name__}")
        except httpx2.HTTPError as err:
            return Unavailable(f"{type(err).__name__}: {err}")
        return Answer(response.status_code, response.headers, body)


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raises UnfitError."""
    for name, value in headers.items():
        if not _SOUND.fullmatch(value):
            raise UnfitError(f"header {name}: only printable ASCII has a place in it")


def _check_address(url: httpx2.URL) -> None:
    """Raises UnfitError."""
    if url.scheme not in ("http", "https") or not url.host:
        raise UnfitError("the address is not an http or https URL")


def by_status(answer: Answer, said: str, now: datetime) -> Rejected | Unavailable:
    """What an answer that is not 2xx means where the provider documents nothing more exact."""
    if answer.status == 410:
        return Rejected(f"{said}: the endpoint is gone", disable=True)
    if answer.status in TRY_LATER or answer.status >= 500:
        return Unavailable(said, answer.retry_after(now))
    if 300 <= answer.status < 400:
        return Rejected(f"{said}: redirects are not followed")
    return Rejected(said)


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds by RFC 9110 §10.2.3: a number of seconds or a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
