"""A server on a socket that plays Twilio: it checks what Twilio checks, and refuses with its codes."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import httpx2

from shared.phones.signatures import HEADER, signature
from shared.phones.texts import segments

ACCOUNT = "AC" + "0" * 32
TOKEN = "token-of-the-account"
FROM = "+15005550006"
_NUMBER = re.compile(r"\+[1-9]\d{6,14}")


@dataclass
class Gateway:
    """`answers` come one after the other instead of what it would say: (status, body, headers)."""

    port: int = 0
    token: str = TOKEN
    posts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: list[tuple[int, dict, dict]] = field(default_factory=list)
    count: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """What an installation that uses it is given."""
        return {
            "twilio_url": self.url,
            "twilio_account": ACCOUNT,
            "twilio_token": TOKEN,
            "twilio_from": FROM,
        }

    @property
    def texted(self) -> list[dict[str, str]]:
        return [form for resource, form in self.posts if resource == "Messages"]

    @property
    def called(self) -> list[dict[str, str]]:
        return [form for resource, form in self.posts if resource == "Calls"]

    def taken(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict, dict]:
        """What it says to a post."""
        found = re.fullmatch(rf"/2010-04-01/Accounts/{ACCOUNT}/(Messages|Calls)\.json", path)
        if found is None:
            return refused(404, 20404)
        key = base64.b64encode(f"{ACCOUNT}:{self.token}".encode()).decode()
        if headers.get("authorization") != f"Basic {key}":
            return refused(401, 20003)
        if headers.get("content-type") != "application/x-www-form-urlencoded":
            return refused(400, 20001)
        form = {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()}
        resource = found[1]
        self.posts.append((resource, form))
        if self.answers:
            return self.answers.pop(0)
        if not _NUMBER.fullmatch(form["To"]):
            return refused(400, 21211)
        wrong = _text_fault(form) if resource == "Messages" else _call_fault(form)
        if wrong:
            return refused(400, wrong)
        self.count += 1
        sid = f"{'SM' if resource == 'Messages' else 'CA'}{self.count:032x}"
        return 201, {"sid": sid, "status": "queued", "error_code": None}, {}

    async def post(self, client: httpx2.AsyncClient, url: str, form: dict[str, str], token: str = TOKEN):
        """As it posts to whoever it tells something: signed, without the fragment of the URL."""
        whole = {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01"} | form
        called = url.partition("#")[0]
        headers = {HEADER: signature(called, list(whole.items()), token)}
        return await client.post(called, data=whole, headers=headers)


def refused(status: int, code: int, **headers: str) -> tuple[int, dict, dict]:
    """An error as Twilio words it, with the number in it."""
    said = f"The 'To' number +420777000111 is not possible ({code})"
    return status, {"code": code, "message": said, "status": status}, headers


def _text_fault(form: dict[str, str]) -> int:
    if not form.get("From") and not re.fullmatch(r"MG[0-9a-f]{32}", form.get("MessagingServiceSid", "")):
        return 21603
    return 0 if 0 < segments(form["Body"]) <= 2 else 21617


def _call_fault(form: dict[str, str]) -> int:
    if not _NUMBER.fullmatch(form.get("From", "")):
        return 21212
    try:
        response = ET.fromstring(form["Twiml"])
    except ET.ParseError:
        return 12100
    return 0 if response.tag == "Response" and len(form["Twiml"]) <= 4_000 else 32018


async def _serve(gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, said, extra = gateway.taken(lines[0].split()[1], headers, body)
            rest = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in extra.items())
            content = json.dumps(said).encode()
            answer = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(content)}\r\n{rest}\r\n".encode()
            writer.write(answer + content)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def gateway_running() -> AsyncIterator[Gateway]:
    """A gateway on a free port of the loopback interface."""
    gateway = Gateway()
    serving: set[asyncio.Task] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await _serve(gateway, reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            serving.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    gateway.port = server.sockets[0].getsockname()[1]
    try:
        yield gateway
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
