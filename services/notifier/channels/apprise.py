"""Apprise (https://appriseit.com), for every other service: in processes of its own, and only if asked for.

The outbound guard ends where Apprise begins: its clients connect by themselves. So `LADDER_APPRISE` has to be
set, and without `LADDER_APPRISE_SCHEMAS` only services of one fixed host each can be sent to, whatever an
address says. Programs, files and what else is of this machine are refused always.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from pydantic import Field

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.http_client import TRY_LATER
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.settings import ChannelSettings
from shared.settings import CommaSeparated

_OF_ONE_HOST: Final = """
46elks bulksms clickatell clicksend dingtalk discord feishu flock gchat groupme ifttt ilert join lark line
msgbird nexmo notifiarr octopush pagertree pbul plivo pover prowl push pushed pushy seven signl4 simplepush
spike spush telnyx tgram threema victorops viber vonage webex whatsapp wxteams
"""
_OF_THIS_MACHINE: Final = "blink1 dbus deltachat file gio glib gnome kde macosx qt syslog windows"
FIXED: Final = frozenset(_OF_ONE_HOST.split())
"""Schemas whose messages go to one host of the service's own, which the address cannot change."""
LOCAL: Final = frozenset(_OF_THIS_MACHINE.split())
"""Schemas that are never sent to."""
MOST_WORKERS: Final = 4
TIMEOUT_SECONDS: Final = 12.0
MEMORY: Final = 512  # MiB of address space; Apprise itself takes some 100
_MESSAGES_A_WORKER: Final = 200  # after so many it is replaced: what it leaked goes with it
_READS_FILES: Final = frozenset({"template", "keyfile", "pgpkey"})  # of an address: paths on this machine
_KINDS: Final[Mapping[str, str]] = {"resolved": "success", "closed": "success", "breached": "warning"}
_CERTIFICATES: Final = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_NOT_STARTED: Final = "the process that sends by Apprise could not be started"
_WORKER: Final = "services.notifier.apprise_worker"


class AppriseSettings(ChannelSettings):
    """`LADDER_APPRISE=yes`, with the package's extra `apprise`."""

    apprise: bool = Field(default=False, description="send by Apprise, past the outbound guard")
    apprise_schemas: CommaSeparated = Field(
        default=(),
        description="the schemas of addresses that are sent to, instead of those of one fixed host",
    )

    @property
    def missing(self) -> str:
        if not self.apprise:
            return "LADDER_APPRISE is not set to yes"
        if find_spec("apprise") is None:
            return (
                "LADDER_APPRISE is set, but the extra `apprise` is not installed: pip install 'apprise>=2.2'"
            )
        return ""

    @property
    def schemas(self) -> frozenset[str]:
        """The schemas that are sent to."""
        return frozenset(name.lower() for name in self.apprise_schemas or FIXED) - LOCAL


class AppriseChannel:
    """Hands messages to worker processes. `seconds`: for one message; `memory`: MiB for each process."""

    def __init__(
        self, settings: AppriseSettings, *, seconds: float = TIMEOUT_SECONDS, memory: int = MEMORY
    ) -> None:
        self._missing = settings.missing
        self._schemas = settings.schemas
        self._workers = Workers(seconds, memory)

    async def close(self) -> None:
        await self._workers.close()

    async def send(self, envelope: Envelope) -> Result:
        if self._missing:
            return Rejected(self._missing)
        if refused := self._refused(envelope.address):
            return Rejected(refused)
        try:
            answer = await self._workers.ask(_line(envelope))
        except TimeoutError:
            return Unavailable("timeout: the service gave Apprise no answer in time")
        except WorkerEndedError as err:
            return Unavailable(str(err))
        return _judged(answer)

    def _refused(self, address: str) -> str:
        """Why this address is not sent to; '' if it is. Nothing of it is shown but a schema's name."""
        schema, found, _ = address.partition("://")
        schema = schema.lower()
        if not found or not schema.isalnum():
            return "the address is no URL of Apprise, such as pover://user@token"
        if schema in LOCAL:
            return f"{schema}:// is of this machine: never sent to"
        if schema not in self._schemas:
            return f"{schema}:// is not sent to unless LADDER_APPRISE_SCHEMAS names it"
        try:
            given = parse_qs(urlsplit(address).query, keep_blank_values=True)
        except ValueError:
            return "the address is no URL of Apprise"
        reads = sorted(_READS_FILES.intersection(name.lower() for name in given))
        return f"the address may not name files of this machine ({reads[0]}=)" if reads else ""


