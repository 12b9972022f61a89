"""One attempt: the message is rendered, secrets are read, the channel sends."""

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from services.notifier.channels import Channel, Delivered, Envelope, Rejected, Result, Unavailable
from services.notifier.domain.conversation import Conversation, as_first
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.dispatch import Dispatch
from services.notifier.domain.messages import listing
from services.notifier.domain.messages.compose import RenderedMessage, render
from services.notifier.domain.messages.rendered import one_line
from services.notifier.domain.messages.standing import still_possible
from services.notifier.domain.unrevealed import unrevealed
from services.notifier.sending.conversations import Later
from services.notifier.sending.links import answers_of, links_of, list_link, unsubscribe_of
from shared import telemetry
from shared.crash import crash_point
from shared.policy import Bundle
from shared.security.keys import Signer
from shared.security.secret_files import SecretAwayError, SecretMissingError, Secrets, is_secret

LONGEST_SECONDS: Final = 15.0
_MOUNTED_WITHIN: Final = timedelta(minutes=2)  # a secret whose file is missing for longer does not exist
log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Nobody needs it any more; `why` in words."""

    why: str = "settled before it was sent"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished attempt."""

    delivery: Delivery
    result: Result | Unwanted | Later
    started_at: datetime
    finished_at: datetime
    conversation: Conversation | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """Takes deliveries to their channels. `bundle` gives the policy in force."""

    channels: Mapping[str, Channel]
    secrets: Secrets
    signer: Signer
    public_url: str
    bundle: Callable[[], Bundle]
    hidden: tuple[str, ...] = ()  # secrets of the channels themselves

    async def deliver_once(
        self, dispatch: Dispatch, now: datetime, conversation: Conversation | None = None
    ) -> Result:
        """Try once, for 15 seconds at most. Failures are values, never exceptions. It `is_legible`."""
        delivery = dispatch.first
        channel = self.channels.get(delivery.channel)
        if channel is None:
            return Rejected(f"channel {delivery.channel} is not available in this release")
        envelope: Envelope | None = None
        try:
            envelope = await self._envelope(dispatch, now, conversation)
            crash_point("notifier.sending")
            async with asyncio.timeout(LONGEST_SECONDS):
                result = await channel.send(envelope)
        except SecretAwayError as err:
            lasting = err.absent and now - delivery.created_at >= _MOUNTED_WITHIN
            return Rejected(str(err)) if lasting else Unavailable(str(err))
        except SecretMissingError as err:
            return Rejected(str(err))
        except TimeoutError:
            return Unavailable(f"timeout: no answer within {LONGEST_SECONDS:g} seconds")
        except Exception as err:  # noqa: BLE001 - it is logged, and tried again
            said = self._said(f"{type(err).__name__}: {err}", delivery, envelope)
            log.error(  # noqa: TRY400 - the error's own words may hold an address
                "channel failed: to be retried",
                action="channel_failed",
                channel=delivery.channel,
                delivery=delivery.id,
                error=said[:300],
                stack="".join(traceback.format_tb(err.__traceback__)),
            )
            return Unavailable(said)
        crash_point("notifier.sent")
        return self._unrevealed(result, delivery, envelope)

    async def _envelope(
        self, dispatch: Dispatch, now: datetime, conversation: Conversation | None
    ) -> Envelope:
        bundle = self.bundle()
        if dispatch.about_one:
            delivery = dispatch.lead
            restates = conversation is not None and conversation.edits
            if conversation is not None and conversation.edits and conversation.first is not None:
                delivery = as_first(delivery, conversation.first)
            if delivery.id != dispatch.id:
                delivery = replace(delivery, id=dispatch.id)
            say = partial(self._about_one, dispatch, delivery, restates=restates)
        else:
            listed = listing.readable(dispatch)
            delivery, say = listing.listing_of(dispatch, listed), partial(self._listing, dispatch, listed)
        if dispatch.has_template:
            # a template is a program of whoever writes the policy
            rendered = await asyncio.to_thread(say, bundle, now)
        else:
            rendered = say(bundle, now)
        if rendered.note:
            log.warning(
                "template failed: sent with the built-in text",
                action="template_failed",
                incident=delivery.incident_id,
                why=rendered.note,
            )
        return Envelope(
            delivery=delivery,
            rendered=rendered,
            address=self.secrets.revealed(delivery.address),
            secret=self.secrets.revealed(delivery.secret),
            at=now,
            conversation=conversation,
            answers=answers_of(delivery, self.public_url, self.signer),
            unsubscribe=unsubscribe_of(delivery, self.public_url, self.signer),
        )

    def _about_one(
        self, dispatch: Dispatch, lead: Delivery, bundle: Bundle, now: datetime, *, restates: bool
    ) -> RenderedMessage:
        message = self._alone(lead, bundle, now, restates=restates)
        if len(dispatch.members) == 1:
            return message
        others = sorted(dispatch.read, key=lambda one: one.version)
        return listing.with_news(message, [self._alone(one, bundle, now) for one in others])

    def _alone(
        self, delivery: Delivery, bundle: Bundle, now: datetime, *, restates: bool = False
    ) -> RenderedMessage:
        links = links_of(delivery, self.public_url, self.signer)
        if restates:
            links = still_possible(links, delivery)
        return render(delivery, bundle, links, now, restates=restates)

    def _listing(
        self, dispatch: Dispatch, listed: Sequence[Delivery], bundle: Bundle, now: datetime
    ) -> RenderedMessage:
        alone = partial(self._alone, bundle=bundle, now=now)
        links = {"list": list_link(listed[0], self.public_url, self.signer)}
        if not links["list"]:
            each = [(alone(one).title, links_of(one, self.public_url, self.signer)) for one in listed]
            links = {one_line(title, 80): own["incident"] for title, own in each if "incident" in own}
        return listing.render(dispatch, listed, alone, links, now)

    def _unrevealed(self, result: Result, delivery: Delivery, envelope: Envelope) -> Result:
        """The result without address and secrets.

        An endpoint behind a secret is not disabled: its file may hold another address tomorrow.
        """
        if isinstance(result, Delivered):
            return result
        result = replace(result, reason=self._said(result.reason, delivery, envelope))
        if isinstance(result, Rejected) and is_secret(delivery.address):
            return replace(result, disable=False)
        return result

    def _said(self, reason: str, delivery: Delivery, envelope: Envelope | None) -> str:
        address = envelope.address if envelope is not None else delivery.address
        secrets = (envelope.secret if envelope is not None else "", *self.hidden)
        return unrevealed(reason, named=delivery.address, address=address, secret=" ".join(secrets))
