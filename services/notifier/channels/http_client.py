"""The HTTP client of channels: guarded, bounded, without redirects and without proxies of the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
import msgspec

from services.notifier.channels.results import Rejected, Unavailable
from shared.network.outbound import GuardedTransport, Outbound, OutboundRefusedError

TIMEOUT_SECONDS: Final = 15.0
LARGEST_ANSWER: Final = 256 * 1024  # bytes of an answer that are read
TRY_LATER: Final = frozenset({408, 425, 429})


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


class HttpClient:
    """Sends requests for one channel. `connections`: how many may be open at once."""

    def __init__(self, outbound: Outbound, *, connections: int = 64) -> None:
        self._client = httpx2.AsyncClient(
            transport=GuardedTransport(outbound, connections=connections),
            timeout=httpx2.Timeout(TIMEOUT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "Ladder"},
        )

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
            request = self._client.build_request(method, url, content=content, data=form, headers=headers)
            if request.url.scheme not in ("http", "https") or not request.url.host:
                return Rejected("the address is not an http or https URL")
            basic = httpx2.BasicAuth(*auth) if auth else None
            response = await self._client.send(request, stream=True, auth=basic)
            try:
                body = await _read(response)
            finally:
                await response.aclose()
        except OutboundRefusedError as err:
            return Rejected(str(err))
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as err:
            return Rejected(str(err))
        except httpx2.TimeoutException as err:
            return Unavailable(f"timeout: {type(err).__name__}")
        except httpx2.HTTPError as err:
            return Unavailable(f"{type(err).__name__}: {err}")
        return Answer(response.status_code, response.headers, body)


async def _read(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= LARGEST_ANSWER:
            break
    return bytes(body[:LARGEST_ANSWER])


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
