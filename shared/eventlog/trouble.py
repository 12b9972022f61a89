"""Saying once that the log is away, and once that it is back, instead of several times a second."""

from typing import Any

import structlog


class Trouble:
    """One kind of trouble: logged when it begins or changes, and when it is over."""

    def __init__(self, log: structlog.stdlib.BoundLogger, action: str, **about: Any) -> None:
        self._log = log.bind(action=action, **about)
        self._error = ""

    def is_on(self, err: BaseException) -> None:
        """It failed, with this error."""
        kind = f"{type(err).__name__}: {str(err)[:300]}"
        if kind != self._error:
            self._log.warning("the event log is away or refuses", error=kind)
        self._error = kind

    def is_over(self) -> None:
        """It worked."""
        if self._error:
            self._log.info("the event log is back", after=self._error)
        self._error = ""
