"""The whole service on the PostgreSQL event log: a message on the log reaches a person, and the API tells."""

import hashlib
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx2
import msgspec
import pytest
from sqlalchemy import text

from ladder.web.host import assemble
from services.notifier.api.routes import SCANNED
from services.notifier.app import build
from services.notifier.settings import NotifierSettings
from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog.codec import decode, encode
from shared.eventlog.postgres.log import PostgresEventLog
from shared.events import DELIVERIES, DeliveryReport, PolicyPublished
from shared.policy import content_hash, dump_json
from shared.settings import BadSettingError
from tests.services.notifier.building import bundle, changed, incident, page, user
from tests.waiting import until

KEYS = {
    name: {"keys": [{"sha256": hashlib.sha256(f"{name} key".encode()).hexdigest()}], "role": role}
    for name, role in (("dashboard", "viewer"), ("colleague", "responder"), ("boss", "admin"))
}
KEYS["anas"] = KEYS["dashboard"] | {
    "keys": [{"sha256": hashlib.sha256(b"anas key").hexdigest()}],
    "acts_as": "ana",
}


class Running:
    """A notifier that runs, and the log that it listens to."""

    def __init__(self, service, log, client) -> None:
        self.service = service
        self.log = log
        self.client = client

    async def publish(self, *messages) -> None:
        await self.log.publish([encode(message) for message in messages])

    async def publish_policy(self, policy, revision=1) -> None:
        raw = msgspec.Raw(dump_json(policy))
        await self.publish(
            PolicyPublished(hash=content_hash(policy), revision=revision, at=utcnow(), bundle=raw)
        )

    async def get(self, path, key="dashboard key"):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await self.client.get(path, headers=headers)

    async def retry(self, delivery_id, key="colleague key"):
        headers = {"authorization": f"Bearer {key}"}
        return await self.client.post(f"/v1/deliveries/{delivery_id}/retry", headers=headers)

    async def reports(self, count):
        """The next reports on ladder.deliveries."""
        found = []
        async with self.log.consumer(f"test-{uuid4().hex}", [DELIVERIES]) as consumer:

            async def enough():
                found.extend(await consumer.fetch(wait_seconds=0.2))
                return len(found) >= count

            await until(enough)
        return [decode(DeliveryReport, record.value, record.headers) for record in found]


