"""`/v1/heartbeats/{name}…`: what a job says about itself, with the paths and methods of healthchecks.io.

`/start`, `/fail`, `/log` or an exit status behind the name; without any of these, and with 0, it beats. The
key comes as everywhere else, or in the path before that word. The beginning of the body is kept.

`/v2/heartbeats/{name}/ping`: the same beat, as Opsgenie's heartbeat API has it (opsgenie-oas: heartbeat).
"""

import re
from datetime import datetime
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive

from services.intake import metrics
from services.intake.accept import Endpoint, Request
from services.intake.admission.integrations import Admission, Integration, presented
from services.intake.formats import FORMATS, Answer, Format
from services.intake.formats.contract import DESCRIPTION_LENGTH, fresh_id
from services.intake.formats.opsgenie import Opsgenie, pong
from services.intake.formats.sanitize import clean, cut
from services.intake.request_body import read_beginning
from shared.events import HeartbeatReceived, HeartbeatSignalled
from shared.http.problems import Problem

Signal: TypeAlias = Literal["beat", "start", "fail", "log"]

_KEPT_BYTES: Final = 4 * DESCRIPTION_LENGTH  # no character takes more
_SIZE_OF_BEAT: Final = 256  # without its text
_LONGEST_RUN: Final = 100
_EXIT_STATUS: Final = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_WORDS: Final[dict[str, Signal]] = {"start": "start", "fail": "fail", "log": "log"}
_encoder: Final = msgspec.json.Encoder()


class _Received(msgspec.Struct):
    heartbeat: str
    at: datetime
    signal: Signal


def read_signal(word: str) -> tuple[Signal, int | None] | None:
    """What the last part of the path says, with the exit status if it is one; None if it means nothing."""
    if word in _WORDS:
        return _WORDS[word], None
    if not _EXIT_STATUS.fullmatch(word):
        return None
    return ("beat" if int(word) == 0 else "fail"), int(word)


class Heartbeats(Endpoint):
    """A job is well, starts, failed, or logs something. Any integration's key will do."""

    def format_of(self, request: Request) -> Format:
        del request
        return FORMATS["native"]

    async def accept(self, request: Request, receive: Receive) -> Answer:
        admission = self.admission()
        now, name, word = self._clock(), request.path["name"], request.path.get("signal", "0")
        secret, said = presented(request.headers, request.query), read_signal(word)
        if not secret and "key" in request.path:
            secret = request.path["key"]
        elif not secret and said is None:  # /v1/heartbeats/NAME/KEY
            secret, said = word, ("beat", None)
        integration = self._expecting(admission, name, secret, request, now)
        if said is None:
            raise Problem(404, "no-such-signal", "A heartbeat says start, fail, log or an exit status")
        text = await self._text(request, receive)
        signal, status = said
        if "signal" not in request.path:
            status = None
        run = clean(parse_qs(request.query[:4096].decode("latin-1")).get("rid", [""])[0])[:_LONGEST_RUN]
        beat = HeartbeatReceived(
            beat_id=fresh_id(),
            name=name,
            at=now,
            by=integration.name,
            run=run,
            text=text,
            exit_status=status,
        )
        if signal != "beat":
            beat = HeartbeatSignalled(signal=signal, **msgspec.structs.asdict(beat))
        await self._tell(beat)
        return Answer(_encoder.encode(_Received(name, now, signal)))

    def _expecting(
        self, admission: Admission, name: str, secret: str, request: Request, now: datetime
    ) -> Integration:
        """The integration that beats, if the policy has this heartbeat. Raises Problem 401, 403, 404."""
        integration = admission.by_key(secret, now)
        request.passed(integration)
        if name not in admission.heartbeats:
            raise Problem(404, "no-such-heartbeat", "The policy in force has no heartbeat of this name")
        return integration

    async def _tell(self, beat: HeartbeatReceived) -> None:
        await self._publisher.publish([beat], _SIZE_OF_BEAT + len(beat.text))
        metrics.BEATS.labels(beat.name).inc()

    async def _text(self, request: Request, receive: Receive) -> str:
        body = await read_beginning(request.headers, receive, _KEPT_BYTES)
        return cut(clean(body.decode("utf-8", "replace")).strip(), DESCRIPTION_LENGTH)


class OpsgeniePings(Heartbeats):
    """Opsgenie's ping: a beat, whatever the method and body. An unknown heartbeat is a 404 there, too."""

    def format_of(self, request: Request) -> Format:
        del request
        return Opsgenie()

    async def accept(self, request: Request, receive: Receive) -> Answer:
        admission, now, name = self.admission(), self._clock(), request.path["name"]
        integration = self._expecting(
            admission, name, presented(request.headers, request.query), request, now
        )
        text = await self._text(request, receive)
        asked = fresh_id()
        await self._tell(HeartbeatReceived(beat_id=asked, name=name, at=now, by=integration.name, text=text))
        return pong(asked)
