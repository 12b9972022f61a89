"""aiokafka says ten times a second that a broker is away; once a minute is enough."""

import logging
from typing import Final

_PAUSE_SECONDS: Final = 60.0
_LOGGERS: Final = (
    "aiokafka",
    "aiokafka.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)


class OnceAMinute(logging.Filter):
    """Lets each message (the template, whatever its arguments) through once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        what = (record.name, str(record.msg))
        said_at = self._said.get(what)
        if said_at is not None and record.created - said_at < _PAUSE_SECONDS:
            return False
        self._said[what] = record.created
        return True


_once_a_minute = OnceAMinute()


def quieten() -> None:
    """Put the filter where aiokafka logs; doing it twice changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_once_a_minute)