@asynccontextmanager
async def notifier(database_url, **said):
    settings = NotifierSettings.read(
        secret_key="a key", public_url="http://ladder.test", outbound_allow=("127.0.0.1",), **said
    )
    database = Database(database_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        log = PostgresEventLog(database)
        await stack.enter_async_context(log.running())
        service = build(settings, log=log, database=database)
        await stack.enter_async_context(service.running())
        transport = httpx2.ASGITransport(app=assemble([service], loopback=True))
        client = await stack.enter_async_context(
            httpx2.AsyncClient(transport=transport, base_url="http://ladder.test")
        )
        yield Running(service, log, client)


async def test_a_message_on_the_log_reaches_a_person_and_is_reported(database_url, receiver):
    async with notifier(database_url) as running:
        assert "notifier: no policy is known yet" in running.service.unready()
        await running.publish_policy(bundle({"ana": {"bot": {"webhook": receiver.url("/ana")}}}))
        await until(lambda: not running.service.unready())
        await running.publish(changed(page()))
        (request,) = await until(lambda: receiver.to("/ana"))
        assert request.content["data"]["page"]["id"] == "page-1"
        (said,) = await running.reports(1)
        assert (said.page_id, said.page) == ("page-1", "reached")


async def test_a_search_among_many_deliveries_goes_on_where_it_stopped(database_url):
    """Only the oldest was for Ana: what is newer is not read in one go, and following `next` finds it."""
    async with notifier(database_url) as running:
        await running.publish_policy(bundle({"ana": {"box": {"inbox": "ana"}}}, api_keys=KEYS))
        await running.publish(changed(page()))

        async def paged():
            answer = await running.get("/v1/deliveries?recipient=ana")
            return answer.status_code == 200 and answer.json()["items"]

        await until(paged)
        database = Database(database_url)
        async with database.transaction() as connection:
            await connection.execute(text(_MANY_OTHERS), {"most": SCANNED + 5})
        await database.close()
        first = (await running.get("/v1/deliveries?recipient=ana")).json()
        assert (first["items"], first["partial"]) == ([], True)
        rest = (await running.get(f"/v1/deliveries?recipient=ana&cursor={first['next']}")).json()
        assert [(one["recipient"], rest["partial"], rest["next"]) for one in rest["items"]] == [
            ("ana", False, None)
        ]


_MANY_OTHERS = """
    INSERT INTO notifier.delivery (id, incident_id, version, page_id, recipient_kind, recipient, channel,
        contact, address, event, endpoint, host, state, next_attempt_at, give_up_at, content, created_at)
    SELECT gen_random_uuid(), 'i' || n, 1, 'p' || n, 'user', 'petra', 'inbox', 'box', 'petra', 'page', 'e', 'h',
        'delivered', now(), now(), '{}', now() + n * interval '1 second'
    FROM generate_series(1, :most) AS n
"""


async def test_the_inbox_is_read_newest_first_page_by_page(database_url):
    async with notifier(database_url) as running:
        await running.publish_policy(bundle({"ana": {"box": {"inbox": "ana"}}}, api_keys=KEYS))
        messages = [changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")) for n in range(5)]
        for message in messages:
            await running.publish(message)

        async def items():
            answer = await running.get("/v1/inbox/ana", key="anas key")
            return answer.json()["items"] if answer.status_code == 200 else []

        async def all_there():
            found = await items()
            return found if len(found) == 5 else None

        everything = await until(all_there)
        assert everything[0]["title"] == "[P1] Checkout is down"
        assert everything[0]["reason"] == "Ana is on call in schedule desk"
        assert everything[0]["links"]["acknowledge"].startswith("http://ladder.test/v1/replies/link/")
        first = (await running.get("/v1/inbox/ana?limit=3", key="anas key")).json()
        second = (await running.get(f"/v1/inbox/ana?limit=3&cursor={first['next']}", key="anas key")).json()
        assert [one["id"] for one in first["items"] + second["items"]] == [one["id"] for one in everything]
        assert second["next"] is None
        assert (await running.get("/v1/inbox/petra", key="boss key")).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("key", "status", "may_answer"),
    [
        ("dashboard key", 403, False),  # a viewer who is nobody
        ("anas key", 200, True),  # her own
        ("colleague key", 200, False),  # a responder reads others', and answers for nobody
        ("boss key", 200, True),
    ],
)
async def test_nobody_gets_the_link_with_which_somebody_else_answers(database_url, key, status, may_answer):
    async with notifier(database_url) as running:
        await running.publish_policy(bundle({"ana": {"box": {"inbox": "ana"}}}, api_keys=KEYS))
        await running.publish(changed(page()))

        async def arrived():
            answer = await running.get("/v1/inbox/ana", key="boss key")
            return answer.status_code == 200 and answer.json()["items"]

        await until(arrived)
        answer = await running.get("/v1/inbox/ana", key=key)
        assert answer.status_code == status
        links = answer.json()["items"][0]["links"] if status == 200 else {}
        assert ("acknowledge" in links, "Acknowledge: " in answer.text) == (may_answer, may_answer)
        assert ("incident" in links) == (status == 200)  # to look at only
        assert (await running.get("/v1/inbox/petra", key="anas key")).status_code == 403


async def test_deliveries_are_listed_filtered_and_shown(database_url, receiver):
    receiver.answers["/petra"] = [404]
    users = {name: {"bot": {"webhook": receiver.url(f"/{name}")}} for name in ("ana", "petra")}
    async with notifier(database_url) as running:
        await running.publish_policy(bundle(users, api_keys=KEYS))
        await running.publish(
            changed(page(), page(user("petra"), page_id="page-2")),
            *(changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")) for n in range(3)),
        )

        async def settled():
            answer = await running.get("/v1/deliveries?state=delivered&state=failed")
            return answer.status_code == 200 and len(answer.json()["items"]) == 5 and answer.json()

        listed = await until(settled)
        assert listed["next"] is None
        (failed,) = (await running.get("/v1/deliveries?state=failed")).json()["items"]
        assert (failed["recipient"], failed["last_error"], failed["page_id"]) == (
            "petra",
            "HTTP 404",
            "page-2",
        )
        assert (await running.get(f"/v1/deliveries/{failed['id']}")).json() == failed
        assert len((await running.get("/v1/deliveries?incident=inc-1")).json()["items"]) == 2
        assert len((await running.get("/v1/deliveries?page=p1&recipient=ana")).json()["items"]) == 1
        walked, cursor = [], ""
        while cursor is not None:
            part = (await running.get(f"/v1/deliveries?limit=2&cursor={cursor}")).json()
            walked, cursor = walked + part["items"], part["next"]
        assert len({one["id"] for one in walked}) == 5


async def test_only_a_key_with_the_role_may_ask(database_url):
    async with notifier(database_url) as running:
        assert (await running.get("/v1/inbox/ana", key="anas key")).status_code == 503
        await running.publish_policy(bundle(api_keys=KEYS))
        await until(lambda: not running.service.unready())
        assert (await running.get("/v1/inbox/ana", key="")).status_code == 401
        assert (await running.get("/v1/inbox/ana", key="wrong")).status_code == 401
        assert (await running.get("/v1/inbox/ana", key="anas key")).status_code == 200
        headers = {"authorization": "Bearer dashboard key"}
        path = "/v1/deliveries/endpoints?endpoint=http://x.test/"
        assert (await running.client.delete(path, headers=headers)).status_code == 403
        headers = {"authorization": "Bearer boss key"}
        assert (await running.client.delete(path, headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/deliveries?cursor=nonsense",
        "/v1/deliveries?limit=0",
        "/v1/deliveries?state=lost",
        "/v1/deliveries?recipient=%00",
        "/v1/deliveries/not-a-uuid",
        "/v1/inbox/ana?cursor=-1",
        "/v1/inbox/%00",
    ],
)
async def test_a_parameter_that_cannot_be_used_is_refused(database_url, path):
    async with notifier(database_url) as running:
        await running.publish_policy(bundle(api_keys=KEYS))
        await until(lambda: not running.service.unready())
        answer = await running.get(path, key="boss key")
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"


async def test_an_endpoint_that_is_gone_is_shown_without_its_secret_part_and_can_be_enabled(
    database_url, receiver
):
    receiver.answers["/token-123"] = [410, 200]
    address = receiver.url("/token-123")
    async with notifier(database_url) as running:
        await running.publish_policy(bundle({"ana": {"bot": {"webhook": address}}}, api_keys=KEYS))
        await running.publish(changed(page()))

        async def disabled():
            answer = await running.get("/v1/deliveries/endpoints")
            return answer.json()["items"] if answer.status_code == 200 else []

        (shown,) = await until(disabled)
        assert shown["state"] == "disabled"
        assert shown["endpoint"] == f"http://127.0.0.1:{receiver.port}/…"
        enabled = await running.client.delete(
            "/v1/deliveries/endpoints",
            params={"endpoint": address},
            headers={"authorization": "Bearer boss key"},
        )
        assert enabled.status_code == 204
        assert await disabled() == []


async def test_a_delivery_goes_out_once_more_by_hand_while_it_is_wanted(database_url, receiver):
    receiver.answers["/ana"] = [404, 410, 200]
    address = receiver.url("/ana")
    async with notifier(database_url) as running:
        await running.publish_policy(bundle({"ana": {"bot": {"webhook": address}}}, api_keys=KEYS))
        await running.publish(changed(page()))

        async def listed(state):
            answer = await running.get(f"/v1/deliveries?state={state}")
            return answer.json()["items"] if answer.status_code == 200 else []

        (failed,) = await until(lambda: listed("failed"))
        assert (await running.retry(failed["id"], key="dashboard key")).status_code == 403
        assert (await running.retry(uuid4())).status_code == 404
        sent = await running.retry(failed["id"])
        assert (sent.status_code, sent.json()["state"]) == (202, "pending")
        assert sent.json()["retried_by"] == "api:colleague"

        async def gone():
            return (await running.get("/v1/deliveries/endpoints")).json()["items"]

        await until(gone)
        refused = await running.retry(failed["id"])
        assert (refused.status_code, refused.json()["type"]) == (
            409,
            "urn:ladder:problem:endpoint-disabled",
        )
        enabled = await running.client.delete(
            "/v1/deliveries/endpoints",
            params={"delivery": failed["id"]},
            headers={"authorization": "Bearer boss key"},
        )
        assert enabled.status_code == 204
        assert (await running.retry(failed["id"])).status_code == 202
        (delivered,) = await until(lambda: listed("delivered"))
        assert (delivered["id"], delivered["attempts"]) == (failed["id"], 3)
        assert {one.headers["webhook-id"] for one in receiver.requests} == {failed["id"]}
        await running.publish(changed(settled="taken", by="user:petra", version=2))

        async def too_late():
            answer = await running.retry(failed["id"])
            return answer.status_code == 409 and "taken by user:petra" in answer.json()["detail"]

        await until(too_late)


async def test_pages_go_on_after_the_database_was_away(postgres, database_url, receiver):
    async with notifier(database_url) as running:
        await running.publish_policy(bundle({"ana": {"bot": {"webhook": receiver.url("/ana")}}}))
        await until(lambda: not running.service.unready())
        await running.publish(changed(page(page_id="before"), incident=incident(id="before")))
        await until(lambda: receiver.to("/ana"))
        postgres.stop()
        try:
            assert not running.service.unready()
        finally:
            postgres.start()

        async def published():
            try:
                await running.publish(changed(page(page_id="after"), incident=incident(id="after")))
            except Exception:  # noqa: BLE001 - the log is in that database too: it was away
                return False
            return True

        await until(published, 20)
        await until(
            lambda: any(one.content["data"]["page"]["id"] == "after" for one in receiver.to("/ana")), 30
        )


def test_an_smtp_url_that_cannot_be_used_is_refused_by_its_variable():
    with pytest.raises(BadSettingError, match="LADDER_SMTP_URL"):
        NotifierSettings.read(secret_key="k", smtp_url="http://mail.example")
