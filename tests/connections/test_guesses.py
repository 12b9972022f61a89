"""Wrong keys and broken links are limited by address and counted, and lock nobody out."""

import httpx2
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from ladder.serving.bounds import Bounds, ConnectionSettings
from ladder.web.host import assemble
from services.intake.app import build as build_intake
from services.intake.settings import IntakeSettings
from services.notifier import app as notifier
from services.notifier.settings import NotifierSettings
from services.router import app as router
from services.router.settings import RouterSettings
from shared.auth.failed_attempts import FailedAttempts, network_of
from shared.settings import BadSettingError
from tests.api.assembled import nowhere
from tests.connections.door import EVENT, HEAD, Door, door, post
from tests.services.intake.fakes import PAGER, FakeLog

WRONG = post("a-wrong-key")


def counted(kind: str) -> float:
    return REGISTRY.get_sample_value("ladder_auth_failures_total", {"kind": kind}) or 0.0


async def statuses(here: Door, request: bytes, times: int, source: str = "127.0.0.1") -> list[int]:
    wire = await here.connect(source)
    found = []
    for _ in range(times):
        wire.send(request)
        found.append((await wire.answer())[0])
    return found


async def test_a_burst_of_wrong_keys_is_told_when_to_come_again_and_locks_nobody_out() -> None:
    """Neither somebody else, nor a good key behind the same address."""
    async with door(failures=3) as here:
        before = counted("key")
        assert await statuses(here, WRONG, 5) == [401, 401, 401, 429, 429]
        assert counted("key") - before == 5

        wire = await here.connect()
        wire.send(WRONG)
        _, said = await wire.answer()
        assert b"too-many-failures" in said
        assert 1 <= int(said.lower().split(b"retry-after: ")[1].split(b"\r\n")[0]) <= 60
        assert (await here.posts())[0] == 202
        assert await statuses(here, WRONG, 1, "127.0.0.2") == [401]


async def test_who_shows_no_key_is_asked_for_one_however_often() -> None:
    """Clients of basic authentication show their key only after a 401: a 429 would shut them out."""
    nothing = HEAD.rpartition(b"Authorization")[0] + b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT
    async with door(failures=2) as here:
        assert await statuses(here, nothing, 6) == [401] * 6


async def test_a_wrong_routing_key_stays_an_invalid_event() -> None:
    """PagerDuty's clients try again for ever after a 429; it is counted all the same."""
    body = b'{"routing_key": "wrong", "event_action": "trigger", "payload": {}}'
    request = b"POST /v2/enqueue HTTP/1.1\r\nHost: l\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    good = (
        b'{"routing_key": "'
        + PAGER.encode()
        + b'", "event_action": "trigger", "dedup_key": "one", "payload": '
        b'{"summary": "disk full", "source": "db1", "severity": "critical"}}'
    )
    async with door(failures=2) as here:
        before = counted("key")
        assert await statuses(here, request, 5) == [400] * 5
        assert counted("key") - before == 5
        whole = request.partition(b"Content-Length")[0] + b"Content-Length: %d\r\n\r\n" % len(good) + good
        assert await statuses(here, whole, 1) == [202]


@pytest.mark.parametrize(
    ("path", "first", "kind"),
    [
        ("/v1/replies/link/bm90aGluZw.bm90aGluZw", 404, "link"),
        ("/v1/replies/unsubscribe/bm90aGluZw.bm90aGluZw", 404, "link"),
        ("/v1/schedules/desk/shifts.ics?token=bm90aGluZw.bm90aGluZw", 404, "link"),
    ],
)
async def test_broken_links_are_limited_too(path: str, first: int, kind: str) -> None:
    """Whichever path takes a signed token, before the database is asked for anything."""
    log, secret = FakeLog(), SecretStr("a secret for tests")
    app = assemble(
        [
            router.build(RouterSettings(secret_key=secret), log=log, database=nowhere()),
            notifier.build(NotifierSettings(secret_key=secret), log=log, database=nowhere()),
        ],
        loopback=True,
        guesses=FailedAttempts(2),
    )
    before = counted(kind)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://ladder") as client:
        found = [await client.get(path) for _ in range(4)]
        assert [one.status_code for one in found] == [first, first, 429, 429]
        assert int(found[-1].headers["retry-after"]) >= 1
        assert (await client.get("/v1/incidents")).status_code == 401, "no key is no guess"
    assert counted(kind) - before == 4


