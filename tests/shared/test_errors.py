"""What each error means, one by one, and that nothing is left without a meaning."""

import errno
from dataclasses import dataclass

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.router.policy.compiled_cache import NoPolicyError, UnusablePolicyError
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of, sqlstate
from shared.eventlog import LogUnavailableError, RecordTooLargeError


@dataclass
class AnswerError(Exception):
    """The driver's error with this SQLSTATE."""

    sqlstate: str


def by_state(state: str) -> DBAPIError:
    return DBAPIError("INSERT", {}, AnswerError(state))


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (LogUnavailableError("no ack"), Kind.AWAY),
        (NoPolicyError("none yet"), Kind.AWAY),
        (PoolTimeoutError("QueuePool limit"), Kind.AWAY),
        (asyncpg.InterfaceError("connection is closed"), Kind.AWAY),
        (ConnectionRefusedError("nobody listens"), Kind.AWAY),
        (TimeoutError(), Kind.AWAY),
        (OSError(errno.EMFILE, "Too many open files"), Kind.AWAY),  # what the system lacks for a moment
        (OSError(errno.ENOSPC, "No space left on device"), Kind.AWAY),
        (MemoryError(), Kind.AWAY),
        (by_state("08006"), Kind.AWAY),  # connection_failure
        (by_state("40001"), Kind.AWAY),  # serialization_failure
        (by_state("53300"), Kind.AWAY),  # too_many_connections
        (by_state("55P03"), Kind.AWAY),  # lock_not_available
        (by_state("57P01"), Kind.AWAY),  # admin_shutdown
        (by_state("58030"), Kind.AWAY),  # io_error of the server
        (by_state("25006"), Kind.AWAY),  # a standby: the leader has moved
        (by_state("25P03"), Kind.AWAY),  # this process stood still in a transaction, the server ended it
        (DBAPIError("SELECT", {}, Exception("cut off")), Kind.AWAY),  # the driver knows no state
        (RecordTooLargeError("3.2 MB"), Kind.REFUSED),
        (by_state("22021"), Kind.REFUSED),  # a NUL
        (by_state("23514"), Kind.REFUSED),  # check_violation
        (by_state("54000"), Kind.REFUSED),  # an index row too large
        (UnusablePolicyError("newer words"), Kind.MISMATCH),
        (by_state("42703"), Kind.MISMATCH),  # undefined_column, while a release is rolled out
        (by_state("0A000"), Kind.MISMATCH),  # the plan was made for the schema before
        (by_state("28P01"), Kind.MISMATCH),  # the password was changed
        (KeyError("acme"), Kind.BROKEN),
        (AssertionError(), Kind.BROKEN),
        (RecursionError(), Kind.BROKEN),
    ],
)
def test_every_error_means_one_of_four_things(err: BaseException, kind: Kind) -> None:
    """Away, refused, mismatch or broken: whatever is not known is a fault of Ladder's own."""
    assert kind_of(err) is kind


def test_several_errors_at_once_are_as_grave_as_the_gravest() -> None:
    """A group of exceptions is away only when all in it are."""
    away, refused, broken = TimeoutError(), by_state("22021"), KeyError("x")
    assert kind_of(ExceptionGroup("two", [away, away])) is Kind.AWAY
    assert kind_of(ExceptionGroup("two", [away, refused])) is Kind.REFUSED
    assert kind_of(ExceptionGroup("two", [ExceptionGroup("in", [broken]), refused])) is Kind.BROKEN


@pytest.mark.parametrize("value", ["a\0b", "half a character: \ud800"])
async def test_a_value_that_postgresql_or_its_driver_does_not_take_is_refused(
    database_url: str, value: str
) -> None:
    """Whether the server refuses it or the driver cannot write it."""
    database = Database(database_url)
    with pytest.raises(DBAPIError) as raised:
        async with database.transaction() as connection:
            await connection.execute(text("SELECT CAST(:value AS text)"), {"value": value})
    await database.close()
    assert kind_of(raised.value) is Kind.REFUSED
    assert sqlstate(raised.value)[:2] == "22"
