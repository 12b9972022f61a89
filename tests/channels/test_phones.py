"""Text messages and calls, against a server on a socket that checks what Twilio checks."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.sms import SmsChannel, SmsSettings
from services.notifier.channels.voice import VoiceChannel, VoiceSettings
from services.router.api.links import tokens
from shared.network.outbound import Outbound
from shared.phones import texts, twiml
from shared.policy.model.addresses import phone_number
from shared.security.keys import Signer
from shared.security.short_references import claims_of, shortened
from shared.settings import BadSettingError
from tests.channels import envelopes
from tests.channels.envelopes import SIGNER
from tests.channels.gateway import FROM, Gateway, gateway_running, refused
from tests.services.notifier.building import T0, notice, page

PUBLIC = "https://ladder.test"
NUMBER = "+420 777 000 111"
INCIDENT = "4f7c0a52-63a1-8d0e-9c1b-0a2b3c4d5e6f"
PAGE = "0d9e8f7a-1b2c-8d3e-9f40-516273849506"


def envelope(address, **said):
    """A message of the moment at which it was decided, as it is handed to the channel."""
    if "told" not in said:
        said["asked"] = page(page_id=PAGE)
    return envelopes.envelope(address, at=T0, **{"id": INCIDENT, **said})


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_running() as running:
        yield running


def sms(gateway: Gateway, **said) -> SmsChannel:
    settings = SmsSettings.read(**gateway.settings | said)
    return SmsChannel(settings, Outbound.allowing([]), SIGNER, PUBLIC)


def voice(gateway: Gateway, **said) -> VoiceChannel:
    settings = VoiceSettings.read(**gateway.settings | said)
    return VoiceChannel(settings, Outbound.allowing([]), SIGNER, PUBLIC)


async def texted(gateway: Gateway, sent, **said) -> str:
    """The text of this message; the gateway has checked that it is two segments at most."""
    channel = sms(gateway, **said)
    result = await channel.send(sent)
    await channel.close()
    assert isinstance(result, Delivered), result
    return gateway.texted[-1]["Body"]


async def test_a_page_is_texted_with_its_title_first_and_how_to_answer_it(gateway):
    sent = envelope(NUMBER)
    channel = sms(gateway)
    result = await channel.send(sent)
    await channel.close()
    assert result == Delivered(confirmed=False, answer="HTTP 201 queued", reference=f"SM{1:032x}")
    (form,) = gateway.texted
    assert (form["To"], form["From"]) == ("+420777000111", FROM)
    title, told, answers = form["Body"].split("\n")
    assert title == "[P1] Checkout is down"
    assert told == "You are asked to take this. For Acme (gold). Act by 09:05 UTC, in 5 minutes."
    assert answers.startswith("Text 1 take it, 2 resolved; if several are open 1 4f7c.")
    assert form["StatusCallback"].startswith(
        f"{PUBLIC}/v1/receipts/twilio?message={sent.delivery.id}&attempt="
    )


async def test_the_link_in_a_text_is_short_and_says_the_same_as_the_long_one(gateway):
    sent = envelope(NUMBER)
    link, long = (await texted(gateway, sent)).split()[-1], sent.rendered.links["acknowledge"]
    assert link.startswith(f"{PUBLIC}/v1/replies/link/")
    assert len(link) < 120 < len(long)
    token = link.rpartition("/")[2]
    said, meant = claims_of(SIGNER, token, T0), SIGNER.verify("reply", long.rpartition("/")[2], T0)
    del meant["why"]  # the text itself says it
    assert said == meant | {"outside": False, "template": ""}
    assert claims_of(SIGNER, token, T0 + timedelta(days=8)) is None
    assert claims_of(Signer(("another key",)), token, T0) is None
    assert claims_of(SIGNER, token[:-1] + ("A" if token[-1] != "A" else "B"), T0) is None


@pytest.mark.parametrize(
    "title",
    [
        "x" * 400,
        "Ŝĉiuĝ " * 80,
        "Objednávky v košíku se neukládají, zákazníci volají každou minutu a nikdo neví proč " * 3,
        "Заказы не сохраняются, клиенты звонят каждую минуту, и никто не знает почему " * 3,
        "ご注文が保存されません。お客様から毎分お電話があります。" * 8,
        "🔥🔥🔥 👨‍👩‍👧 " * 40,
        "[]{}~^|\\€" * 40,
    ],
)
async def test_however_long_and_in_whatever_letters_it_is_never_refused_for_its_length(gateway, title):
    text = await texted(gateway, envelope(NUMBER, title=title))
    assert texts.segments(text) <= 2
    assert "Text 1 take it" in text


async def test_letters_with_marks_lose_them_so_that_twice_as_much_fits(gateway):
    text = await texted(gateway, envelope(NUMBER, title="Košík „nefunguje“ – už zase… 🔥"))
    assert text.startswith('[P1] Kosik "nefunguje" - uz zase...\n')


async def test_whoever_is_told_and_not_asked_is_not_told_how_to_answer(gateway):
    text = await texted(gateway, envelope(NUMBER, told=notice("taken", text="Petra took it.")))
    assert text.startswith("Taken: [P1] Checkout is down\nPetra took it.")
    assert "Text 1" not in text
    assert "/v1/replies/link/" in text


async def test_a_sender_without_a_number_promises_no_answer(gateway):
    assert "Text 1" not in await texted(gateway, envelope(NUMBER), twilio_from="Ladder")
    service = "MG" + "a" * 32
    assert "Text 1" in await texted(gateway, envelope(NUMBER), twilio_from=service)
    assert gateway.texted[-1]["MessagingServiceSid"] == service


async def test_a_call_says_it_twice_and_a_key_answers_it(gateway):
    channel = voice(gateway)
    sent = envelope(NUMBER, title='Checkout <is> "down" & out')
    result = await channel.send(sent)
    await channel.close()
    assert result == Delivered(confirmed=False, answer="HTTP 201 queued", reference=f"CA{1:032x}")
    (form,) = gateway.called
    assert (form["To"], form["From"]) == ("+420777000111", FROM)
    response = ET.fromstring(form["Twiml"])
    (gather,) = response.findall("Gather")
    first, second = (said.text for said in gather.findall("Say"))
    assert first == second
    assert first == (
        'Ladder calls. Priority 1. Checkout <is> "down" & out. For Acme (gold). You are asked to take this. '
        "Act by 09:05 UTC, in 5 minutes. Press 4 to take it, or 6 to hand it up."
    )
    assert gather.attrib["numDigits"] == "1"
    assert gather.attrib["action"].startswith(f"{PUBLIC}/v1/replies/twilio/voice/")
    assert response.findall("Say")[-1].text.startswith("No key was pressed, so nothing was taken")


async def test_a_long_title_in_a_call_fits_into_the_twiml(gateway):
    channel = voice(gateway)
    assert isinstance(await channel.send(envelope(NUMBER, title="&<>\"'" * 200)), Delivered)
    await channel.close()


@pytest.mark.parametrize(
    ("answer", "result", "says"),
    [
        (refused(400, 21211), Rejected, "not a telephone number"),
        (refused(400, 21610), Rejected, "STOP"),
        (refused(400, 21614), Rejected, "not a mobile number"),
        (refused(400, 21408), Rejected, "may not text this country"),
        (refused(400, 21606), Rejected, "LADDER_TWILIO_FROM"),
        (refused(401, 20003), Rejected, "LADDER_TWILIO_TOKEN"),
        (refused(404, 20404), Rejected, "LADDER_TWILIO_ACCOUNT"),
        (refused(400, 99999), Rejected, "99999"),
        (refused(429, 20429, retry_after="7"), Unavailable, "too many requests"),
        (refused(400, 21611), Unavailable, "too many messages wait"),
        (refused(503, 20503), Unavailable, "unavailable"),
        ((500, {}, {}), Unavailable, "HTTP 500"),
        ((429, {}, {"retry_after": "7"}), Unavailable, "HTTP 429"),
        ((302, {}, {"location": "http://elsewhere.test"}), Rejected, "redirects"),
        ((201, {"sid": "SM1", "status": "failed", "error_code": 30005}, {}), Rejected, "out of service"),
    ],
)
async def test_the_providers_codes_say_whether_to_try_again(gateway, answer, result, says):
    gateway.answers = [answer]
    channel = sms(gateway)
    found = await channel.send(envelope(NUMBER))
    await channel.close()
    assert isinstance(found, result)
    assert says in found.reason
    assert "777" not in found.reason, "the provider's words name the number"
    if answer[0] == 429:
        assert isinstance(found, Unavailable)
        assert found.retry_after == 7


async def test_while_the_token_is_rotated_the_one_that_is_accepted_sends(gateway):
    gateway.token = "the new one"
    await texted(gateway, envelope(NUMBER), twilio_token="token-of-the-account, the new one")


async def test_nobody_home_is_worth_another_try():
    unreachable = Gateway(port=1)
    channel = sms(unreachable)
    assert isinstance(await channel.send(envelope(NUMBER)), Unavailable)
    await channel.close()


async def test_what_is_not_set_is_named_and_nothing_is_sent():
    assert SmsSettings.read(twilio_account="AC1").missing == (
        "LADDER_TWILIO_TOKEN and LADDER_TWILIO_FROM are not set"
    )
    by_service = {"twilio_account": "AC1", "twilio_token": "t", "twilio_from": "MG" + "a" * 32}
    assert SmsSettings.read(**by_service).missing == ""
    assert VoiceSettings.read(**by_service).missing == "LADDER_TWILIO_VOICE_FROM is not set"
    assert VoiceSettings.read(**by_service, twilio_voice_from=NUMBER).caller == "+420777000111"
    channel = SmsChannel(SmsSettings.read(), Outbound.allowing([]), SIGNER, PUBLIC)
    assert isinstance(await channel.send(envelope(NUMBER)), Rejected)
    await channel.close()


@pytest.mark.parametrize(
    "given",
    [
        {"twilio_url": "api.twilio.com"},
        {"twilio_account": "../Accounts"},
        {"twilio_from": "a sender that is too long"},
        {"twilio_voice_from": "777000111"},
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_its_variable(given):
    with pytest.raises(BadSettingError, match=f"LADDER_{next(iter(given)).upper()}"):
        SmsSettings.read(**given)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+420 777 000 111", "+420777000111"),
        ("00420777000111", "+420777000111"),
        ("+44 (0)20 7946-0958", "+442079460958"),
        ("777000111", ""),  # of which country?
        ("+0777000111", ""),
        ("call me", ""),
        ("+42077700011122233", ""),
    ],
)
def test_a_number_is_the_same_however_it_is_written(written, number):
    assert phone_number(written) == number


@given(st.text(), st.sampled_from(["", "Text 1 take it.", "x" * 120]))
def test_no_text_is_longer_than_two_segments(text, tail):
    fitted = texts.fitted(text, tail)
    assert texts.segments(fitted) <= 2
    assert fitted.endswith(tail) or len(tail) > 100


@given(st.text())
def test_whatever_is_said_is_well_formed(text):
    for made in (
        twiml.message(text),
        twiml.last_words(text),
        twiml.twice(text),
        twiml.question(text, "/x?a=1&b", "no"),
    ):
        assert ET.fromstring(made).tag == "Response"
    assert re.match(r"<\?xml", twiml.silence())


def test_a_short_reference_opens_what_the_long_one_does():
    """As the router reads it: who may do what, and until when."""
    until = T0 + timedelta(days=7)
    claims = {
        "incident": INCIDENT,
        "page": PAGE,
        "user": "ana",
        "recipient": "user:ana",
        "action": "acknowledge",
    }
    long = SIGNER.sign("reply", claims, until)
    short = shortened(SIGNER, "reply", long, T0)
    assert tokens.read(SIGNER, short, T0) == tokens.read(SIGNER, long, T0)
    assert until < tokens.expires(SIGNER, short) <= until + timedelta(hours=1)
    assert shortened(SIGNER, "reply", SIGNER.sign("reply", claims | {"action": "escalate"}, until), T0) == ""
    for strange in ("", "A" * 40, "A" * 100_000, "\u00e9", short.upper()):
        assert tokens.read(SIGNER, strange, T0) is None
