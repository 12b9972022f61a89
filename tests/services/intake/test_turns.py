"""What a sender's expressions may cost: others are answered meanwhile, and a post has its bounds."""

import asyncio
import threading
from datetime import UTC, datetime
from itertools import count

import pytest

from services.intake.formats import FORMATS, Post
from services.intake.mapping.offload import QUICK, WAITING, Offload
from services.intake.mapping.transform import MOST_SECONDS, Transform, Transformed
from shared.http.problems import Problem

POST = Post("tickets", datetime(2026, 1, 5, tzinfo=UTC))
LARGE = QUICK + 1


def read(body: bytes):
    return FORMATS["json"].read(body, POST)


def transform(each: str | None = None) -> Transform:
    return Transform.made({}, [("true", {"title": "'Down'"})], each=each)


class Blocked(Transform):
    """Its expressions take until they are let go."""

    __slots__ = ("free",)

    def apply(self, *_, **__) -> Transformed:
        assert self.free.wait(10)
        return Transformed()


def blocked() -> tuple[Offload, threading.Event]:
    made = transform()
    slow = Blocked(made.fixed, made.shapes, made.mapping)
    object.__setattr__(slow, "free", threading.Event())
    return Offload(slow), slow.free


async def test_while_a_large_body_is_mapped_everybody_else_is_answered():
    offload, free = blocked()
    under_way = asyncio.create_task(offload.apply(read(b"{}"), POST, loose=True, size=LARGE))
    other = await Offload(transform()).apply(read(b"{}"), POST, loose=True, size=2)
    assert [event.title for event in other.events] == ["Down"]
    assert not under_way.done()
    free.set()
    assert await under_way == Transformed()


async def test_few_posts_of_an_integration_wait_for_their_turn_and_the_next_is_told_to_come_again():
    offload, free = blocked()
    waiting = [
        asyncio.create_task(offload.apply(read(b"{}"), POST, loose=True, size=LARGE)) for _ in range(WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await offload.apply(read(b"{}"), POST, loose=True, size=2)  # a small one waits, too
    assert (refused.value.status, refused.value.kind) == (503, "mapping-busy")
    free.set()
    assert len(await asyncio.gather(*waiting)) == WAITING
    assert await offload.apply(read(b"{}"), POST, loose=True, size=LARGE) == Transformed()


def test_a_post_whose_expressions_take_too_long_is_refused_with_the_place():
    seconds = count(0, MOST_SECONDS / 2)
    made = transform("body.alerts").apply(
        read(b'{"alerts": [1, 2, 3, 4, 5, 6]}'), POST, loose=True, busy=lambda: next(seconds)
    )
    (fault,) = made.faults
    assert fault.field == "/2"
    assert "send fewer events at once" in fault.reason


def test_a_long_text_is_not_searched_for_every_member_of_a_long_list():
    """Nothing could stop it: of 800 KB and 9,000 members that took 46 seconds, and everybody waited."""
    searching = Transform.made({}, [("true", {"title": "string(body.l.exists(x, body.t.matches(x)))"})])
    few = read(b'{"l": ["a"], "t": "%s"}' % (b"b" * 400_000))
    assert [event.title for event in searching.apply(few, POST, loose=True).events] == ["false"]
    many = read(b'{"l": [%s], "t": "%s"}' % (b",".join([b'"a"'] * 9_000), b"b" * 400_000))
    (fault,) = searching.apply(many, POST, loose=True).faults
    assert (fault.field, fault.reason[:32]) == ("body", "its texts are too long to be sea")
    deep = read(b'{"l": %s1%s}' % (b"[" * 900, b"]" * 900))
    assert [event.title for event in searching.apply(deep, POST, loose=True).events] == []
    assert Transform.made({}, [("true", {"title": "body.t"})]).apply(many, POST, loose=True).events
