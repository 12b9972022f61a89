"""Amazon SNS: subscriptions are confirmed on request, and only what Amazon signed is taken.

Amazon is a local https server with a certificate of its own; the one thing that differs from the real way is the
port by which something is fetched, which leads there.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from pytest_httpserver import HTTPServer
from structlog.testing import capture_logs

from services.intake.amazon_sns import messages
from services.intake.amazon_sns.fetch import Fetcher, FetchError
from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.clock import utcnow
from shared.network.outbound import Outbound
from shared.policy.model.integrations import Integration
from shared.security.keys import digest
from tests.services.intake.fakes import FakeLog, serving
from tests.services.intake.test_posting import assert_problem
from tests.waiting import until

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
HOST = "https://sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0123456789abcdef.pem"
SUBSCRIBE = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
CONFIRMED = (
    "<ConfirmSubscriptionResponse><ConfirmSubscriptionResult>"
    f"<SubscriptionArn>{TOPIC}:5be8b1cc</SubscriptionArn>"
    "</ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
)
PATH = "/v1/integrations/amazon"
MAP = {"title": "Subject", "dedup_key": "MessageId"}
SUBSCRIBING = {"Type": "SubscriptionConfirmation", "SubscribeURL": SUBSCRIBE, "Token": "2336412f37"}


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _certificate(key: rsa.RSAPrivateKey, begins: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def amazons_key() -> rsa.RSAPrivateKey:
    return _key()


@dataclass
class Amazon:
    """What signs and posts. `fetch` brings what lies behind an address of Amazon's, from here."""

    key: rsa.RSAPrivateKey
    server: HTTPServer
    client: httpx2.AsyncClient
    fetched: list[str] = field(default_factory=list)

    def message(
        self, version: str = "2", key: rsa.RSAPrivateKey | None = None, **said: Any
    ) -> dict[str, Any]:
        """A notification, unless its Type says otherwise, signed as Amazon signs."""
        known = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Subject": 'ALARM: "checkout" in EU (Ireland)',
            "Message": '{"AlarmName": "checkout", "NewStateValue": "ALARM"}\nand – more',
            "Timestamp": f"{utcnow():%Y-%m-%dT%H:%M:%S.123Z}",
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE,
        } | said
        if known["Type"] != "Notification":
            del known["Subject"]
        names = sorted(known.keys() - {"SignatureVersion", "SigningCertURL"})
        text = "".join(f"{name}\n{known[name]}\n" for name in names).encode()
        algorithm: Any = hashes.SHA256() if version == "2" else hashes.SHA1()
        signature = (key or self.key).sign(text, padding.PKCS1v15(), algorithm)
        return known | {"Signature": base64.b64encode(signature).decode(), "UnsubscribeURL": f"{HOST}/?x"}

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        parts = urlsplit(url)
        answer = await self.client.get(self.server.url_for(parts.path) + f"?{parts.query}")
        if answer.status_code != 200:
            raise FetchError(f"HTTP {answer.status_code}")
        return answer.content


@pytest.fixture(scope="module")
def https() -> Iterator[tuple[HTTPServer, ssl.SSLContext]]:
    authority = trustme.CA()
    serves, trusts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serves)
    authority.configure_trust(trusts)
    with HTTPServer(host="127.0.0.1", ssl_context=serves) as server:
        yield server, trusts


@pytest.fixture
async def amazon(
    https: tuple[HTTPServer, ssl.SSLContext], amazons_key: rsa.RSAPrivateKey
) -> AsyncIterator[Amazon]:
    server, trusts = https
    server.clear()
    pem = _certificate(amazons_key, utcnow() - timedelta(days=1))
    server.expect_request(urlsplit(CERTIFICATE).path).respond_with_data(pem)
    server.expect_request("/", query_string=urlsplit(SUBSCRIBE).query).respond_with_data(CONFIRMED)
    async with httpx2.AsyncClient(verify=trusts, trust_env=False) as client:
        yield Amazon(amazons_key, server, client)


