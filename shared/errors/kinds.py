"""What can go wrong, and what it means for whoever was at it. Every loop matches all four kinds.

    Kind
     ├─ AWAY        a server is away, slow or asks to try again, or the system lacks something for a moment.
     │   │          Nobody is to blame: try the same again, soon.
     │   ├─ AwayError
     │   │   ├─ LogUnavailableError       the event log did not acknowledge in time
     │   │   └─ NoPolicyError             no policy is in force yet
     │   ├─ SQLSTATE 08, 40, 53, 57, 58   connection, conflict, resources, shut down, the server's system
     │   ├─ SQLSTATE 55, 25006            locked by others; a standby that is not the leader (any more)
     │   ├─ SQLSTATE 25P03, 25P04         ended, as this process stood still in a transaction
     │   ├─ no connection to be had       from the pool, or the one that there was is gone
     │   ├─ TimeoutError                  whoever was asked is silent
     │   └─ OSError, MemoryError          network, files (EMFILE), disk, memory
     ├─ REFUSED     one value is refused, and always will be: halve until it stands alone, set it aside
     │   │          (`shared.errors.bisect`). Its neighbours pass.
     │   ├─ RefusedError
     │   │   ├─ RecordTooLargeError       larger than the log takes
     │   │   └─ UnwritableError           a message that has no bytes (half a character)
     │   └─ SQLSTATE 22, 23, 54           data, constraint, a limit of the program
     ├─ MISMATCH    schema or policy and this code do not fit, as while a release is rolled out:
     │   │          stop and try again, nothing that waits is to blame.
     │   ├─ MismatchError
     │   │   ├─ UnusablePolicyError       this release cannot compile the policy in force
     │   │   └─ OutdatedCodeError         the schema is for newer code only
     │   └─ every other SQLSTATE          42 (no such column), 0A, 26, 28, …
     └─ BROKEN      everything else: a fault of Ladder's own. Tried again, counted, its stack is logged, and
                    when it lasts `last_resort` is told. Never blamed on what was being worked on: an accepted
                    event is decided late, and never becomes a dead letter for it. Who brings it out again and
                    again stands aside for a while (`shared.errors.bisect.WHOEVER`).

An exception inside the pure `decide` does not come here: it stays with its signal (docs/rules.md, rule 18). A
group of exceptions is of the gravest kind in it.

SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import enum
from collections.abc import Mapping
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_AWAY: Final = frozenset({"08", "40", "53", "55", "57", "58"})
_REFUSED: Final = frozenset({"22", "23", "54"})
_ALSO_AWAY: Final = frozenset({"25006", "25P03", "25P04"})


class Kind(enum.Enum):
    """What an error means; ordered from the lightest to the gravest."""

    AWAY = "away"
    MISMATCH = "mismatch"
    REFUSED = "refused"
    BROKEN = "broken"


class AwayError(Exception):
    """Try again, nothing is wrong with what was asked."""


class RefusedError(Exception):
    """This value is refused for good."""


class MismatchError(Exception):
    """This code and what it found do not fit."""


def kind_of(err: BaseException) -> Kind:
    """What this error means."""
    if isinstance(err, BaseExceptionGroup):
        return max((kind_of(each) for each in err.exceptions), key=list(Kind).index)
    for own, kind in _OWN.items():
        if isinstance(err, own):
            return kind
    if isinstance(err, DBAPIError | asyncpg.PostgresError) and not isinstance(err, InterfaceError):
        return _by_state(sqlstate(err))
    return Kind.AWAY if isinstance(err, _NOBODY_ANSWERS) else Kind.BROKEN


def sqlstate(err: BaseException) -> str:
    """PostgreSQL's five characters for it; empty for an error that has none."""
    cause = err.orig if isinstance(err, DBAPIError) else err
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")


def words(err: BaseException, longest: int = 300) -> str:
    """What whoever raised it said, as text that can be stored."""
    said = str(getattr(err, "orig", None) or repr(err))[:longest]
    return said.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _by_state(state: str) -> Kind:
    if not state or state[:2] in _AWAY or state in _ALSO_AWAY:
        return Kind.AWAY
    return Kind.REFUSED if state[:2] in _REFUSED else Kind.MISMATCH


_OWN: Final[Mapping[type[Exception], Kind]] = {
    AwayError: Kind.AWAY,
    RefusedError: Kind.REFUSED,
    MismatchError: Kind.MISMATCH,
}
_NOBODY_ANSWERS: Final = (
    InterfaceError,
    asyncpg.InterfaceError,
    PoolTimeoutError,
    TimeoutError,
    OSError,
    MemoryError,
)
