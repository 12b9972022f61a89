"""What a message looks like on a channel, without sending it: for `ladder preview`.

A channel says it by a function in its own file, which its line in the registry names.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from services.notifier.channels.envelope import Envelope
from shared.json_object import JsonObject
from shared.security.keys import Signer


@dataclass(frozen=True, slots=True)
class Shown:
    """One message on one channel.

    `text`: as its reader sees it, for a terminal; `payload`: what the provider would be given; `html`: of a
    mail; `size`: what it takes of what the channel allows, in words.
    """

    text: str
    payload: JsonObject
    html: str = ""
    size: str = ""


Show: TypeAlias = Callable[[Envelope, Signer, str], Shown]
"""Of an envelope, whose address may be empty. It is given what signs short links, and the public URL."""


def as_text(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The title and the text, as a channel without a form of its own has them."""
    del signer, public_url
    rendered = envelope.rendered
    payload: JsonObject = {
        "event": rendered.event,
        "title": rendered.title,
        "text": rendered.text,
        "reason": rendered.reason,
        "links": dict(rendered.links),
    }
    return Shown(f"{rendered.title}\n\n{rendered.text}", payload)


def in_brackets(labels: Iterable[str]) -> str:
    """Buttons and links as a terminal shows them: `[Take it]  [Hand it up]`."""
    return "  ".join(f"[{label}]" for label in labels)