@asynccontextmanager
async def confirming(log: FakeLog, amazon: Amazon, **said: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Intake with an integration `amazon` that confirms."""
    given = {"kind": "json", "confirm": "sns", "topics": TOPIC, "map": MAP} | said
    assert log.policy is not None
    known = {**log.policy.integrations, "amazon": Integration.model_validate(given)}
    log.policy = log.policy.model_copy(update={"integrations": known})
    service = build(IntakeSettings(), log=log, fetch=amazon.fetch)
    async with serving(service) as client:
        await until(lambda: not service.unready())
        yield client


async def post(client: httpx2.AsyncClient, message: dict[str, Any], path: str = PATH) -> httpx2.Response:
    """As SNS posts: JSON that calls itself text."""
    headers = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message["Type"]}
    return await client.post(path, content=json.dumps(message).encode(), headers=headers)


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_topic_that_subscribes_is_confirmed_by_itself_and_its_notifications_come(amazon, version):
    log = FakeLog()
    async with confirming(log, amazon) as client:
        with capture_logs() as lines:
            confirmed = await post(client, amazon.message(version, **SUBSCRIBING))
        assert (confirmed.status_code, confirmed.json()) == (202, {"confirmed": TOPIC})
        assert amazon.fetched == [CERTIFICATE, SUBSCRIBE]
        (line,) = [line for line in lines if line.get("action") == "sns.confirmed"]
        assert (line["integration"], line["topic"]) == ("amazon", TOPIC)
        assert log.records == []
        taken = await post(client, amazon.message(version))
        assert taken.status_code == 202
        assert amazon.fetched == [CERTIFICATE, SUBSCRIBE]  # the certificate is kept
    (event,) = log.events
    assert (event.integration, event.title) == ("amazon", 'ALARM: "checkout" in EU (Ireland)')


async def test_a_notification_without_a_subject_is_taken_and_the_same_one_twice_is_one_event(amazon):
    log, message = FakeLog(), amazon.message()
    bare = {name: value for name, value in message.items() if name not in ("Subject", "Signature")}
    signed = messages.SnsMessage("Notification", bare, utcnow()).signed_text
    bare["Signature"] = base64.b64encode(
        amazon.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    ).decode()
    async with confirming(log, amazon, map={"title": "Message"}) as client:
        for _ in range(2):
            assert (await post(client, bare)).status_code == 202
    assert len({event.event_id for event in log.events}) == 1


async def test_what_amazon_did_not_sign_is_refused_and_its_certificate_comes_from_amazon_only(amazon):
    log, now = FakeLog(), utcnow()
    forged = amazon.message(key=_key())
    altered = amazon.message() | {"Message": "all is well"}
    elsewhere = {
        "http": CERTIFICATE.replace("https", "http"),
        "another host": CERTIFICATE.replace(".com/", ".com.evil.example/"),
        "a bucket": "https://evil.s3.amazonaws.com/x.pem",
        "a bucket called sns": CERTIFICATE.replace("sns.eu-west-1", "sns.s3-eu-west-1"),
        "an answer of the API that repeats a stranger's": f"{CERTIFICATE}?Action=GetTopicAttributes&TopicArn=x",
        "another file": f"{HOST}/x.pem",
        "a name before": CERTIFICATE.replace(".com/", ".com.evil.example/"),
        "a port": CERTIFICATE.replace(".com/", ".com:8443/"),
        "no certificate": "https://sns.eu-west-1.amazonaws.com/x.pem/y",
        "in the query": "https://sns.eu-west-1.amazonaws.com/?x.pem",
        "a backslash": "https://evil.example\\.sns.eu-west-1.amazonaws.com/x.pem",
    }
    old = amazon.message(Timestamp=f"{now - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}")
    ahead = amazon.message(Timestamp=f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
    raw = {"Type": "ALARM", "AlarmName": "checkout"}
    wrong = [forged, altered, old, ahead, raw, amazon.message() | {"SignatureVersion": "3"}]
    wrong += [amazon.message(SigningCertURL=url) for url in elsewhere.values()]
    wrong += [{name: value for name, value in amazon.message().items() if name != "Signature"}]
    wrong += [amazon.message() | {"Signature": "not base64!"}]
    async with confirming(log, amazon) as client:
        for message in wrong:
            refused = await post(client, message)
            assert_problem(refused, 401, "wrong-signature")
            assert refused.json()["detail"]
        other = await post(client, amazon.message(TopicArn=TOPIC + "-of-somebody"))
        assert_problem(other, 403, "wrong-topic")
    assert set(amazon.fetched) == {CERTIFICATE}
    assert log.records == []


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data?Action=ConfirmSubscription",
        "https://evil.example/?Action=ConfirmSubscription",
        f"{HOST}/?Action=Unsubscribe&SubscriptionArn=x",
        "http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
    ],
)
async def test_a_subscription_is_confirmed_at_amazons_hosts_only_whoever_signed_it(amazon, url):
    log = FakeLog()
    async with confirming(log, amazon) as client:
        refused = await post(client, amazon.message(**SUBSCRIBING | {"SubscribeURL": url}))
        assert_problem(refused, 401, "wrong-signature")
    assert amazon.fetched == []


async def test_while_amazon_cannot_be_asked_it_is_told_to_come_again_and_nothing_is_lost(amazon):
    log = FakeLog()
    amazon.server.clear()
    amazon.server.expect_request("/").respond_with_data("", status=500)
    async with confirming(log, amazon) as client:
        away = await asyncio.gather(*(post(client, amazon.message()) for _ in range(5)))
        for answer in away:
            assert_problem(answer, 503, "no-certificate")
            assert answer.headers["retry-after"]
        assert len(amazon.fetched) == 1  # for all who wait for it
    pem = _certificate(amazon.key, utcnow() - timedelta(days=1))
    amazon.server.expect_request(urlsplit(CERTIFICATE).path).respond_with_data(pem)
    async with confirming(log, amazon) as client:  # later, or another replica
        refused = await post(client, amazon.message(**SUBSCRIBING))
        assert_problem(refused, 503, "not-confirmed")
        assert (await post(client, amazon.message())).status_code == 202
    assert len(log.events) == 1


async def test_an_ended_subscription_is_answered_and_told_in_the_log(amazon):
    async with confirming(FakeLog(), amazon) as client:
        with capture_logs() as lines:
            answer = await post(client, amazon.message(**SUBSCRIBING | {"Type": "UnsubscribeConfirmation"}))
    assert (answer.status_code, answer.json()) == (202, {"unsubscribed": TOPIC})
    assert [line["topic"] for line in lines if line.get("action") == "sns.unsubscribed"] == [TOPIC]
    assert amazon.fetched == [CERTIFICATE]


async def test_with_a_key_any_topic_may_post_and_the_signature_is_checked_all_the_same(amazon):
    log = FakeLog()
    async with confirming(log, amazon, topics=[], keys=[{"sha256": digest("of-amazon")}]) as client:
        path = f"{PATH}/of-amazon"
        assert_problem(await post(client, amazon.message()), 401, "unauthorized")
        assert_problem(await post(client, amazon.message(key=_key()), path), 401, "wrong-signature")
        other = amazon.message(TopicArn="arn:aws-cn:sns:cn-north-1:123456789012:other")
        assert (await post(client, other, path)).status_code == 202


def test_an_expired_certificate_signs_nothing(amazons_key):
    message = {
        "Type": "Notification",
        "Timestamp": "2026-01-05T09:00:00Z",
        "TopicArn": TOPIC,
        "MessageId": "1",
    }
    message |= {"Message": "m", "Signature": "", "SigningCertURL": CERTIFICATE, "SignatureVersion": "2"}
    now = datetime(2026, 1, 5, 9, tzinfo=UTC)
    text = messages.SnsMessage("Notification", message, now).signed_text
    signature = amazons_key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    read = messages.read(json.dumps(message | {"Signature": base64.b64encode(signature).decode()}).encode())
    assert isinstance(read, messages.SnsMessage)
    pem = _certificate(amazons_key, now - timedelta(days=29))
    assert messages.signature_fault(read, pem, now) == ""
    for begins in (now - timedelta(days=31), now + timedelta(days=1)):
        assert messages.signature_fault(read, _certificate(amazons_key, begins), now) == (
            "its certificate is not valid now"
        )
    assert messages.signature_fault(read, b"<html>", now) == "its certificate or its signature cannot be read"


async def test_nothing_inside_is_fetched_whatever_name_leads_there(https):
    server, _ = https
    outside = Fetcher(Outbound())
    try:
        with pytest.raises(FetchError, match="LADDER_OUTBOUND_ALLOW"):
            await outside.fetch(server.url_for("/x.pem"))
    finally:
        await outside.close()


async def test_whoever_does_not_answer_is_not_waited_for_longer_than_a_few_seconds():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other one goes
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    outside = Fetcher(Outbound.allowing(["127.0.0.1"]), seconds=1.0)  # its client is made in that time, too
    try:
        with pytest.raises(FetchError, match="no answer within"):
            await outside.fetch(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x.pem")
    finally:
        await outside.close()
    await ended.wait()
    server.close()