def test_each_address_has_a_count_of_its_own_that_passes_and_is_bounded() -> None:
    """IPv6 parties are counted by their /64, of which they can use every address."""
    seconds = 0.0
    guesses = FailedAttempts(1, 60, timer=lambda: seconds)
    assert guesses.failed("10.0.0.1") is None
    assert guesses.failed("10.0.0.1") == 60
    seconds = 30.0
    assert guesses.failed("10.0.0.1") == 30
    assert guesses.failed("10.0.0.2") is None
    assert guesses.failed("2001:db8::1") is None
    assert guesses.failed("2001:db8::2:1") == 60
    assert guesses.failed("2001:db8:0:1::1") is None
    seconds = 60.0
    assert guesses.failed("10.0.0.1") is None
    for number in range(20_000):
        guesses.failed(f"10.1.{number // 256}.{number % 256}")
    assert len(guesses) <= 10_000
    assert network_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert network_of("fe80::1%eth0") == "fe80::/64"


async def test_behind_a_trusted_proxy_the_address_is_the_last_that_it_did_not_add_itself() -> None:
    """`X-Forwarded-For` counts from the right and only from a proxy that is trusted: others may write it."""

    def forwarded(chain: bytes) -> bytes:
        return post("a-wrong-key", more=b"X-Forwarded-For: " + chain + b"\r\n")

    proxies = ConnectionSettings.read(trusted_proxies="127.0.0.1,10.0.0.0/8").proxies
    async with door(failures=1, proxies=proxies) as here:
        assert await statuses(here, forwarded(b"6.6.6.6, 1.2.3.4, 10.1.1.1"), 2) == [401, 429]
        assert await statuses(here, forwarded(b"7.7.7.7, 1.2.3.4"), 1) == [429], "what it claims itself"
        assert await statuses(here, forwarded(b"1.2.3.5"), 1) == [401]
        assert await statuses(here, forwarded(b"1.2.3.6"), 1, "127.0.0.9") == [401]
        assert await statuses(here, forwarded(b"1.2.3.7"), 1, "127.0.0.9") == [429], "not a proxy of ours"


async def test_a_trusted_proxy_may_have_as_many_connections_as_fit() -> None:
    """Many callers share its address; it bounds them itself."""
    proxies = ConnectionSettings.read(trusted_proxies="127.0.0.0/30").proxies
    async with door(keyless_per_address=5, proxies=proxies, head_seconds=30) as here:
        many = [await here.connect() for _ in range(60)]
        assert (await here.posts())[0] == 202
        many[0].send(post())
        assert (await many[0].answer())[0] == 202


def test_a_proxy_that_is_no_network_is_refused_at_start() -> None:
    with pytest.raises(BadSettingError, match="LADDER_TRUSTED_PROXIES: 'the proxy' is not an address"):
        ConnectionSettings.read(trusted_proxies="10.0.0.0/8, the proxy")
    assert Bounds.within(ConnectionSettings.read(trusted_proxies="10.1.2.3"), 4_096).proxies


async def test_intake_without_an_edge_judges_nothing() -> None:
    """A service that is hosted without limits answers wrong keys as what they are."""
    service = build_intake(IntakeSettings(), log=FakeLog())
    app = assemble([service], loopback=True)
    transport = httpx2.ASGITransport(app)
    async with service.running(), httpx2.AsyncClient(transport=transport, base_url="http://l") as client:
        sent = [await client.post("/v1/events", headers={"authorization": "Bearer no"}) for _ in range(40)]
    assert {one.status_code for one in sent} <= {401, 503}
