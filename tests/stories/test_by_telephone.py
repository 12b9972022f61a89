"""Nobody looks at a screen: a page by text, one by call, "1" texted back, and the other hears who has it."""

from pathlib import Path
from xml.etree import ElementTree as ET

import httpx2

from shared.policy import dump_json
from shared.security.keys import digest
from tests.channels.gateway import FROM, gateway_running
from tests.domain.tale import bundle, ladder
from tests.ladder.running import Up
from tests.servers.postgres import PostgresServer
from tests.waiting import until

ANA, PETRA = "+420777000111", "+420777000222"


async def test_one_texts_back_and_the_other_hears_who_has_it(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    policy = bundle(
        users={
            "ana": {"name": "Ana Novak", "contacts": {"phone": {"sms": ANA}}},
            "petra": {"name": "Petra Dvorak", "contacts": {"call": {"voice": PETRA}}},
            "karel": {"name": "Karel", "contacts": {"box": {"inbox": "karel"}}},
        },
        policies={
            "main": ladder(
                levels=[{"name": "desk", "notify": ["user:ana", "user:petra"], "acknowledge_within": "5m"}]
            )
        },
        integrations={"test": {"kind": "native", "keys": [{"sha256": digest("a key")}]}},
        api_keys={"viewer": {"keys": [{"sha256": digest("viewer")}], "role": "viewer"}},
    )
    file = tmp_path / "policy.json"
    file.write_bytes(dump_json(policy))
    async with gateway_running() as gateway:
        with postgres.database() as url:
            up = Up(tmp_path / "data", database_url=url, policy=file, **gateway.settings)
            await up.start()
            try:
                async with httpx2.AsyncClient(base_url=up.url, timeout=20) as client:
                    event = {"title": "Checkout is down", "dedup_key": "checkout"}
                    posted = await client.post(
                        "/v1/events", json=event, headers={"Authorization": "Bearer a key"}
                    )
                    assert posted.status_code == 202, posted.text

                    (text,) = await until(lambda: gateway.texted)
                    (call,) = await until(lambda: gateway.called)
                    assert (text["To"], call["To"]) == (ANA, PETRA)
                    assert "Press 4 to take it" in call["Twiml"]
                    received = {"MessageSid": f"SM{1:032x}", "MessageStatus": "delivered"}
                    assert (await gateway.post(client, text["StatusCallback"], received)).status_code == 204

                    reply = {"MessageSid": "SM-of-ana", "From": ANA, "To": FROM, "Body": "1"}
                    said = await gateway.post(client, f"{up.url}/v1/replies/twilio/sms", reply)
                    assert said.text.endswith(
                        "<Response><Message>Taken. Ladder pages nobody else.\nCheckout is down</Message></Response>"
                    )
                    _, second = await until(lambda: gateway.called if len(gateway.called) == 2 else None)
                    assert second["To"] == PETRA
                    assert "Ana Novak" in second["Twiml"]
                    gather = ET.fromstring(call["Twiml"]).find("Gather")
                    assert gather is not None
                    pressed = {"CallSid": "CA-of-petra", "Digits": "4"}
                    late = await gateway.post(client, gather.attrib["action"], pressed)
                    assert "Ana Novak has it already." in late.text
                    link = text["Body"].split()[-1]
                    shown = await client.get(link)
                    assert "You have taken it." in shown.text
            finally:
                assert await up.end() == 0, up.said
