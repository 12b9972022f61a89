"""What the provider of text messages and calls says later: it is believed once, in any order, if it is signed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.twilio import receipt_of
from services.notifier.domain.delivery_outcome import Verdict
from services.notifier.domain.plan import plan
from services.notifier.domain.rates import PEOPLE
from services.notifier.sending.receipts import Receipt, Receipts, verdict_on
from services.notifier.storage.receipts import Known
from shared.clock import utcnow
from tests.channels.gateway import Gateway, gateway_running
from tests.services.notifier.building import T0, bundle, changed, incident, page
from tests.services.notifier.inside import Office, office
from tests.services.notifier.test_service import KEYS, notifier
from tests.services.notifier.test_storms import idle, paged
from tests.waiting import until

NUMBER = "+420777000111"
BY_TEXT = {"ana": {"phone": {"sms": NUMBER}}}
BY_CALL = {"ana": {"call": {"voice": NUMBER}}}


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_running() as running:
        yield running


def receipts(place: Office) -> Receipts:
    return Receipts(place.database, committed=lambda _: None, wake=place.sender.wake)


async def said(place: Office, form: dict[str, str], *, message: str = "", attempt: int = 0) -> str:
    """The provider says this; what is answered."""
    found = receipt_of(form)
    if found is None:
        return "under way"
    reference, channel, result = found
    receipt = Receipt(reference, channel, result, message, attempt)
    return await receipts(place).take(receipt, utcnow())


def text(sid: str, status: str, code: str = "") -> dict[str, str]:
    return {"MessageSid": sid, "MessageStatus": status} | ({"ErrorCode": code} if code else {})


async def sent(place: Office):
    (row,) = await until(lambda: place.rows("state = 'sent'"))
    return row


async def only(place: Office):
    (row,) = await place.rows()
    return row


async def told(place: Office) -> list[tuple[str, str]]:
    """What the router hears: outcomes, and what is known of the page."""
    return [(report.outcome, report.page) for report in await place.outbox()]


async def test_a_text_is_sent_and_later_delivered(database_url, gateway):
    async with office(database_url, bundle(BY_TEXT), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        for status in ("queued", "sending", "sent"):
            assert await said(place, text(row.reference, status)) == "under way"
        assert await said(place, text(row.reference, "delivered")) == "taken"
        assert (await only(place)).state == "delivered"
        assert await told(place) == [("sent", "reached"), ("delivered", "reached")]


async def test_the_last_contact_that_fails_makes_the_page_unreachable_once(database_url, gateway):
    async with office(database_url, bundle(BY_TEXT), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        for _ in range(2):
            assert await said(place, text(row.reference, "undelivered", "30005")) == "taken"
        after = await only(place)
        assert (after.state, after.last_error) == (
            "failed",
            "code 30005: the number is unknown or out of service",
        )
        assert await told(place) == [("sent", "reached"), ("failed", "unreachable")]


async def test_while_another_contact_may_reach_them_the_page_is_not_lost(database_url, gateway):
    two = {"ana": {"phone": {"sms": NUMBER}, "other": {"sms": "+420777000222"}}}
    async with office(database_url, bundle(two), **gateway.settings) as place:
        await place.hear(changed(page()))
        first, second = await until(lambda: _both(place))
        await said(place, text(first.reference, "failed", "30006"))
        assert ("failed", "unreachable") not in await told(place)
        await said(place, text(second.reference, "failed", "30006"))
        assert (await told(place)).count(("failed", "unreachable")) == 1


async def test_an_account_that_is_gone_for_one_is_not_switched_off_for_all(database_url, gateway):
    gateway.answers = [(410, {}, {})]
    async with office(database_url, bundle(BY_TEXT), **gateway.settings) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("state = 'failed'"))
        await place.hear(changed(page(page_id="page-2"), incident=incident(id="inc-2")))
        await sent(place)


async def _both(place: Office):
    rows = await place.rows("state = 'sent'")
    return rows if len(rows) == 2 else None


@pytest.mark.parametrize(("status", "state"), [("delivered", "delivered"), ("undelivered", "failed")])
async def test_a_receipt_that_comes_before_the_attempt_is_written_down_counts(
    database_url, gateway, status, state
):
    """The process may even have died meanwhile: what has arrived is not sent again."""
    async with office(database_url, bundle(BY_TEXT), **gateway.settings, sending=False) as place:
        await place.hear(changed(page()))
        await until(lambda: gateway.texted)
        row = await only(place)
        assert (row.state, row.reference) == ("sending", "")
        form = text(f"SM{1:032x}", status, "" if status == "delivered" else "30003")
        assert await said(place, form) == "not known yet"
        assert await said(place, form, message=str(row.id), attempt=1) == "taken"
        await until(lambda: place.concurrency.free == 1_024)
        await place.sender.record_once(utcnow())
        assert (await only(place)).state == state
        assert await told(place) == [(state, "reached" if state == "delivered" else "unreachable")]


async def test_a_call_that_nobody_answers_is_made_once_more_and_then_has_failed(database_url, gateway):
    async with office(database_url, bundle(BY_CALL), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        assert await said(place, {"CallSid": row.reference, "CallStatus": "no-answer"}) == "taken"
        again = await only(place)
        assert again.state == "pending"
        assert timedelta(seconds=25) < again.next_attempt_at - utcnow() < timedelta(seconds=31)
        await place.execute("UPDATE notifier.delivery SET next_attempt_at = now()")
        place.sender.wake()
        second = await sent(place)
        assert second.reference != row.reference
        assert await said(place, {"CallSid": row.reference, "CallStatus": "no-answer"}) != "under way"
        assert (await only(place)).state == "sent", "of the call before"
        await said(place, {"CallSid": second.reference, "CallStatus": "no-answer"})
        assert (await only(place)).state == "failed"
        assert (await told(place))[-1] == ("failed", "unreachable")
        assert len(gateway.called) == 2


async def test_a_text_that_does_not_arrive_starts_the_next_contact_early(database_url, gateway):
    rules = {"high": [{"via": "phone"}, {"via": "call", "after": "10m"}]}
    contacts = {"phone": {"sms": NUMBER}, "call": {"voice": NUMBER}}
    ana = {"name": "Ana", "contacts": contacts, "rules": rules}
    async with office(database_url, bundle({"ana": ana}), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        assert not gateway.called
        await said(place, text(row.reference, "undelivered", "30003"))
        await until(lambda: gateway.called)
        assert "unreachable" not in {page for _, page in await told(place)}


@pytest.mark.parametrize(
    ("form", "result"),
    [
        (text("SM1", "read"), Delivered),
        (text("SM1", "undelivered", "30006"), Rejected),
        (text("SM1", "undelivered", "30001"), Unavailable),
        (text("SM1", "failed"), Rejected),
        (text("SM1", "canceled"), Rejected),
        ({"SmsSid": "SM1", "SmsStatus": "delivered"}, Delivered),  # older names, of compatible providers
        ({"CallSid": "CA1", "CallStatus": "completed"}, Delivered),  # picked up, if only by a machine
        ({"CallSid": "CA1", "CallStatus": "busy"}, Unavailable),
        ({"CallSid": "CA1", "CallStatus": "failed"}, Rejected),
        ({"CallSid": "CA1", "CallStatus": "ringing"}, None),
        (text("SM1", "queued"), None),
        (text("", "delivered"), None),
        (text("SM\0", "delivered"), None),
        ({}, None),
    ],
)
def test_what_the_provider_says_in_its_own_words(form, result):
    found = receipt_of(form)
    assert found is None if result is None else found is not None and isinstance(found[2], result)


SAYS = Unavailable("busy", 30), Rejected("unknown number"), Delivered()


@pytest.mark.parametrize(
    ("state", "reference", "attempt", "brings"),  # for what may work later, for what will not, for success
    [
        ("sent", "SM1", 0, ("pending", "failed", "delivered")),
        ("sent", "SM2", 1, ("nothing new", "nothing new", "delivered")),  # of the message before
        ("sending", "", 1, ("too early", "failed", "delivered")),
        ("sending", "", 2, ("nothing new", "nothing new", "delivered")),
        ("pending", "", 1, ("nothing new", "nothing new", "delivered")),  # it goes out again anyhow
        ("delivered", "SM1", 1, ("nothing new", "nothing new", "nothing new")),
        ("failed", "SM1", 1, ("nothing new", "nothing new", "nothing new")),
        ("cancelled", "SM1", 1, ("nothing new", "nothing new", "nothing new")),
    ],
)
def test_what_a_receipt_brings(state, reference, attempt, brings):
    (delivery,) = plan(changed(page()), bundle(BY_TEXT), T0).deliveries
    known = Known(replace(delivery, attempts=1), state, reference)
    found = [verdict_on(known, Receipt("SM1", "sms", result, delivery.id, attempt), T0) for result in SAYS]
    assert tuple(one.state if isinstance(one, Verdict) else one for one in found) == brings
    again = Known(replace(delivery, attempts=2), "sent", "SM1")
    verdict = verdict_on(again, Receipt("SM1", "sms", SAYS[0]), T0)
    assert isinstance(verdict, Verdict)
    assert verdict.state == "failed", "tried twice"


async def test_a_receipt_of_a_text_that_lists_several_counts_for_all_of_them(database_url, gateway):
    rates = {"sms": PEOPLE}
    async with office(database_url, bundle(BY_TEXT), sending=False, rates=rates, **gateway.settings) as place:
        now = await backlog_of_texts(place, gateway)
        listed = gateway.texted[-1]
        sid = f"SM{len(gateway.texted):032x}"
        assert "more" in listed["Body"]
        assert "/v1/replies/list/" in listed["Body"]
        message = listed["StatusCallback"].partition("message=")[2].partition("&")[0]
        form = text(sid, "delivered")
        assert await said(place, form, message=message, attempt=1) == "taken"
        assert await said(place, form) == "taken"
        await idle(place, now)
        assert {row.state for row in await place.rows("reference = :sid", sid=sid)} == {"delivered"}
        assert len(await place.rows("reference = :sid", sid=sid)) > 1


async def backlog_of_texts(place, gateway):
    """More pages than go as texts of their own; the last text is sent, and not written down."""
    now = utcnow()
    for number in range(3):
        await place.hear(paged(number), now=now)
        await idle(place, now)
    before = len(gateway.texted)
    await place.hear(*(paged(number) for number in range(3, 9)), now=now)
    later = now + timedelta(seconds=120)
    await place.sender.claim_once(later)
    await until(lambda: len(gateway.texted) > before)
    return later


async def test_a_call_about_what_somebody_has_taken_is_not_made_again(database_url, gateway):
    async with office(database_url, bundle(BY_CALL), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        await place.hear(changed(settled="taken", by="petra", version=2))
        await said(place, {"CallSid": row.reference, "CallStatus": "no-answer"})
        assert (await place.rows("page_id <> ''"))[0].state == "cancelled"


async def test_only_whoever_has_the_token_says_what_became_of_a_message(database_url, gateway):
    rotating = gateway.settings | {"twilio_token": "token-of-the-account,the next one"}
    async with notifier(database_url, channel_settings=rotating) as running:
        await running.publish_policy(bundle(BY_TEXT, api_keys=KEYS))
        await running.publish(changed(page()))
        (form,) = await until(lambda: gateway.texted)
        url, sid = form["StatusCallback"], f"SM{1:032x}"
        receipt = text(sid, "delivered")
        for token in ("somebody else's", ""):
            answer = await gateway.post(running.client, url, receipt, token)
            assert (answer.status_code, answer.json()["type"]) == (401, "urn:ladder:problem:wrong-signature")
        elsewhere = url.replace("attempt=1", "attempt=2")
        signed_for_another = await running.client.post(
            elsewhere.partition("#")[0],
            data=receipt,
            headers={"x-twilio-signature": "AAAA"},
        )
        assert signed_for_another.status_code == 401
        for token in ("token-of-the-account", "the next one"):
            assert (await gateway.post(running.client, url, receipt, token)).status_code == 204
        unheard = await gateway.post(
            running.client, "http://ladder.test/v1/receipts/twilio", text("SM9", "read")
        )
        assert unheard.status_code == 503
        named = url.partition("message=")[2].partition("&")[0]
        answer = await running.get(f"/v1/deliveries/{named}")
        assert answer.json()["state"] == "delivered"