def _line(envelope: Envelope) -> bytes:
    rendered, incident = envelope.rendered, envelope.delivery.content.incident
    urgent = "failure" if incident.priority <= 2 else "warning"
    kind = urgent if envelope.delivery.is_page else _KINDS.get(envelope.delivery.event, "info")
    said = {
        "url": envelope.address,
        "title": rendered.title,
        "body": rendered.text,
        "link": rendered.links.get("acknowledge") or rendered.links.get("incident", ""),
        "kind": kind,
    }
    return msgspec.json.encode(said) + b"\n"


class Answer(msgspec.Struct, frozen=True):
    """A worker's answer; `status`: of HTTP, if the service's client told it, else 0."""

    outcome: str
    status: int = 0


def _judged(answer: Answer) -> Result:
    said = f"HTTP {answer.status}" if answer.status else "no status"
    match answer.outcome:
        case "sent":
            return Delivered(confirmed=False, answer="Apprise: taken")
        case "refused":
            return Rejected("Apprise makes no sense of this address")
    if 400 <= answer.status < 500 and answer.status not in TRY_LATER:
        return Rejected(f"Apprise: the service refuses it ({said})")
    return Unavailable(f"Apprise: the service did not take it ({said})")


# --- worker processes -------------------------------------------------------------------------------------


class WorkerEndedError(Exception):
    """The worker ended without an answer; whether the message went out is not known."""


class _UntouchedError(Exception):
    """The worker had ended before it could read the message: another one can have it."""


class Workers:
    """At most `MOST_WORKERS` processes, started when they are needed; each sends one message at a time."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds = seconds
        self._memory = memory
        self._idle: list[_Worker] = []
        self._places = asyncio.Semaphore(MOST_WORKERS)

    async def ask(self, line: bytes) -> Answer:
        """Raises TimeoutError, WorkerEndedError."""
        async with self._places:
            while self._idle:
                with suppress(_UntouchedError):
                    return await self._asked(self._idle.pop(), line)
            try:
                worker = await _Worker.started(self._memory)
            except OSError as err:
                raise WorkerEndedError(f"{_NOT_STARTED}: {err.strerror}") from err
            try:
                return await self._asked(worker, line)
            except _UntouchedError as err:
                raise WorkerEndedError(_NOT_STARTED) from err

    async def _asked(self, worker: "_Worker", line: bytes) -> Answer:
        try:
            async with asyncio.timeout(self._seconds):
                answer = await worker.ask(line)
        except BaseException:
            await worker.kill()
            raise
        if worker.left > 0:
            self._idle.append(worker)
        else:
            await worker.kill()
        return answer

    async def close(self) -> None:
        """End those that are idle; those that are sending end with their message."""
        idle, self._idle = self._idle, []
        for worker in idle:
            await worker.kill()


class _Worker:
    """One process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.left = _MESSAGES_A_WORKER

    @classmethod
    async def started(cls, memory: int) -> "_Worker":
        """Its environment says where Python finds our modules and certificates: no secrets, no proxies."""
        certificates = {name: os.environ[name] for name in _CERTIFICATES if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-s", "-m", _WORKER, str(memory)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "LANG": "C.UTF-8",
                **certificates,
            },
            start_new_session=True,  # Ctrl-C ends Ladder, which ends the worker after its message
        )
        return cls(process)

    async def ask(self, line: bytes) -> Answer:
        """Raises _UntouchedError, WorkerEndedError."""
        sent, said = self._process.stdin, self._process.stdout
        assert sent is not None
        assert said is not None
        if self._process.returncode is not None or said.at_eof():
            raise _UntouchedError
        self.left -= 1
        try:
            sent.write(line)
            await sent.drain()
        except ConnectionError as err:
            raise _UntouchedError from err
        answered = await said.readline()
        try:
            return msgspec.json.decode(answered, type=Answer)
        except msgspec.DecodeError as err:
            status = await self._process.wait()
            why = f"signal {-status}" if status < 0 else f"status {status}"
            raise WorkerEndedError(f"the process that sends by Apprise ended ({why})") from err

    async def kill(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.shield(self._process.wait())
