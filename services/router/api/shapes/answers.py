"""How an answer is made of a shape, and what OpenAPI says of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import Response

from shared.http.problems import MEDIA_TYPE

_JSON: Final = "application/json"
_NO_REFUSALS: Final[Mapping[int, str]] = {}
_encoder: Final = msgspec.json.Encoder()


def answer(body: msgspec.Struct, status: int = 200) -> Response:
    """The body as JSON."""
    return Response(_encoder.encode(body), status, media_type=_JSON)


def as_json(item: msgspec.Struct) -> msgspec.Raw:
    """One item of a page, encoded by itself: a whole page at once would hold up whoever pages."""
    return msgspec.Raw(_encoder.encode(item))


def page(items: Sequence[msgspec.Raw], following: str | None, **more: Any) -> Response:
    """A list's page of encoded items, as the list's shape says."""
    body = {"items": items, "next": following} | more
    return Response(_encoder.encode(body), media_type=_JSON)


def answers(
    shape: type[msgspec.Struct],
    description: str,
    refusals: Mapping[int, str] = _NO_REFUSALS,
    *,
    status: int = 200,
) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a path that answers 200 (or `status`) with this shape, or refuses.

    `refusals` are those of this path alone; the host adds those of every path (no key, no database).
    """
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    described = {status: {"description": description, "content": {_JSON: {"schema": schema}}}}
    return described | refusals_of(refusals)


def refusals_of(refusals: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The same of a path's refusals alone."""
    return {refusal: {"description": why, "content": {MEDIA_TYPE: {}}} for refusal, why in refusals.items()}
