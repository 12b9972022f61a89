"""Idempotency: a caller who repeats an Idempotency-Key gets the first answer again."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from fastapi import Header
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.http.problems import Fault, Problem

IdempotencyKey: TypeAlias = Annotated[
    str, Header(alias="Idempotency-Key", max_length=255, description="the same key again: the same answer")
]


@dataclass(frozen=True, slots=True)
class Once:
    """A request that is carried out once. `said` is its content; `key` the Idempotency-Key, or empty."""

    caller: str
    key: str
    said: str

    async def answer(
        self, connection: AsyncConnection, now: datetime, work: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """The answer of `work`, or the one that this key got before. Raises a 422 for a reused key."""
        if not self.key:
            return await work()
        given = {"caller": self.caller, "key": self.key, "request": self._fingerprint, "now": now}
        if (await connection.execute(_FIRST, given)).one_or_none() is not None:
            answer = await work()
            await connection.execute(_KEEP, {"caller": self.caller, "key": self.key, "answer": answer})
            return answer
        row = (await connection.execute(_ANSWER, {"caller": self.caller, "key": self.key})).one()
        if row.request != self._fingerprint:
            raise Problem(
                422,
                "idempotency-key-reused",
                "This Idempotency-Key came before with another request",
                faults=[Fault("Idempotency-Key", "use a new key for each request")],
            )
        return bytes(row.answer or b"")

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256(f"{self.caller}\n{self.said}".encode(errors="surrogatepass")).hexdigest()


async def was_done(connection: AsyncConnection, caller: str, key: str) -> bool:
    """Whether this caller has used this key before."""
    found = await connection.execute(_ANSWER, {"caller": caller, "key": key})
    return found.one_or_none() is not None


_FIRST: Final = text("""
    INSERT INTO router.idempotency (caller, key, request, at) VALUES (:caller, :key, :request, :now)
    ON CONFLICT DO NOTHING RETURNING key
""")
_ANSWER: Final = text("SELECT request, answer FROM router.idempotency WHERE caller = :caller AND key = :key")
_KEEP: Final = text("UPDATE router.idempotency SET answer = :answer WHERE caller = :caller AND key = :key")
