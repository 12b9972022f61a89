"""Reading a request's body off the wire: bounded by counted bytes, decompressed, within a deadline."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final

from starlette.types import Receive

from shared.http.problems import Fault, Problem

_SECONDS: Final = 30
_DRAIN: Final = 16 * 1024 * 1024  # read past the limit before answering, so that the sender hears the answer
_JSON: Final = ("", "application/json", "text/json")
_LINES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
_SLOPPY: Final = ("application/x-www-form-urlencoded", "text/plain")  # what clients say who set no type


class HungUpError(Exception):
    """The client went away before its body was complete; there is nobody to answer."""


def is_lines(headers: Mapping[bytes, bytes], *, lines: bool, sloppy: bool) -> bool:
    """Whether the body is newline-delimited JSON. No content type at all means JSON.

    `lines`: whether that is taken here; `sloppy`: whether the types of clients that set none are.
    Raises Problem 415.
    """
    if headers.get(b"content-type") == b"application/json":
        return False
    sent = headers.get(b"content-type", b"").decode("latin-1")
    kind = sent.partition(";")[0].strip().lower()
    if kind in _JSON or (
        kind.startswith("application/") and kind.endswith("+json") and "cloudevents" not in kind
    ):
        return False
    if lines and kind in _LINES:
        return True
    if sloppy and kind in _SLOPPY:
        return False
    expected = "application/json or application/x-ndjson" if lines else "application/json"
    raise Problem(
        415,
        "unsupported-media-type",
        "This content type is not taken here",
        faults=[Fault("Content-Type", f"{kind!r}; expected {expected}")],
        headers={"accept": expected.replace(" or", ",")},
    )


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, longest: int) -> bytes:
    """The whole body, at most `longest` bytes, compressed or not.

    Raises Problem 408, 413, 415, 422; HungUpError.
    """
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in (b"", b"identity", b"gzip"):
        raise Problem(
            415,
            "unsupported-encoding",
            "This content encoding is not taken here",
            faults=[Fault("Content-Encoding", "expected gzip or none")],
            headers={"accept-encoding": "gzip"},
        )
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HungUpError
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest(body, receive, longest)
    if len(body) > longest:
        raise too_large(longest)
    return _inflated(body, longest) if encoding == b"gzip" else body


async def read_beginning(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> bytes:
    """The beginning of the body, at most `most` bytes; nothing is refused for its length or form.

    Raises Problem 408; HungUpError.
    """
    body, _ = await _received(b"", receive, most)
    if headers.get(b"content-encoding", b"").strip().lower() != b"gzip":
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, most)
    except zlib.error:
        return b""


def _too_slow() -> Problem:
    return Problem(408, "body-too-slow", f"The body took longer than {_SECONDS} seconds")


async def _rest(first: bytes, receive: Receive, longest: int) -> bytes:
    body, size = await _received(first, receive, longest)
    if size > longest:
        raise too_large(longest)
    return body


async def _received(first: bytes, receive: Receive, most: int) -> tuple[bytes, int]:
    """`first` and what comes after it: at most `most` bytes, and how many there were (at most the drain).

    Raises Problem 408; HungUpError.
    """
    chunks, size = [first[:most]], len(first)
    try:
        async with asyncio.timeout(_SECONDS):
            more = True
            while more and size < _DRAIN:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HungUpError
                chunk, more = message.get("body", b""), message.get("more_body", False)
                chunks.append(chunk[: max(0, most - size)])
                size += len(chunk)
    except TimeoutError:
        raise _too_slow() from None
    return b"".join(chunks), size


def _inflated(body: bytes, longest: int) -> bytes:
    try:
        inflater = zlib.decompressobj(wbits=31)
        plain = inflater.decompress(body, longest + 1)
    except zlib.error:
        raise Problem(422, "invalid-body", "The body is not gzip as its Content-Encoding says") from None
    if len(plain) > longest:
        raise too_large(longest)
    if not inflater.eof:
        raise Problem(422, "invalid-body", "The gzip body is not complete")
    return plain


def too_large(longest: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "The body is too large",
        faults=[Fault("body", f"larger than {longest} bytes")],
    )
