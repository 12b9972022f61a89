"""What a sender's expressions may cost: others are answered meanwhile, and a post has its bounds."""

import asyncio
import threading
from datetime import UTC, datetime
from itertools import count

import pytest

from services.intake.dressing import MOST_SECONDS, Dressed, Dressing
from services.intake.formats import FORMATS, Post
from services.intake.turns import QUICK, WAITING, Turns
from shared.problems import Problem

POST = Post("tickets", datetime(2026, 1, 5, tzinfo=UTC))
LARGE = QUICK + 1


def read(body: bytes):
    return FORMATS["json"].read(body, POST)


def dressing(each: str | None = None) -> Dressing:
    return Dressing.made({}, [("true", {"title": "'Down'"})], each=each)


class Blocked(Dressing):
    """Its expressions take until they are let go."""

    __slots__ = ("free",)

    def dress(self, *_, **__) -> Dressed:
        assert self.free.wait(10)
        return Dressed()


def blocked() -> tuple[Turns, threading.Event]:
    made = dressing()
    slow = Blocked(made.fixed, made.shapes, made.mapping)
    object.__setattr__(slow, "free", threading.Event())
    return Turns(slow), slow.free


async def test_while_a_large_body_is_mapped_everybody_else_is_answered():
    turns, free = blocked()
    under_way = asyncio.create_task(turns.dress(read(b"{}"), POST, loose=True, size=LARGE))
    other = await Turns(dressing()).dress(read(b"{}"), POST, loose=True, size=2)
    assert [event.title for event in other.events] == ["Down"]
    assert not under_way.done()
    free.set()
    assert await under_way == Dressed()


async def test_few_posts_of_an_integration_wait_for_their_turn_and_the_next_is_told_to_come_again():
    turns, free = blocked()
    waiting = [
        asyncio.create_task(turns.dress(read(b"{}"), POST, loose=True, size=LARGE)) for _ in range(WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await turns.dress(read(b"{}"), POST, loose=True, size=2)  # a small one waits, too
    assert (refused.value.status, refused.value.kind) == (503, "mapping-busy")
    free.set()
    assert len(await asyncio.gather(*waiting)) == WAITING
    assert await turns.dress(read(b"{}"), POST, loose=True, size=LARGE) == Dressed()


def test_a_post_whose_expressions_take_too_long_is_refused_with_the_place():
    seconds = count(0, MOST_SECONDS / 2)
    made = dressing("body.alerts").dress(
        read(b'{"alerts": [1, 2, 3, 4, 5, 6]}'), POST, loose=True, busy=lambda: next(seconds)
    )
    (fault,) = made.faults
    assert fault.field == "/2"
    assert "send fewer events at once" in fault.reason
