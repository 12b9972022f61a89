"""What text messages and calls share: the account at Twilio, or at a provider that speaks like it.

`POST /2010-04-01/Accounts/{sid}/Messages.json` and `Calls.json` take a form with basic authentication, and
answer 201 with the `sid` by which receipts name the message (Twilio's "Message resource", "Call resource").
What a failure means is read from its code ("Error and warning dictionary"). The provider's own words are
never passed on, because they name the number.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from services.notifier.channels.http_client import Answer, HttpClient, by_status
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.settings import ChannelSettings
from services.notifier.domain.delivery import Delivery
from shared.network.outbound import Outbound
from shared.policy.model.addresses import phone_number

RECEIPTS: Final = "/v1/receipts/twilio"
_RETRIES: Final = "#rc=5&rp=5xx,ct,rt"  # "Webhook connection overrides": also after an answer of 5xx
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")
_SENDER: Final = re.compile(r"\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11}")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_NOT_ACCEPTED: Final = 20003
_AGAIN_AFTER: Final = (
    30.0  # seconds: a second call within three minutes rings on many phones that are silenced
)


class TwilioSettings(ChannelSettings):
    """The account, the same for text messages and calls."""

    twilio_url: str = Field(
        default="https://api.twilio.com", description="where the provider's API is; another may be compatible"
    )
    twilio_account: str = Field(default="", description="the account's SID")
    twilio_token: SecretStr | None = Field(
        default=None,
        description="the account's token; several, comma-separated, while it is rotated: it sends with the "
        "first that the provider accepts",
    )
    twilio_from: str = Field(
        default="", description="the sender of text messages: a number, or a messaging service (MG…)"
    )
    twilio_voice_from: str = Field(
        default="", description="the number that calls; the sender of text messages if that is a number"
    )

    @property
    def tokens(self) -> Sequence[str]:
        """Those that sign what the provider posts."""
        written = self.twilio_token.get_secret_value() if self.twilio_token else ""
        return tuple(part.strip() for part in written.split(",") if part.strip())

    @property
    def caller(self) -> str:
        """The number that calls; '' for none."""
        return phone_number(self.twilio_voice_from or self.twilio_from)

    def lacks(self, **others: str) -> str:
        """What of the account and of these has to be set, in a sentence; '' if nothing."""
        needed = {"LADDER_TWILIO_ACCOUNT": self.twilio_account, "LADDER_TWILIO_TOKEN": "".join(self.tokens)}
        unset = [name for name, value in {**needed, **others}.items() if not value]
        return f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set" if unset else ""

    @field_validator("twilio_url")
    @classmethod
    def _is_a_web_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected an address such as https://api.twilio.com")
        return url.rstrip("/")

    @field_validator("twilio_account")
    @classmethod
    def _is_an_account(cls, account: str) -> str:
        if account and not _ACCOUNT.fullmatch(account):
            raise ValueError("expected the account's SID, such as AC0123456789abcdef0123456789abcdef")
        return account

    @field_validator("twilio_from")
    @classmethod
    def _is_a_sender(cls, sender: str) -> str:
        written = phone_number(sender) or sender.strip()
        if written and not _SERVICE.fullmatch(written) and not _SENDER.fullmatch(written):
            raise ValueError("expected a number such as +420777000111, or a messaging service's SID (MG…)")
        return written

    @field_validator("twilio_voice_from")
    @classmethod
    def _is_a_number(cls, number: str) -> str:
        if number and not phone_number(number):
            raise ValueError("expected a number such as +420777000111")
        return phone_number(number)


class TwilioAccount:
    """Posts to one account."""

    def __init__(self, settings: TwilioSettings, outbound: Outbound, public_url: str) -> None:
        self._base = f"{settings.twilio_url}/2010-04-01/Accounts/{settings.twilio_account}"
        self._account = settings.twilio_account
        self._tokens = settings.tokens
        self._receipts = f"{public_url}{RECEIPTS}" if public_url else ""
        self._client = HttpClient(outbound.also(urlsplit(settings.twilio_url).hostname or ""))

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def post(self, resource: str, form: Mapping[str, str], delivery: Delivery, now: datetime) -> Result:
        """Post a message or a call about this delivery; where a token is not accepted, by the next."""
        sent = dict(form)
        if self._receipts:
            named = f"message={delivery.id}&attempt={delivery.attempts}"
            sent["StatusCallback"] = f"{self._receipts}?{named}{_RETRIES}"
        result: Result = Rejected("LADDER_TWILIO_TOKEN is not set")
        for token in self._tokens:
            answer = await self._client.request(
                "POST", f"{self._base}/{resource}.json", form=sent, auth=(self._account, token)
            )
            if not isinstance(answer, Answer):
                return answer
            result = judged(answer, now)
            if answer.status != 401:
                break
        return result


def judged(answer: Answer, now: datetime) -> Result:
    """What the answer to a post means."""
    said = answer.json()
    if answer.ok:
        reference, status = str(said.get("sid") or ""), str(said.get("status") or "")
        code = _code(said.get("error_code"))
        if status in {"failed", "undelivered", "canceled"} or code:
            return failure(code)
        return Delivered(
            confirmed=False, answer=f"HTTP {answer.status} {status}".strip(), reference=reference
        )
    code = _code(said.get("code"))
    if answer.status == 401:
        return failure(_NOT_ACCEPTED)
    if code in _LATER:
        return Unavailable(f"HTTP {answer.status}, {_words(code)}", answer.retry_after(now))
    if code in _MEANING and answer.status < 500 and answer.status != 429:
        return Rejected(f"HTTP {answer.status}, {_words(code)}")
    return by_status(answer, f"HTTP {answer.status}{f', {_words(code)}' if code else ''}", now)


def receipt_of(form: Mapping[str, str]) -> tuple[str, str, Result] | None:
    """A receipt's message, its channel, and what became of it; None while that is not known yet.

    A call that was picked up has arrived, even by a machine: whether somebody takes the incident is another
    matter. A line that is busy, or that nobody picks up, is called once more.
    """
    call = form.get("CallSid", "")
    message = "" if call else form.get("MessageSid") or form.get("SmsSid") or ""
    if not _REFERENCE.fullmatch(call or message):
        return None
    if call:
        status = form.get("CallStatus", "")
        became = _OF_CALLS.get(status) or (_failed(form) if status == "failed" else None)
        return (call, "voice", became) if became is not None else None
    status = form.get("MessageStatus") or form.get("SmsStatus") or ""
    became = _OF_MESSAGES.get(status) or (_failed(form) if status in {"failed", "undelivered"} else None)
    return (message, "sms", became) if became is not None else None


def _failed(form: Mapping[str, str]) -> Rejected | Unavailable:
    return failure(_code(form.get("ErrorCode")))


def failure(code: int) -> Rejected | Unavailable:
    """What a code means where no HTTP status goes with it, as in a receipt."""
    if code in _LATER:
        return Unavailable(_words(code), _AGAIN_AFTER)
    return Rejected(_words(code) if code else "the provider could not deliver it and does not say why")


def _code(said: object) -> int:
    written = str(said or "")
    return int(written) if written.isascii() and written.isdecimal() and len(written) < 9 else 0


def _words(code: int) -> str:
    meaning = _LATER.get(code) or _MEANING.get(code) or "see the provider's error dictionary"
    return f"code {code}: {meaning}"


_OF_MESSAGES: Final[Mapping[str, Result]] = {
    "delivered": Delivered(),
    "read": Delivered(),
    "canceled": Rejected("it was cancelled at the provider"),
}
_OF_CALLS: Final[Mapping[str, Result]] = {
    "completed": Delivered(),
    "busy": Unavailable("the line was busy", _AGAIN_AFTER),
    "no-answer": Unavailable("nobody picked up", _AGAIN_AFTER),
    "canceled": Rejected("it was cancelled at the provider"),
}
# What may work later.
_LATER: Final[Mapping[int, str]] = {
    10004: "too many calls at once",
    14107: "too many messages at once",
    20429: "too many requests",
    20500: "the provider has an internal error",
    20503: "the provider is unavailable",
    21611: "too many messages wait for this sender",
    21730: "the provider is being maintained",
    30001: "too many messages wait for this sender",
    30008: "the carrier says only that it failed",
    30022: "too many messages for this sender's registration",
    30500: "the provider has an internal error",
}
# What will not, with what can be done about it.
_MEANING: Final[Mapping[int, str]] = {
    10001: "the account is not active",
    13223: "not a telephone number",
    13224: "not a telephone number that can be called",
    13227: "the account may not call this country: allow it at the provider",
    20003: "the account or its token is not accepted: see LADDER_TWILIO_ACCOUNT and LADDER_TWILIO_TOKEN",
    20005: "the account is not active",
    20404: "there is no such account: see LADDER_TWILIO_ACCOUNT and LADDER_TWILIO_URL",
    21210: "the caller's number is not the account's: see LADDER_TWILIO_VOICE_FROM",
    21211: "not a telephone number",
    21212: "the sender is not a valid one: see LADDER_TWILIO_FROM and LADDER_TWILIO_VOICE_FROM",
    21214: "this number cannot be called",
    21215: "the account may not call this country: allow it at the provider",
    21216: "the account may not call this number",
    21217: "not a telephone number",
    21219: "a trial account calls verified numbers only",
    21265: "a short number takes no messages",
    21266: "sender and receiver are the same number",
    21408: "the account may not text this country: allow it at the provider",
    21601: "the sender cannot text: see LADDER_TWILIO_FROM",
    21603: "a sender is needed: see LADDER_TWILIO_FROM",
    21606: "the sender cannot text this number: see LADDER_TWILIO_FROM",
    21608: "a trial account texts verified numbers only",
    21610: "whoever has this number wants no messages from this sender (STOP): they text START to it",
    21612: "this sender does not reach this number",
    21614: "not a mobile number",
    21617: "the text is too long",
    21635: "a landline takes no messages",
    21703: "the messaging service has no sender: see LADDER_TWILIO_FROM",
    21704: "the messaging service has no sender for this number: see LADDER_TWILIO_FROM",
    21705: "there is no such messaging service: see LADDER_TWILIO_FROM",
    30002: "the account is suspended",
    30003: "the telephone is switched off or out of reach",
    30004: "blocked by the receiver or the carrier",
    30005: "the number is unknown or out of service",
    30006: "a landline, or a carrier that is out of reach",
    30007: "filtered by the carrier as unwanted",
    30034: "the sender is not registered for texting to the United States (A2P 10DLC)",
    32018: "what is to be said is too long",
}
