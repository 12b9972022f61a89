"""Outages: said once when a server goes away and once when it is back, not several times a second.

One outage breaks many loops, each in its own words and several times a second. They share one `Outage`, so
that the terminal shows what began, what is still so, and that it is over.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from shared.network.host_names import UnknownNameError

AGAIN_AFTER_SECONDS: Final = 300.0
_AWAY: Final = ("is away or refuses", "is still away or refuses", "is back")
_OWN: Final = ("fails", "still fails", "works again")
_FORGOTTEN_AFTER_SECONDS: Final = 120.0  # a loop that ended during an outage must not keep it up


class Outage:
    """One kind of outage: logged when it begins, every five minutes while it lasts, and when it is over.

    `what` names the server in the sentence, or with `own` the part of Ladder that fails by a fault of its
    own: then the stack is logged, too. Loops that share one say their name as `part`: it is over when it is
    over for each of them. `clock` counts seconds.
    """

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        action: str,
        *,
        what: str = "the event log",
        own: bool = False,
        clock: Callable[[], float] = time.monotonic,
        **about: Any,
    ) -> None:
        self._log = log.bind(action=action, **about)
        self._what = what
        self._own = own
        self._words = _OWN if own else _AWAY
        self._clock = clock
        self._parts: dict[str, float] = {}  # when each last failed
        self._kinds: dict[str, float] = {}  # when each kind of error was last said, in this outage
        self._error = ""

    def began(self, err: BaseException, part: str = "") -> None:
        """It failed, with this error. A kind of error that is new in this outage is said at once."""
        now, kind = self._clock(), _kind(err)
        self._forget(now)
        began = not self._parts
        self._parts[part] = now
        self._error = f"{type(err).__name__}: {str(err)[:300]}"
        said = max(self._kinds.values(), default=None)
        if began or (kind not in self._kinds and (self._own or _is_telling(err))):
            self._say(f"{self._what} {self._words[0]}", err)
        elif said is not None and now - said >= AGAIN_AFTER_SECONDS:
            self._say(f"{self._what} {self._words[1]}", err)
        else:
            return
        self._kinds[kind] = now

    def ended(self, part: str = "") -> None:
        """It worked."""
        if self._parts.pop(part, None) is None:
            return
        self._forget(self._clock())
        if not self._parts:
            self._log.warning(
                f"{self._what} {self._words[2]}", after=self._error
            )  # whoever saw the other sees this

    def _say(self, sentence: str, err: BaseException) -> None:
        if self._own:
            self._log.error(sentence, error=self._error, exc_info=err)
        else:
            self._log.warning(sentence, error=self._error)

    def _forget(self, now: float) -> None:
        self._parts = {part: at for part, at in self._parts.items() if now - at < _FORGOTTEN_AFTER_SECONDS}
        if not self._parts:
            self._kinds.clear()


def _kind(err: BaseException) -> str:
    cause = getattr(err, "orig", None) or err
    return f"{type(cause).__name__} {getattr(cause, 'sqlstate', '')}"


def _is_telling(err: BaseException) -> bool:
    """Whether this error says more than that nobody answers."""
    cause = getattr(err, "orig", None) or err
    if isinstance(cause, UnknownNameError):
        return True
    state = str(getattr(cause, "sqlstate", None) or "")
    return state != "" and state[:2] not in {"08", "57"}
