"""A process that sends by Apprise: channels/apprise.py starts it and gives it one message a line.

Apprise brings some hundred clients of other services, with a library of their own for HTTP and no bound on
what they read, so they run here: with limits on memory, files and time, without Ladder's environment, and
without a way to start programs or to write files. Addresses come by stdin only; the answer, one line of JSON,
holds nothing that a service said but its HTTP status.

A message is `{url, title, body, link, kind}`. The answer is `{outcome, status}`; the outcome is sent, failed,
or refused where Apprise makes no sense of the address. The one argument: how many MiB of memory it may have.
"""

import json
import logging
import os
import re
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from services.notifier.domain.messages.cutting import cut, cut_with_link

LONGEST_SECONDS: Final = 14  # for one message; whoever waits for it waits for less
_OPEN_FILES: Final = 64
_FORBIDDEN: Final = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn"}
)
_STATUS: Final = re.compile(r"error=(\d{3})\b")


class _Statuses(logging.Handler):
    """Keeps the HTTP status that Apprise's log names, and nothing else of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = 0

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            for found in _STATUS.finditer(record.getMessage()):
                self.last = int(found.group(1))


def main(mebibytes: int) -> None:
    """Answer lines until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever prints does not speak for us
    _bound(mebibytes)
    import apprise  # noqa: PLC0415 - within the bounds

    statuses = _Statuses()
    apprise.logger.handlers[:] = [statuses]
    apprise.logger.propagate = False
    sys.addaudithook(_forbid)
    for line in sys.stdin.buffer:
        signal.alarm(LONGEST_SECONDS)  # ends the process, whatever hangs
        statuses.last = 0
        outcome = _outcome(apprise, json.loads(line))
        signal.alarm(0)
        answers.write(json.dumps({"outcome": outcome, "status": statuses.last}) + "\n")
        answers.flush()


def _bound(mebibytes: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, mebibytes * 1024 * 1024),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a system that knows no such limit, or has a lower one
            resource.setrlimit(what, (most, most))


def _forbid(event: str, _arguments: Any) -> None:
    if event in _FORBIDDEN:
        raise PermissionError("no program is started from here")


def _outcome(apprise: Any, said: Mapping[str, str]) -> str:
    try:
        asset = apprise.AppriseAsset(app_id="Ladder", app_desc="Ladder", app_url="", async_mode=False)
        service = apprise.Apprise.instantiate(said["url"], asset=asset)  # one address, never a list
        if service is None:
            return "refused"
        title, body = _fitted(service, said)
        service.overflow_mode = apprise.OverflowMode.TRUNCATE  # marks of HTML or Markdown make a text longer
        sender = apprise.Apprise(asset=asset)
        sender.add(service)
        format_ = apprise.NotifyFormat.TEXT
        taken = sender.notify(body=body, title=title, notify_type=said["kind"], body_format=format_)
    except Exception:  # noqa: BLE001 - of whatever kind it is, nothing was taken
        return "failed"
    return "sent" if taken else "failed"


def _fitted(service: Any, said: Mapping[str, str]) -> tuple[str, str]:
    """Title and body as the service has room for; where it has no titles, Apprise puts them into the body."""
    title = cut(said["title"], service.title_maxlen or 250)
    room = service.body_maxlen - (0 if service.title_maxlen else len(title) + 4)
    return title, cut_with_link(said["body"], room, said["link"])


if __name__ == "__main__":
    main(int(sys.argv[1]))
