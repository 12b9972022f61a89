"""Webhooks by Standard Webhooks (https://www.standardwebhooks.com): signed, no redirects, 15 seconds.

Every attempt carries the same `webhook-id` and is signed with its own time, because receivers refuse
a timestamp older than five minutes.
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import httpx2
import msgspec
from standardwebhooks import Webhook

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.http_client import CONNECTIONS, TIMEOUT_SECONDS, TRY_LATER, retry_after
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.shown import Shown
from services.notifier.domain.messages.webhook_body import LARGEST, webhook_body
from shared.network.outbound import GuardedTransport, Outbound, OutboundRefusedError
from shared.network.outbound_client import OUTBOUND_HEADERS, beginning
from shared.security.keys import Signer

_LARGEST_KEY: Final = 64
_TIMEOUTS: Final = httpx2.Timeout(TIMEOUT_SECONDS).as_dict()
_DRAINED: Final = 16 * 1024  # bytes of an answer that are read so that its connection can be used again
_DRAIN_SECONDS: Final = 2.0


class WebhookChannel:
    """Posts messages as JSON."""

    def __init__(self, outbound: Outbound, signer: Signer, *, connections: int = CONNECTIONS) -> None:
        self._signer = signer
        self._transport = GuardedTransport(outbound, connections=connections)

    async def close(self) -> None:
        await self._transport.aclose()

    async def send(self, envelope: Envelope) -> Result:
        body = webhook_body(envelope.delivery, envelope.rendered, envelope.at)
        try:
            keys = signing_keys(envelope.secret, self._signer, envelope.address)
            request = _request(envelope.address, body, _signed(envelope, keys, body))
            if request.url.scheme not in ("http", "https") or not request.url.host:
                return Rejected("the address is not an http or https URL")
            response = await self._transport.handle_async_request(request)
        except OutboundRefusedError as err:
            return Rejected(str(err))
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, BadSecretError) as err:
            return Rejected(str(err))
        except httpx2.TimeoutException as err:
            return Unavailable(f"timeout: {type(err).__name__}")
        except httpx2.HTTPError as err:
            return Unavailable(f"{type(err).__name__}: {err}")
        return await _judged(response, envelope.at)


def _request(address: str, body: bytes, signed: Mapping[str, str]) -> httpx2.Request:
    """A request as the transport takes it: a client would do for each what no webhook needs."""
    headers = {**OUTBOUND_HEADERS, "content-type": "application/json", **signed}
    request = httpx2.Request(
        "POST", address, headers=headers, content=body, extensions={"timeout": _TIMEOUTS}
    )
    if request.url.username or request.url.password:
        request = next(httpx2.BasicAuth(request.url.username, request.url.password).auth_flow(request))
    return request


class BadSecretError(ValueError):
    """The webhook's secret cannot be used as a key."""


def signing_keys(secret: str, signer: Signer, address: str) -> tuple[bytes, ...]:
    """The keys to sign with: several while rotating, separated by spaces.

    `whsec_` and base64, or any other text, whose UTF-8 bytes are the key; without a secret one is derived
    for this address from each of Ladder's own keys. Raises BadSecretError.
    """
    parts = secret.split()
    if not parts:
        return signer.derived(f"webhook {address}")
    return tuple(_key(part) for part in parts)


def _key(part: str) -> bytes:
    if not part.startswith("whsec_"):
        return part.encode()
    try:
        key = base64.b64decode(part.removeprefix("whsec_") + "==")
    except (binascii.Error, ValueError) as err:
        raise BadSecretError("the webhook's secret is not base64 after whsec_") from err
    if not key or len(key) > _LARGEST_KEY:
        raise BadSecretError("the webhook's secret is empty or longer than 64 bytes")
    return key


def _signed(envelope: Envelope, keys: tuple[bytes, ...], body: bytes) -> dict[str, str]:
    identity, text = envelope.delivery.id, body.decode()
    signatures = [Webhook(key).sign(identity, envelope.at.astimezone(UTC), text) for key in keys]
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(envelope.at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


async def _judged(response: httpx2.Response, now: datetime) -> Result:
    status = response.status_code
    await response.aclose() if status >= 300 else await _drained(response)
    said = f"HTTP {status}"
    if 200 <= status < 300:
        return Delivered(answer=said)
    if status == 410:
        return Rejected(f"{said}: the endpoint is gone", disable=True)
    if status in TRY_LATER or status >= 500:
        return Unavailable(said, retry_after(response.headers.get("retry-after", ""), now))
    if 300 <= status < 400:
        return Rejected(f"{said}: redirects are not followed")
    return Rejected(said)


async def _drained(response: httpx2.Response) -> None:
    """Read a short answer so that the connection can be used again; a long one is not worth reading."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            await beginning(response, _DRAINED)
    except (httpx2.HTTPError, TimeoutError):
        return  # the status was 2xx: it was taken, whatever became of the rest
    finally:
        await response.aclose()


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The body, in lines."""
    del signer, public_url
    body = webhook_body(envelope.delivery, envelope.rendered, envelope.at)
    text = msgspec.json.format(body, indent=2).decode()
    return Shown(text, msgspec.json.decode(body), size=f"{len(body):,} of {LARGEST:,} bytes")
