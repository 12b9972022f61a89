"""Amazon SNS, at integrations with `confirm: sns`: verifies signatures and confirms subscriptions.

A message whose certificate cannot be fetched is answered with 503, and SNS sends it again; so is a
subscription that could not be confirmed. Nothing is fetched for topics that the policy does not name.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, NoReturn

import msgspec
from cachetools import TTLCache

from services.intake.admission.integrations import Integration
from services.intake.amazon_sns import messages
from services.intake.amazon_sns.fetch import Fetch, FetchError
from services.intake.amazon_sns.messages import SnsMessage
from services.intake.formats import Answer
from services.intake.formats.sanitize import Unreadable
from shared import telemetry
from shared.auth.failed_attempts import WrongKey
from shared.http.problems import Problem

log = telemetry.logger(__name__)

_KEPT: Final = 64  # certificates; SNS has one per region and changes them rarely
_KEPT_SECONDS: Final = 24 * 3600
_FAILED_SECONDS: Final = 5  # before it is fetched again: SNS retries later than that
_RETRY: Final = {"retry-after": "5"}
_encoder: Final = msgspec.json.Encoder()


class _Confirmed(msgspec.Struct):
    confirmed: str


class _Noted(msgspec.Struct):
    unsubscribed: str


class Subscriptions:
    """`fetch` gets certificates and confirmations from SNS. `clock` counts seconds."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._certificates: TTLCache[str, bytes] = TTLCache(_KEPT, _KEPT_SECONDS, clock)
        self._failed: TTLCache[str, str] = TTLCache(_KEPT, _FAILED_SECONDS, clock)
        self._under_way: dict[str, asyncio.Task[bytes]] = {}

    async def verified(self, integration: Integration, body: bytes, now: datetime) -> SnsMessage:
        """The message, if Amazon signed it recently for a topic that may post here.

        Raises Problem 401, 403, 503.
        """
        message = messages.read(body)
        if isinstance(message, Unreadable):
            _refuse(message.reason)
        if integration.topics and message.topic not in integration.topics:
            why = f"topics does not name {message.topic[:300]}"
            raise WrongKey(403, "wrong-topic", "This topic may not post here", why, sort="signature")
        why = messages.age_fault(message, now) or messages.place_fault(message)
        if why:
            _refuse(why)
        certificate = await self._certificate(message.certificate_url)
        why = messages.signature_fault(message, certificate, now)
        if why:
            _refuse(why)
        return message

    async def answer(self, integration: Integration, message: SnsMessage) -> Answer | None:
        """The answer to a message about the subscription itself; None for a notification.

        Raises Problem 503 when it could not be confirmed.
        """
        match message.kind:
            case "Notification":
                return None
            case "UnsubscribeConfirmation":
                log.warning(
                    "Amazon SNS ended the subscription: this topic sends nothing more",
                    action="sns.unsubscribed",
                    integration=integration.name,
                    topic=message.topic,
                )
                return Answer(_encoder.encode(_Noted(message.topic)))
            case "SubscriptionConfirmation":
                await self._confirm(integration, message)
                return Answer(_encoder.encode(_Confirmed(message.topic)))

    async def _confirm(self, integration: Integration, message: SnsMessage) -> None:
        try:
            subscription = messages.confirmed_by(await self._fetch(message.fields["SubscribeURL"]))
        except FetchError as err:
            _not_now("not-confirmed", "The subscription could not be confirmed", str(err))
        if not subscription:
            _not_now(
                "not-confirmed", "The subscription could not be confirmed", "SNS does not say that it is"
            )
        log.info(
            "Amazon SNS subscription confirmed",
            action="sns.confirmed",
            integration=integration.name,
            topic=message.topic,
            subscription=subscription,
        )

    async def _certificate(self, url: str) -> bytes:
        """Fetched once for all who wait for it, and kept for a day. Raises Problem 503."""
        known = self._certificates.get(url)
        if known is not None:
            return known
        why = self._failed.get(url)
        if why is not None:
            _not_now("no-certificate", "The certificate of SNS cannot be fetched", why)
        task = self._under_way.get(url)
        if task is None:
            task = self._under_way[url] = asyncio.create_task(self._fetched(url), name="certificate of SNS")
            task.add_done_callback(lambda done: self._done(url, done))
        try:
            return await asyncio.shield(task)
        except FetchError as err:
            _not_now("no-certificate", "The certificate of SNS cannot be fetched", str(err))

    def _done(self, url: str, task: asyncio.Task[bytes]) -> None:
        self._under_way.pop(url, None)
        if not task.cancelled():
            task.exception()  # whoever waited for it may have hung up meanwhile

    async def _fetched(self, url: str) -> bytes:
        try:
            certificate = await self._fetch(url)
        except FetchError as err:
            self._failed[url] = str(err)
            raise
        self._certificates[url] = certificate
        return certificate


def _refuse(why: str) -> NoReturn:
    raise WrongKey(401, "wrong-signature", "This is no message that Amazon SNS signed", why, sort="signature")


def _not_now(kind: str, title: str, why: str) -> NoReturn:
    raise Problem(503, kind, title, why, headers=_RETRY)
