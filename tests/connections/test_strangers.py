"""Connections without a key cost nothing and block nobody."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from shared.eventlog import Record
from tests.connections.door import EVENT, HEAD, Door, Wire, door, post
from tests.services.intake.fakes import SCRIPTS, FakeLog
from tests.waiting import until


@dataclass
class Holding(FakeLog):
    """Counts what is being held."""

    held: int = 0

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        self.held += self.hold is not None
        await super().publish(records, timeout_seconds=timeout_seconds)


def problem(answer: bytes) -> str:
    """The kind of a problem document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    return str(json.loads(body)["type"]).removeprefix("urn:ladder:problem:")


async def test_who_says_nothing_is_shown_out() -> None:
    """A connection on which nothing ever comes is closed, and one that rests between requests is, too."""
    async with door(head_seconds=0.5, keep_alive_seconds=0.5) as here:
        silent, resting = await here.connect(), await here.connect()
        resting.send(post())
        assert (await resting.answer())[0] == 202

        assert await silent.ended() == b""
        assert await resting.ended() == b""


@pytest.mark.parametrize("piece", [b"X-Slow: 1\r\n", b"x", b"\r\n"])
async def test_a_head_that_trickles_is_told_that_it_took_too_long(piece: bytes) -> None:
    """Bytes that come one by one do not make the time longer."""
    async with door(head_seconds=0.6) as here:
        wire = await here.connect()
        wire.send(b"" if piece == b"\r\n" else HEAD)

        async def trickle() -> None:
            while True:
                wire.send(piece)
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        said = await wire.ended()
        trickling.cancel()

        assert said == b"" if piece == b"\r\n" else problem(said) == "head-too-slow"


@pytest.mark.parametrize(
    "piece",
    [
        b"x" * 65_536,  # one header that does not end
        b"a: b\r\n" * 10_000,  # a million lines
        b"\r\n" * 32_768,  # no request at all
    ],
)
async def test_a_head_of_200_mb_is_refused_after_its_first_kilobytes(piece: bytes) -> None:
    """What is read of it is bounded, whatever it is made of."""
    async with door() as here:
        wire = await here.connect()
        wire.send(b"" if piece.startswith(b"\r\n") else HEAD)

        sent = await wire.push(piece, 200_000_000 // len(piece))
        said = await wire.ended()

        assert sent < 100_000_000, "all of it was taken"
        assert said == b"" or problem(said) == "header-too-large"
        assert (await here.posts())[0] == 202


async def test_a_hundred_header_lines_are_enough() -> None:
    """One more than the bound is a 431 that says so, though all of them are short."""
    async with door() as here:
        few, many = await here.connect(), await here.connect()
        few.send(post(more=b"a: b\r\n" * 90))
        many.send(post(more=b"a: b\r\n" * 101))

        assert (await few.answer())[0] == 202
        status, said = await many.answer()
        assert (status, problem(said)) == (431, "header-too-large")


async def test_a_head_may_come_in_as_many_pieces_as_it_likes() -> None:
    """What is within bounds is taken, byte by byte if need be, with a body that is much longer."""
    async with door() as here:
        wire = await here.connect()
        for byte in post():
            wire.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await wire.answer())[0] == 202

        wire.send(post(body=EVENT + b" " * 200_000))
        assert (await wire.answer())[0] == 202
        wire.send(post() + post() + post())
        assert [(await wire.answer())[0] for _ in range(3)] == [202] * 3


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (post(length=5_000), b""),  # announced, and never sent
        (post(length=5_000), b"x"),  # a byte at a time
        (HEAD + SCRIPTS.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"POST /v2/enqueue HTTP/1.1\r\nHost: ladder\r\nContent-Length: 5000\r\n\r\n", b"x"),  # no key yet
    ],
)
async def test_a_body_that_trickles_is_told_that_it_took_too_long(first: bytes, piece: bytes) -> None:
    """The time for a body is bounded, with a key and without."""
    async with door(body_seconds=0.5) as here:
        wire = await here.connect()
        wire.send(first)

        async def trickle() -> None:
            while True:
                wire.send(piece)
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        said = await wire.ended()
        trickling.cancel()

        assert problem(said) == "body-too-slow"
        assert not here.log.records


async def test_a_long_body_that_comes_steadily_is_given_its_time() -> None:
    """A minimum rate, not a length: each so many bytes of it are worth a second more."""
    async with door(body_seconds=0.5, body_rate=50_000) as here:
        wire = await here.connect()
        whole = post(body=EVENT + b" " * 150_000)
        for start in range(0, len(whole), 7_000):
            wire.send(whole[start : start + 7_000])
            await asyncio.sleep(0.06)
        assert (await wire.answer())[0] == 202


@pytest.mark.parametrize("path", [b"/v1/events", b"/v1/integrations/scripts", b"/v1/heartbeats/backup"])
async def test_who_has_no_key_is_answered_before_a_byte_of_the_body(path: bytes) -> None:
    """A wrong key and eight megabytes announced: 401 at once, and no `100 Continue` that asks for them."""
    async with door() as here:
        wire = await here.connect()
        head = post("wrong", b"", 8_000_000, b"Expect: 100-continue\r\n").replace(b"/v1/events", path)
        wire.send(head)
        status, said = await wire.answer(2)
        assert (status, said.startswith(b"HTTP/1.1 401")) == (401, True)


