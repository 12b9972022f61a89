"""A story in which every address, key and token is marked, and every provider repeats what it was told.

No mark may stand in a log line, a metric, the reason of a report or of a dead letter, or an answer of the API.
"""

import json
from dataclasses import replace
from urllib.parse import unquote_plus
from uuid import uuid4

from aiosmtpd.controller import Controller

from shared.eventlog.codec import decode, encode
from shared.events import DEAD_LETTER, DELIVERIES, DeadLetter, DeliveryReport
from tests.channels.provider import Asked, Said, playing
from tests.services.notifier.building import address, bundle, changed, notice, page, user
from tests.services.notifier.test_service import KEYS, notifier
from tests.waiting import until

MARK = "zq7x"
NUMBER = "4915199887766"
MAIL = f"ana.{MARK}@example.com"
PEOPLE = 9


def contacts(base: str) -> dict[str, dict]:
    """One person for each way, so that each is tried."""
    return {
        "hook": {"c": {"webhook": f"{base}/hook/{MARK}?key={MARK}2", "secret": f"whsec {MARK}3"}},
        "mail": {"c": {"email": MAIL}},
        "text": {"c": {"sms": f"+{NUMBER}"}},
        "call": {"c": {"voice": f"+{NUMBER}"}},
        "room": {"c": {"slack": f"C0{MARK.upper()}99"}},
        "team": {"c": {"teams": f"{base}/workflows/{MARK}?sig={MARK}4"}},
        "push": {"c": {"ntfy": f"topic-{MARK}"}},
        "chat": {"c": {"telegram": "-1001234567890"}},
        "post": {"c": {"mattermost": f"{base}/hooks/{MARK}5"}},
    }


def repeating(asked: Asked) -> Said:
    """A refusal in everybody's words, with all that was asked in it."""
    said = f"{asked.path} refused: {unquote_plus(asked.body.decode(errors='replace'))} {asked.headers}"
    said = said[:3_000]
    words = dict.fromkeys(("error", "message", "description", "detail", "status_message"), said)
    return Said(json.dumps(words | {"ok": False, "code": 21211, "error_code": 400, "errorCode": said}), 400)


class Repeats:
    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - its interface
        return f"550 <{address}> is not known here"


class OnAFreePort(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


async def test_no_address_key_or_token_is_told_to_anybody(database_url, capsys):
    smtp = OnAFreePort(Repeats(), hostname="127.0.0.1", port=0)
    smtp.start()
    try:
        async with playing(repeating) as base:
            await _story(database_url, base, f"smtp://127.0.0.1:{smtp.port}?starttls=no", capsys)
    finally:
        smtp.stop()


async def _story(database_url, base, smtp_url, capsys):
    token = f"123456:{MARK}6"
    settings = {
        "twilio_url": base,
        "twilio_account": "AC1",
        "twilio_token": f"{MARK}7",
        "twilio_from": "+15005550006",
        "slack_token": f"xoxb-{MARK}8",
        "slack_api_url": base,
        "ntfy_url": base,
        "ntfy_token": f"tk_{MARK}9",
        "telegram_token": token,
        "telegram_url": base,
        "mattermost_url": base,
        "mattermost_token": f"{MARK}0",
    }
    everybody = contacts(base)
    policy = bundle(everybody, api_keys=KEYS)
    async with notifier(database_url, smtp_url=smtp_url, channel_settings=settings) as running:
        await running.publish_policy(policy)
        await until(lambda: not running.service.unready())
        pages = [page(user(name), page_id=f"page-{name}") for name in everybody]
        told = notice(recipient=address(f"{base}/told/{MARK}"), event="opened")
        mailed = notice(recipient=address(MAIL, channel="email"), event="opened", notice_id="mailed")
        message = encode(changed(*pages, notices=[told, mailed]))
        cut = replace(message, value=message.value[:-40])
        await running.log.publish([message, cut])

        async def all_tried():
            answer = await running.get("/v1/deliveries")
            items = answer.json()["items"] if answer.status_code == 200 else []
            return len(items) == PEOPLE + 2 and all(item["last_error"] for item in items) and answer.text

        shown = await until(all_tried, 20)
        failed = json.loads(shown)["items"]
        assert {item["channel"] for item in failed} >= {"webhook", "email", "sms", "slack", "teams", "ntfy"}
        said = [shown, (await running.get("/v1/deliveries/endpoints")).text]
        said += [(await running.client.get("/metrics")).text, capsys.readouterr().out]
        reports, letters = [], []
        async with running.log.consumer(f"test-{uuid4().hex}", [DELIVERIES, DEAD_LETTER]) as consumer:

            async def both():
                for record in await consumer.fetch(wait_seconds=0.2):
                    (reports if record.partition.topic == DELIVERIES else letters).append(record)
                return reports and letters

            await until(both)
        said += [decode(DeliveryReport, record.value, record.headers).reason for record in reports]
        said += [decode(DeadLetter, record.value, record.headers).reason for record in letters]
    for each in said:
        found = each.lower()
        for mark in (MARK, NUMBER):
            assert mark not in found, found[max(0, found.index(mark) - 200) : found.index(mark) + 50]
