"""What the provider of text messages and calls says later: it is believed once, in any order, if it is signed."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.notifier.channels.twilio import receipt_of
from services.notifier.sending.receipts import Receipt, Receipts
from shared.clock import utcnow
from tests.channels.gateway import Gateway, gateway_running
from tests.services.notifier.building import bundle, changed, page
from tests.services.notifier.inside import Office, office
from tests.services.notifier.test_service import KEYS, notifier
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


async def said(place: Office, form: dict[str, str], *, delivery: str = "", attempt: int = 0) -> str:
    """The provider says this; what is answered."""
    found = receipt_of(form)
    if found is None:
        return "under way"
    reference, channel, result = found
    receipt = Receipt(reference, channel, result, delivery, attempt)
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


async def test_a_late_receipt_never_undoes_what_has_ended(database_url, gateway):
    async with office(database_url, bundle(BY_TEXT), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        await said(place, text(row.reference, "delivered"))
        assert await said(place, text(row.reference, "undelivered", "30008")) == "taken"
        assert (await only(place)).state == "delivered"
        await place.execute("UPDATE notifier.delivery SET state = 'failed'")
        await said(place, text(row.reference, "delivered"))
        assert (await only(place)).state == "failed"


async def test_while_another_contact_may_reach_them_the_page_is_not_lost(database_url, gateway):
    two = {"ana": {"phone": {"sms": NUMBER}, "other": {"sms": "+420777000222"}}}
    async with office(database_url, bundle(two), **gateway.settings) as place:
        await place.hear(changed(page()))
        first, second = await until(lambda: _both(place))
        await said(place, text(first.reference, "failed", "30006"))
        assert ("failed", "unreachable") not in await told(place)
        await said(place, text(second.reference, "failed", "30006"))
        assert (await told(place)).count(("failed", "unreachable")) == 1


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
        assert await said(place, form, delivery=str(row.id), attempt=1) == "taken"
        await until(lambda: place.concurrency.free == 1_024)
        await place.sender.record_once(utcnow())
        assert (await only(place)).state == state
        assert await told(place) == [(state, "reached" if state == "delivered" else "unreachable")]


@pytest.mark.parametrize("status", ["no-answer", "busy"])
async def test_a_call_that_nobody_answers_is_made_once_more_and_then_has_failed(
    database_url, gateway, status
):
    async with office(database_url, bundle(BY_CALL), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        assert await said(place, {"CallSid": row.reference, "CallStatus": status}) == "taken"
        again = await only(place)
        assert again.state == "pending"
        assert timedelta(seconds=25) < again.next_attempt_at - utcnow() < timedelta(seconds=31)
        await place.execute("UPDATE notifier.delivery SET next_attempt_at = now()")
        place.sender.wake()
        second = await sent(place)
        assert second.reference != row.reference
        assert await said(place, {"CallSid": row.reference, "CallStatus": status}) != "under way"
        assert (await only(place)).state == "sent", "of the call before"
        await said(place, {"CallSid": second.reference, "CallStatus": status})
        assert (await only(place)).state == "failed"
        assert (await told(place))[-1] == ("failed", "unreachable")
        assert len(gateway.called) == 2


async def test_a_call_about_what_somebody_has_taken_is_not_made_again(database_url, gateway):
    async with office(database_url, bundle(BY_CALL), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        await place.hear(changed(settled="taken", by="petra", version=2))
        await said(place, {"CallSid": row.reference, "CallStatus": "no-answer"})
        assert (await place.rows("page_id <> ''"))[0].state == "cancelled"


async def test_a_call_that_was_picked_up_has_arrived(database_url, gateway):
    async with office(database_url, bundle(BY_CALL), **gateway.settings) as place:
        await place.hear(changed(page()))
        row = await sent(place)
        await said(place, {"CallSid": row.reference, "CallStatus": "completed"})
        assert (await only(place)).state == "delivered"


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
        named = url.partition("delivery=")[2].partition("&")[0]
        answer = await running.get(f"/v1/deliveries/{named}")
        assert answer.json()["state"] == "delivered"