async def test_a_body_that_nobody_wants_is_not_read_for_ever() -> None:
    """After the answer the rest of the body is drained for a while, and then the connection ends."""
    async with door() as here:
        wire = await here.connect()
        wire.send(post("wrong", b"", 8_000_000_000))
        assert (await wire.answer(2))[0] == 401

        sent = await wire.push(b"x" * 65_536, 4_000)

        assert sent < 200_000_000
        await wire.ended()


async def test_what_stands_around_a_body_is_bounded_too() -> None:
    """Trailers and the sizes of chunks are headers by other names."""
    async with door() as here:
        wire = await here.connect()
        wire.send(HEAD + SCRIPTS.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"%x\r\n" % len(EVENT) + EVENT + b"\r\n0\r\n")
        sent = await wire.push(b"a: b\r\n" * 10_000, 2_000)
        assert sent < 60_000_000
        await wire.ended()
        assert (await here.posts())[0] == 202


async def test_requests_by_the_thousand_in_one_breath_are_not_kept() -> None:
    """Who pipelines without reading answers gets no more than a few under way."""
    async with door() as here:
        wire = await here.connect()
        sent = await wire.push(b"GET /healthz HTTP/1.1\r\nHost: ladder\r\n\r\n" * 1_000, 500)
        said = await wire.ended()
        assert said.count(b"HTTP/1.1 200") < 1_000
        assert sent < 20_000_000


async def test_an_address_that_opens_too_many_displaces_only_itself() -> None:
    """Others post as quickly as ever, and so does a good key from the crowded address."""
    async with door(keyless_per_address=50, in_all=1_000) as here:
        silent = [await here.connect() for _ in range(50)]
        await asyncio.sleep(1.1)  # they have had their time to say something
        silent += [await here.connect() for _ in range(50)]

        await asyncio.gather(*(wire.ended() for wire in silent[:50]))
        status, seconds = await here.posts("127.0.0.2")
        assert (status, seconds < 1) == (202, True)
        status, seconds = await here.posts()
        assert (status, seconds < 1) == (202, True)


async def test_whoever_posts_with_a_key_keeps_the_place_when_it_is_full() -> None:
    """In all there is an end too: the oldest without a key makes room, never one that has shown a good key."""
    async with door(in_all=100, keyless_per_address=1_000) as here:
        known = await here.connect()
        known.send(post())
        assert (await known.answer())[0] == 202
        crowd = [await here.connect(f"127.0.0.{2 + number % 5}") for number in range(300)]

        await asyncio.gather(*(wire.ended() for wire in crowd[:100]))
        assert (await here.posts("127.0.0.9"))[0] == 202
        known.send(post())
        assert (await known.answer())[0] == 202


async def test_when_everybody_has_a_key_a_resting_one_makes_room() -> None:
    """And where nobody rests, the next is told to come again."""
    log = Holding()
    async with door(in_all=10, log=log) as here:
        known: list[Wire] = []
        for _ in range(10):
            wire = await here.connect()
            wire.send(post())
            assert (await wire.answer())[0] == 202
            known.append(wire)
        assert (await here.posts())[0] == 202
        assert await known[0].ended() == b""

        log.hold = asyncio.Event()
        busy = [*known[1:], here.opened[-1]]
        for wire in busy:
            wire.send(post())
        await until(lambda: log.held == 10)
        late = await here.connect()
        said = await late.ended()
        assert problem(said) == "too-many-connections"
        assert b"retry-after" in said.lower()
        log.hold.set()
        assert [(await wire.answer())[0] for wire in busy] == [202] * 10


async def test_an_answer_that_nobody_reads_is_not_kept_for_a_stranger() -> None:
    """Who asks for much and reads nothing makes room as one who says nothing."""
    async with door(in_all=40, keyless_per_address=1_000) as here:
        for number in range(80):
            wire = await here.connect(f"127.0.0.{2 + number % 5}")
            wire.writer.transport.pause_reading()
            wire.send(b"GET /openapi.json HTTP/1.1\r\nHost: ladder\r\n\r\n" * 5)
        await until(lambda: _posts(here), 10)


async def _posts(here: Door) -> bool:
    status, seconds = await here.posts("127.0.0.9")
    return status == 202 and seconds < 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: l\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
        (
            b"GET /healthz HTTP/1.1\r\nHost: l\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
            200,
        ),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS on a port that does not speak it
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_of_ours_is_answered_and_ends(request_: bytes, status: int) -> None:
    """Upgrades that are not offered are passed over; what is not HTTP is a 400, and neither stays open."""
    async with door(head_seconds=0.5, keep_alive_seconds=0.5) as here:
        wire = await here.connect()
        wire.send(request_)
        assert (await wire.answer())[0] == status
        await wire.ended()
        assert (await here.posts())[0] == 202
