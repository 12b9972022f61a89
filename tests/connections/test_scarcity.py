"""What the system lacks for a moment is a reason to try again, never a final failure."""

import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest

from ladder.serving import open_files
from ladder.serving.bounds import Bounds, ConnectionSettings
from ladder.web.host import assemble
from services.notifier.channels import ChannelDependencies, MailServer, Rejected, Unavailable, build_channels
from services.notifier.domain.dispatch import Dispatch
from services.notifier.sending.attempt import Transport
from shared.network.outbound import Outbound
from shared.policy import PolicyErrors, load
from shared.policy.model.windows import parse_zone
from shared.security.secret_files import Secrets
from tests.channels.envelopes import SIGNER, envelope
from tests.channels.receiver import Receiver, receiving
from tests.connections.door import door
from tests.services.notifier.building import bundle, changed, page
from tests.services.notifier.inside import office
from tests.waiting import until


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@contextmanager
def no_file_left() -> Iterator[None]:
    """Not one more file or socket can be opened inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/dev/null", os.O_RDONLY)
    taken = [probe]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(probe + 64, 256), hard))
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def transport(secrets: Path) -> Transport:
    channels = build_channels(
        ChannelDependencies(
            outbound=Outbound.allowing(["127.0.0.1", "localhost"]),
            signer=SIGNER,
            keep=None,  # type: ignore[arg-type]  # nothing goes to an inbox here
            mail=MailServer.at("smtp://localhost:2525", "ladder@example.com"),
        )
    )
    return Transport(channels, Secrets(secrets), SIGNER, "http://ladder.test", bundle)


def to(address: str, channel: str = "webhook", secret: str = "") -> Dispatch:
    delivery = replace(envelope("").delivery, channel=channel, address=address, secret=secret)
    return Dispatch(delivery.id, (delivery,))


async def test_a_page_of_a_process_that_was_out_of_files_goes_out_as_soon_as_there_are_some(
    database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    """Neither its secret can be read nor its socket be made: it is tried again, and it arrives."""
    (tmp_path / "ana-hook").write_text(receiver.url("/ana"))
    people = bundle({"ana": {"bot": {"webhook": "secret:ana-hook"}}})
    async with office(database_url, people, secrets=tmp_path) as place:
        await place.hear(changed(page(page_id="before")))
        await until(lambda: receiver.to("/ana"))

        async def tried() -> list[str]:
            return [row.last_error for row in await place.rows("page_id = 'page' AND last_error <> ''")]

        with no_file_left():
            await place.hear(changed(page(page_id="page"), version=2))
            [why] = await until(tried)
        [row] = await place.rows("page_id = 'page'")

        assert (row.state, why) == ("pending", "secret 'ana-hook' cannot be read: Too many open files")
        await until(lambda: len(receiver.to("/ana")) == 2, 15)


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("webhook", "secret:hook"),
        ("webhook", "http://127.0.0.1:9/ana"),
        ("webhook", "http://localhost:9/ana"),  # a name, for whose look-up files are opened, too
        ("email", "ana@example.com"),
    ],
)
async def test_no_channel_gives_up_because_files_are_scarce(
    channel: str, address: str, tmp_path: Path
) -> None:
    """Whatever it needs a file for."""
    (tmp_path / "hook").write_text("http://127.0.0.1:9/ana")
    carrier = transport(tmp_path)
    with no_file_left():
        result = await carrier.deliver_once(to(address, channel), envelope("").at)
    assert isinstance(result, Unavailable), result


async def test_a_secret_that_is_mounted_late_is_waited_for_and_one_that_never_is_fails(
    tmp_path: Path,
) -> None:
    """Two minutes are enough for a mount; after that its name is taken for wrong."""
    carrier, missing = transport(tmp_path), to("secret:hook")
    created_at = missing.first.created_at
    early = await carrier.deliver_once(missing, created_at + timedelta(seconds=119))
    late = await carrier.deliver_once(missing, created_at + timedelta(seconds=121))
    assert (type(early), type(late)) == (Unavailable, Rejected)
    assert "No such file" in early.reason


def test_a_time_zone_or_a_policy_is_not_called_wrong_because_files_are_scarce(tmp_path: Path) -> None:
    """`Asia/Kathmandu` exists also while its file cannot be opened, and `.ladderignore` is not passed over."""
    (tmp_path / "ladder.yaml").write_text("version: 1")
    ZoneInfo.clear_cache()
    with no_file_left(), pytest.raises(OSError, match="Too many open files"):
        parse_zone("Asia/Kathmandu")
    assert parse_zone("Asia/Kathmandu") == "Asia/Kathmandu"
    with no_file_left(), pytest.raises(OSError, match="Too many open files"):
        load(tmp_path)
    with pytest.raises(PolicyErrors):
        load(tmp_path)


async def test_readyz_says_that_a_process_is_out_of_files() -> None:
    """And the metrics say how many it has."""
    transport = httpx2.ASGITransport(assemble([], loopback=True))
    async with httpx2.AsyncClient(transport=transport, base_url="http://ladder") as client:
        before = await client.get("/readyz")
        with no_file_left():
            short = await client.get("/readyz")
        after = await client.get("/readyz")
        metrics = (await client.get("/metrics")).text
    assert (before.status_code, short.status_code, after.status_code) == (200, 503, 200)
    assert "file" in short.json()["reasons"]["process"][0]
    assert "ladder_open_files " in metrics


async def test_the_door_does_not_spin_while_no_file_is_left() -> None:
    """Who comes then is sent away or waits; whoever comes later is served."""
    async with door() as here:
        known = await here.connect()
        began = os.times()
        with no_file_left():
            for _ in range(20):
                known.send(b"GET /healthz HTTP/1.1\r\nHost: ladder\r\n\r\n")
                assert (await known.answer())[0] == 200
        ended = os.times()
        assert ended.user + ended.system - began.user - began.system < 2
        assert (await here.posts())[0] == 202


@pytest.mark.parametrize(
    ("files_at_most", "connections", "reserve"),
    [(256, 128, 128), (1_024, 512, 512), (4_096, 2_560, 1_536), (65_536, 4_096, 1_536)],
)
def test_connections_leave_a_reserve_of_files_for_paging(
    files_at_most: int, connections: int, reserve: int
) -> None:
    """However many are wished for."""
    assert Bounds.within(ConnectionSettings.read(), files_at_most).in_all == connections
    assert open_files.reserve(files_at_most) == reserve
    greedy = ConnectionSettings.read(http_connections=1_000_000)
    assert Bounds.within(greedy, files_at_most).in_all == files_at_most - reserve


_RAISING = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
from ladder.serving import open_files as files
print(files.raise_limit() == min(hard, 65536))
"""


def test_a_process_raises_its_limit_of_files_as_far_as_it_may() -> None:
    """In a process of its own, whose limit is low and may be raised."""
    told = subprocess.run([sys.executable, "-c", _RAISING], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "True"
